"""Tiny pipeline folders, each written once for the session; read only, copy one to change it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.tiny_pipelines import write_tiny_pipeline


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny pipeline of the named class."""
    root = tmp_path_factory.mktemp("pipelines")

    @cache
    def folder(kind: str) -> Path:
        return write_tiny_pipeline(root / kind, kind)

    return folder
