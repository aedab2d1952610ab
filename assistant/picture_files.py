"""Which pictures conversations show, and removing the files of those that none shows any more."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Text, cast, select

from assistant.tables import Message
from serving.database import Database
from serving.images.store import NAME


def pictures_in(steps_of_messages: Iterable[list[dict]]) -> set[str]:
    """The names of the files that these steps drew."""
    return {
        picture["file"]
        for steps in steps_of_messages
        for step in steps
        for picture in step.get("pictures", ())
        if NAME.fullmatch(picture["file"])
    }


async def remove_unused(database: Database, folder: Path, names: set[str]) -> None:
    """Delete those of the files in `folder` that no message shows."""
    if not names:
        return
    unused = set(names)
    drew = select(Message.steps).where(cast(Message.steps, Text).contains('"file"'))
    async with database.reading() as session:
        async for steps in await session.stream_scalars(drew):
            unused -= pictures_in([steps])
    await asyncio.to_thread(_unlink, [folder / name for name in unused])


def _unlink(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
