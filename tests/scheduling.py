"""How several workers of pytest-xdist share the tests, and the cores."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

TOGETHER = "tests/integration/"


class ByServer(LoadScopeScheduling):
    """All tests that share the session's servers go to one worker, so that each starts once; else a file at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServer:
    """The scheduler of this run."""
    return ByServer(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Threads of two workers that wait for each other on the same cores would make both slower than one."""
    if hasattr(config, "workerinput"):
        import torch

        torch.set_num_threads(1)
