"""Resolves cpu.in and gpu.in into lock files with hashes, for every Python that is supported (`make lock`)."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = "--universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet"
CPU = (
    "--override cpu.overrides "
    "--extra-index-url https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match "
    "--no-emit-package torch --no-emit-package torchvision --no-emit-package torchaudio "
    "--no-emit-package torchcodec --no-emit-package triton"
)
SAYS = "# The whole environment, {}. Made from {}.in by `make lock`; installed with --no-deps by install.py.\n"


def lock(name: str, what: str, options: str = "") -> None:
    """Resolve `name`.in; versions that the lock file has now are kept where they still fit."""
    file = f"{name}.lock"
    command = ["pip", "compile", f"{name}.in", "--output-file", file, *OPTIONS.split(), *options.split(), *sys.argv[1:]]
    subprocess.run([sys.executable, "-m", "uv", *command], cwd=HERE, check=True)
    resolved = (HERE / file).read_text(encoding="utf-8")
    (HERE / file).write_text(SAYS.format(what, name) + resolved, encoding="utf-8")


if __name__ == "__main__":
    lock("cpu", "for CPUs, apart from torch", CPU)
    lock("gpu", "for NVIDIA GPUs on Linux, torch included")
