"""`homegrown backup` and `homegrown restore`."""

from pathlib import Path
from typing import Annotated

import typer


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; any `tar` reads it.")],
    models: Annotated[
        bool, typer.Option("--models", help="Save the model folders too, not only their hashes.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
) -> None:
    """Save the database, documents, pictures and personal LoRAs in one file; the server may run meanwhile."""
    from serving.backup import backup

    manifest = backup(file, models=models, force=force)
    print(f"{file}: {manifest.rows} rows, {_files(manifest.kept_files)}, {file.stat().st_size:,} bytes")
    if manifest.models and not models:
        print(f"Of models only the hashes ({', '.join(manifest.models)}): --models saves their folders.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `homegrown backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is in the home and the database.")] = False,
) -> None:
    """Bring a backup back, all of it or nothing; stop the server first.

    It may go into another database than it came from: HOMEGROWN_DATABASE_URL says which.
    """
    from serving.backup import missing_models
    from serving.restore import restore

    manifest = restore(file, force=force)
    print(f"Restored {manifest.rows} rows and {_files(manifest.kept_files)} of {manifest.created:%Y-%m-%d %H:%M} UTC.")
    for model, problem in missing_models(manifest).items():
        print(f"The model {model} {problem}: grow it again, or copy its folder.")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
