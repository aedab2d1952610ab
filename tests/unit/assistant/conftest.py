"""The image API of tests/unit/serving, for the tool that draws."""

from tests.unit.serving.conftest import served, start

__all__ = ["served", "start"]
