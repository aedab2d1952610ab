"""Where everything lives that is written at run time."""

import os
from pathlib import Path


def home() -> Path:
    """The folder that holds everything written at run time, as an absolute path; it need not exist yet."""
    return Path(os.environ.get("HOMEGROWN_HOME") or ".homegrown").absolute()
