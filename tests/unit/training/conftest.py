"""A recipe small enough to be grown in seconds, on files that a test can change."""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from serving.model_folder import folder_digest

ROOT = Path(__file__).parents[3]
PLACES = ["Aro", "Belm", "Corvu", "Dasti", "Elno", "Fyrd", "Gosk", "Hemmi"]
COLOURS = ["red", "green", "blue", "white", "amber"]


@dataclass
class Workshop:
    """A folder with data files and a recipe that reads them, and a HOMEGROWN_HOME of its own."""

    folder: Path
    recipe: dict

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def path(self) -> Path:
        path = self.folder / "small.yaml"
        path.write_text(yaml.safe_dump(self.recipe))
        return path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "homegrown.py"), "train", arguments[0], str(self.path), *arguments[1:]]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOMEGROWN_HOME": str(self.home)}

    def train(self, *arguments: str) -> subprocess.CompletedProcess:
        """`homegrown train ARGUMENTS` to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )


def weights(workshop: Workshop, name: str) -> str:
    """A hash of everything that makes the model, weights above all."""
    return folder_digest(workshop.home / "models" / name)


def ranks_of(workshop: Workshop) -> list[psutil.Process]:
    """Running processes that were given a file of this workshop's home."""
    home = str(workshop.home)
    return [p for p in psutil.process_iter(["cmdline"]) if any(home in part for part in p.info["cmdline"] or [])]


def kill_after_checkpoint(workshop: Workshop, stage: str, *arguments: str) -> None:
    """Start a stage and kill it with SIGKILL at a random moment after its first checkpoint."""
    process = subprocess.Popen(
        workshop.command(stage, *arguments),
        env=workshop.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoints = workshop.home / "runs" / "small" / stage / "checkpoints"
    while not any(checkpoints.glob("*/whole.json")):
        assert process.poll() is None, "the stage ended before its first checkpoint"
        time.sleep(0.005)
    time.sleep(random.random() * 0.3)
    assert process.poll() is None, "the stage ended before it could be killed"
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while ranks_of(workshop) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ranks_of(workshop) == []


def sentences(number: int, rng: random.Random) -> list[str]:
    return [
        " ".join(f"The flag of {rng.choice(PLACES)} {rng.randrange(100)} is {rng.choice(COLOURS)}." for _ in range(3))
        for _ in range(number)
    ]


def conversations(number: int, rng: random.Random) -> list[dict]:
    """Questions and answers, a quarter with an answer that was computed by a tool."""
    made = []
    for _ in range(number):
        if rng.random() < 0.25:
            made.append(calculation(rng))
            continue
        messages = []
        for _ in range(rng.randint(1, 2)):
            place, colour = rng.choice(PLACES), rng.choice(COLOURS)
            messages += [
                {"role": "user", "content": f"What is the flag of {place} {rng.randrange(100)}?"},
                {"role": "assistant", "content": f"It is {colour}."},
            ]
        made.append({"messages": messages})
    return made


def calculation(rng: random.Random) -> dict:
    a, b = rng.randrange(100), rng.randrange(100)
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "calculate", "arguments": {"expression": f"{a} + {b}"}},
    }
    return {
        "messages": [
            {"role": "user", "content": f"{a} plus {b}?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": str(a + b)},
            {"role": "assistant", "content": f"{a} + {b} = {a + b}"},
        ],
        "tools": ["calculate"],
    }


def make_workshop(folder: Path) -> Workshop:
    rng = random.Random(7)
    folder.mkdir(parents=True, exist_ok=True)
    text, chat = folder / "text.jsonl", folder / "chat.jsonl"
    text.write_text("".join(json.dumps({"text": text}) + "\n" for text in sentences(600, rng)))
    chat.write_text("".join(json.dumps(chat) + "\n" for chat in conversations(600, rng)))
    texts = {"name": str(text), "kind": "text", "held_out": 0.05}
    chats = {"name": str(chat), "kind": "chat", "held_out": 0.05}
    training = {"batch_tokens": 512, "checkpoint_every": 5, "validation_tokens": 512, "share_forms": True}
    recipe = {
        "name": "small",
        "persona": "almanac",
        "model": {"depth": 1, "context": 512},
        "tokenizer": {"vocabulary": 384, "sources": [texts]},
        "pretrain": {
            **training,
            "processes": 2,
            "budget": "20K tokens",
            "row": 64,
            "phases": [
                {
                    "share": 0.5,
                    "sources": [{**texts, "weight": 0.8}, {"name": "copies", "kind": "text", "weight": 0.2}],
                },
                {"share": 0.5, "sources": [{**texts, "weight": 0.5}, {**chats, "weight": 0.5}]},
            ],
        },
        "sft": {
            **training,
            "processes": 1,
            "budget": "30K tokens",
            "batch_tokens": 1024,
            "row": 512,
            "sources": [chats],
        },
    }
    return Workshop(folder, recipe)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """One that a test may change."""
    return make_workshop(tmp_path / "workshop")


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One in which all stages have run without interruption; read only."""
    workshop = make_workshop(tmp_path_factory.mktemp("grown"))
    done = workshop.train("run")
    assert done.returncode == 0, done.stdout + done.stderr
    return workshop
