"""Lets lm-eval ask a model one of its tasks, in the environment that it is installed in."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eval.likelihood.split import NOT_FINITE
from eval.lm_eval.suite import PREFIX, lm_eval_suite, read_name
from eval.replies import NoAnswer, Reported
from eval.requests import Elsewhere
from eval.suite import Suite
from serving.errors import UserError

VARIABLE = "HOMEGROWN_LM_EVAL"
NOT_HERE = (
    "lm-eval is not installed here: put it into an environment of its own (pip install 'lm-eval[api,hf]==0.4.13') and "
    f"name the Python of that environment with {VARIABLE}."
)
SIDE = Path(__file__).with_name("side.py")


@dataclass(frozen=True)
class LmEval:
    """One task asked of one model: a folder or Hugging Face id, or, with `base_url`, a model in chats."""

    name: str
    model: str
    base_url: str | None = None
    api_key: str | None = None
    limit: int | None = None

    @property
    def suite(self) -> Suite:
        """With what lm-eval found. Raises `UserError` when it is not installed or fails."""
        return lm_eval_suite(self.name, self._found)

    def score_all(self, requests: Sequence[Elsewhere]) -> Iterator[Reported | NoAnswer]:
        """What it found, in the order of the requests."""
        rows = {row["id"]: row for row in self._found}
        for request in requests:
            row = rows[request.id]
            # Of log-probabilities that are no numbers lm-eval takes the first option, which may be the right one.
            yield Reported(row["values"], row["answer"]) if row["finite"] else NoAnswer(NOT_FINITE)

    @cached_property
    def _found(self) -> list[dict[str, Any]]:
        environment = os.environ | ({"OPENAI_API_KEY": self.api_key} if self.api_key else {})
        wanted = json.dumps(self._wanted())
        command = [_python(), str(SIDE)]
        done = subprocess.run(command, input=wanted, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            answer = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            answer = {"error": f"it ended with code {done.returncode} and without a result"}
        if "error" in answer:
            raise UserError(f"lm-eval could not ask {self.name.removeprefix(PREFIX)} ({answer['error'].rstrip('.')}).")
        return [row | {"harness": f"lm-eval {answer['version']}"} for row in answer["samples"]]

    def _wanted(self) -> dict[str, Any]:
        named = read_name(self.name)
        asked = {"task": named.task, "shots": named.shots, "limit": self.limit}
        asked["include"] = str(named.file.parent) if named.file else None
        if self.base_url:
            url = f"{self.base_url}/chat/completions"
            arguments = {"model": self.model, "base_url": url, "num_concurrent": 8}
            return asked | {"model": "local-chat-completions", "model_args": arguments, "chat": True, "device": None}
        arguments = {"pretrained": self.model, "dtype": "float32"}
        return asked | {"model": "hf", "model_args": arguments, "chat": False, "device": _device()}


def is_lm_eval(suites: Sequence[str]) -> bool:
    """Whether the suite is one of lm-eval's. Raises `UserError` for such a one among others."""
    theirs = [name for name in suites if name.startswith(PREFIX)]
    if theirs and len(suites) > 1:
        raise UserError(f"lm-eval asks one task or group at a time: run {theirs[0]} alone.")
    return bool(theirs)


def _python() -> str:
    """Of the environment that has lm-eval. Raises `UserError` where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).expanduser().is_file():
            raise UserError(f"{VARIABLE} names no Python ({named}): name the one of an environment with lm-eval.")
        return str(Path(named).expanduser())
    if importlib.util.find_spec("lm_eval"):
        return sys.executable
    raise UserError(NOT_HERE)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
