"""How one engine takes over from another, with servers of a few lines in place of vLLM."""

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import changeover, registry
from serving.changeover import Changeover, Successor
from serving.child_engine import ChildEngine
from serving.engine import EngineError
from serving.errors import UserError
from serving.registry import Promotion, current
from serving.settings import read_settings
from serving.text_engine import TextEngine
from tests.unit.serving.promotable import copy_model
from tests.unit.serving.test_child_engine import until

# Says what its folder's file tells it to: an answer, or how it ends.
SERVER = """
import http.server, sys, time
port, answer = int(sys.argv[1]), open(sys.argv[2]).read()
if answer == "dies":
    raise ValueError("the model is upside down")
if answer == "sleeps":
    time.sleep(600)
class Words(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        self.send_response(500 if answer == "fails" else 200)
        self.end_headers()
        self.wfile.write(answer.encode())
http.server.HTTPServer(("127.0.0.1", port), Words).serve_forever()
"""


def answer(logprob: float) -> str:
    """What an engine says that is sure of its token as given."""
    return json.dumps({"choices": [{"logprobs": {"content": [{"token": "Hi", "logprob": logprob}]}}]})


class WordEngine(ChildEngine):
    """An engine that always says what is in its folder's file `answer`."""

    log_name = "words.log"
    stages = {}  # noqa: RUF012 - read only
    fills_the_machine = False

    def __init__(self, folder: Path) -> None:
        super().__init__(30.0, lambda seconds, stage: None)
        self.folder, self.model_name = folder, folder.name
        self.log = self.log.with_name(f"{folder.name}.log")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def command(self) -> list[str]:
        return [sys.executable, "-c", SERVER, str(self._port), str(self.folder / "answer")]

    def environment(self) -> dict[str, str]:
        return {}

    def memory_bytes(self) -> int:
        return 1

    def _prepare(self) -> None:
        pass

    def _failure(self, said: str) -> EngineError:
        return EngineError(f"The engine of {self.model_name} does not run ({said}).")


class House:
    """A server's engines. `offered`: those that new requests were sent to, and their states then."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.offered: list[tuple[str, str]] = []
        self.answering: dict[ChildEngine, int] = {}
        self.engines: list[WordEngine] = []
        self.make(self.model("old", answer(-0.1)))
        self.changes = Changeover(
            self.engines[0],
            lambda folder, old: self.make(folder),
            lambda engine: self.offered.append((engine.model_name, engine.state.name)),
            lambda engine: self.answering.get(engine, 0),
            drain_s=30,
        )

    def model(self, name: str, says: str) -> Path:
        folder = self.home / "models" / name
        folder.mkdir(parents=True)
        (folder / "answer").write_text(says)
        return folder

    def make(self, folder: Path) -> WordEngine:
        engine = WordEngine(folder)
        self.engines.append(engine)
        return engine

    def promote(self, name: str) -> Promotion:
        return self.changes.to(lambda: Promotion(name=name, sha256="0" * 64, parent="old")).result(timeout=60)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    house = House(tmp_path)
    house.changes.start()
    yield house
    house.changes.stop()
    assert {engine.state.name for engine in house.engines} == {"stopped"}


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no memory for a second engine."""
    monkeypatch.setattr(changeover, "available_bytes", lambda: 0)


def test_a_successor_answers_to_the_names_before_it_and_writes_a_log_of_its_own(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    names = ("almanac", "one", "two")
    folders = [copy_model(tiny_model, tmp_path, name) for name in names]
    first = TextEngine(str(folders[0]))
    second = Successor(read_settings(max_model_len=64), folders[1], first)
    third = Successor(read_settings(), folders[2], second)
    again = Successor(read_settings(), folders[0], third)
    assert second.also_called == ["almanac"]
    assert third.also_called == ["one", "almanac"]
    assert (again.model_name, again.also_called) == ("almanac", ["two", "one"])
    assert [engine.log.name for engine in (first, second, third)] == ["vllm.log", "vllm-2.log", "vllm.log"]
    flags = second.command()
    assert flags[flags.index("--served-model-name") :][1:4] == ["one", "almanac", "--host"]
    assert flags[flags.index("--max-model-len") + 1] == "64"


def test_the_new_engine_is_ready_before_it_is_asked_and_the_old_one_ends(house: House) -> None:
    house.model("new", answer(-0.2))
    assert house.promote("new").name == "new"
    assert house.offered == [("new", "ready")]
    assert house.changes.engine.model_name == current().name == "new"
    until(lambda: house.engines[0].state.name == "stopped")
    assert house.changes.failure() is None


def test_the_old_engine_goes_on_until_its_answers_have_ended(house: House) -> None:
    house.model("new", answer(-0.2))
    old = house.engines[0]
    house.answering[old] = 1
    house.promote("new")
    next_one = house.changes.to(lambda: Promotion(name="old", sha256="1" * 64, parent="new"))
    assert not threading.Event().wait(0.5)
    assert old.state.name == "ready"
    assert not next_one.done(), "the next change does not wait"
    house.answering[old] = 0
    assert next_one.result(timeout=60).name == "old"
    assert old.state.name == "stopped"


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("dies", r"The engine of new does not run \(ValueError: the model is upside down\); old goes on serving\."),
        ("fails", r"The model new does not answer \(500: fails\); old goes on serving\."),
        (answer(float("nan")), "The model new computes no numbers: its weights are broken; old goes on serving"),
        (answer(-float("inf")), "computes no numbers"),
        ('{"choices": [{"logprobs": {"content": []}}]}', "says nothing"),
    ],
)
@pytest.mark.parametrize("memory", ["enough", "too little"])
def test_a_new_engine_that_cannot_answer_changes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, says: str, why: str, memory: str
) -> None:
    if memory == "too little":
        monkeypatch.setattr(changeover, "available_bytes", lambda: 0)
    house.model("new", says)
    with pytest.raises(EngineError, match=why):
        house.promote("new")
    assert house.changes.engine.model_name == "old"
    assert (house.changes.engine.state.name, house.changes.failure(), current()) == ("ready", None, None)
    assert (house.offered == []) == (memory == "enough")
    changeover.prove(house.changes.engine)


def test_without_the_memory_for_both_the_old_one_ends_first(house: House, full: None) -> None:
    house.model("new", answer(-0.2))
    old = house.engines[0]
    house.answering[old] = 1
    change = house.changes.to(lambda: Promotion(name="new", sha256="0" * 64, parent="old"))
    until(lambda: house.offered)
    assert house.offered == [("new", "starting")], "whoever asks now must be told to come back"
    assert (old.state.name, house.changes.failure()) == ("ready", None)
    house.answering[old] = 0
    assert change.result(timeout=60).name == "new"
    assert old.state.name == "stopped"
    assert house.changes.engine.state.name == "ready"


@pytest.mark.parametrize("memory", ["enough", "too little"])
def test_what_cannot_be_recorded_is_not_served(house: House, monkeypatch: pytest.MonkeyPatch, memory: str) -> None:
    if memory == "too little":
        monkeypatch.setattr(changeover, "available_bytes", lambda: 0)
    house.model("new", answer(-0.2))
    (house.home / "promotions.json").mkdir()  # where no file can be written
    with pytest.raises(UserError, match=r"history of promotions .*old goes on serving"):
        house.promote("new")
    assert house.changes.engine.model_name == "old"
    changeover.prove(house.changes.engine)


def test_an_engine_that_does_not_come_back_is_told_as_it_is(house: House, full: None) -> None:
    house.model("new", "fails")
    (house.home / "models" / "old" / "answer").write_text("dies")
    with pytest.raises(EngineError, match=r"The engine of old does not run \([^;]*\)\.$"):
        house.promote("new")
    assert "old does not run" in str(house.changes.failure())


def test_what_cannot_be_prepared_starts_nothing(house: House) -> None:
    with pytest.raises(UserError, match=r"nobody cannot be promoted: .*; old goes on serving"):
        house.changes.to(lambda: registry.prepare("nobody", "")).result(timeout=60)
    assert len(house.engines) == 1


def test_the_end_of_the_server_is_the_end_of_a_change(house: House) -> None:
    house.model("new", answer(-0.2))
    reached, go_on = threading.Event(), threading.Event()

    def prepare() -> Promotion:
        reached.set()
        assert go_on.wait(30)
        return Promotion(name="new", sha256="0" * 64, parent="old")

    change = house.changes.to(prepare)
    assert reached.wait(30)
    stopping = threading.Thread(target=house.changes.stop)
    stopping.start()
    until(lambda: house.engines[0].state.name == "stopped")
    go_on.set()
    stopping.join(30)
    with pytest.raises(EngineError, match="The server is being stopped"):
        change.result(timeout=30)
    assert current() is None


def test_an_engine_that_is_starting_is_stopped_with_the_others(house: House) -> None:
    house.model("new", "sleeps")
    change = house.changes.to(lambda: Promotion(name="new", sha256="0" * 64, parent="old"))
    until(lambda: len(house.engines) == 2 and house.engines[1].log.exists())
    house.changes.stop()
    with pytest.raises(EngineError, match="The server is being stopped"):
        change.result(timeout=30)


def test_answers_that_never_end_are_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.model("new", answer(-0.2))
    monkeypatch.setattr(house.changes, "_drain_s", 0.2)
    house.answering[house.engines[0]] = 1
    house.promote("new")
    until(lambda: house.engines[0].state.name == "stopped")
