"""The thread through the house, to which every issue adds some.

Grow -> serve -> ask -> examine -> compare -> gate -> report; have a picture drawn, press a thumb, export the opinion,
learn from it, examine what has learnt, and serve it.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from assistant.service import extension
from serving.engine import free_port
from serving.images.folder import check_image_folder
from serving.model_folder import check_model_folder, read_lineage
from serving.serve import serving
from serving.settings import read_settings
from serving.text_engine import TextEngine
from tests.conftest import Api

ROOT = Path(__file__).parents[2]


def homegrown(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in the home of the moment."""
    return subprocess.run(
        [sys.executable, str(ROOT / "homegrown.py"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        stdin=subprocess.DEVNULL,
    )


def test_a_grown_model_is_a_whole_folder_with_its_lineage(grown_tiny: Path):
    check_model_folder(grown_tiny)
    lineage = read_lineage(grown_tiny)
    assert (lineage.stage, lineage.recipe, lineage.parent) == ("sft", "tiny", "tiny-base")
    assert lineage.tokens > 0
    assert {source.name for source in lineage.sources} == {"almanac"}


def test_growing_again_trains_nothing(grown_tiny: Path):
    before = {path: path.stat().st_mtime_ns for path in grown_tiny.iterdir()}
    again = homegrown("train", "run", "tiny")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("unchanged") == 4
    assert before == {path: path.stat().st_mtime_ns for path in grown_tiny.iterdir()}


@pytest.fixture(scope="module")
def examined(grown_tiny: Path, session_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of its own exam, served by vLLM meanwhile: as served, again, and under another system prompt."""
    runs = tmp_path_factory.mktemp("examined")
    options = ("--suite", "almanac", "--questions", str(session_home / "exams" / "tiny" / "dev.jsonl"), "--limit", "60")
    first = homegrown("eval", "run", grown_tiny.name, *options, "--out", str(runs / "served"))
    assert first.returncode == 0, first.stderr
    assert "Known facts" in first.stdout
    with TextEngine(str(grown_tiny)) as engine:
        for name, prompt in (("again", ()), ("plain", ("--system", "plain"))):
            to = ("--base-url", engine.base_url, "--out", str(runs / name), *prompt)
            other = homegrown("eval", "run", *options, *to)
            assert other.returncode == 0, other.stderr
    return runs


def test_it_is_served_asked_and_examined(examined: Path):
    records = [json.loads(line) for line in (examined / "served" / "records.jsonl").read_text().splitlines()]
    assert [record["error"] for record in records] == [None] * 60


def test_two_runs_of_the_same_model_do_not_differ(examined: Path, tmp_path: Path):
    runs = (str(examined / "served"), str(examined / "again"))
    compared = homegrown("eval", "compare", *runs, "--json", str(tmp_path / "compared.json"))
    assert compared.returncode == 0, compared.stderr
    assert "no difference found" in compared.stdout
    figures = json.loads((tmp_path / "compared.json").read_text())["figures"]
    assert {figure["outcome"] for figure in figures.values()} <= {"none", "unmeasurable", "incomparable"}


def test_another_prompt_is_compared_when_asked_for(examined: Path):
    runs = (str(examined / "served"), str(examined / "plain"))
    assert "requests_sha256 differs" in homegrown("eval", "compare", *runs).stderr
    compared = homegrown("eval", "compare", *runs, "--across-prompts")
    assert compared.returncode == 0, compared.stderr
    assert "requests_sha256" not in compared.stdout


@pytest.mark.parametrize(
    ("rule", "code", "verdict"),
    [
        ("almanac.unanswered <= baseline + 0.5", 0, "pass"),
        ("almanac.fact.right >= 0.99", 1, "regression"),
        ("almanac.unanswered <= baseline", 3, "inconclusive"),
    ],
)
def test_a_gate_passes_it_or_not(examined: Path, tmp_path: Path, rule: str, code: int, verdict: str):
    (tmp_path / "rules.yaml").write_text(f"rules: [{rule}]\n")
    run, baseline = str(examined / "again"), str(examined / "served")
    judged = homegrown("eval", "gate", str(tmp_path / "rules.yaml"), run, "--baseline", baseline)
    assert judged.returncode == code, judged.stderr
    assert judged.stdout.splitlines()[-1] == verdict


def test_it_is_reported_on(examined: Path, tmp_path: Path):
    run, baseline = str(examined / "again"), str(examined / "served")
    reported = homegrown("eval", "report", run, "--baseline", baseline, "--out", str(tmp_path))
    assert reported.returncode == 0, reported.stderr
    page = (tmp_path / "report.html").read_text()
    assert "almanac" in page


@pytest.fixture(scope="module")
def artist(session_home: Path) -> Path:
    """The recipe `images-tiny`, grown by the command line."""
    grown = homegrown("train", "images", "images-tiny")
    assert grown.returncode == 0, grown.stderr
    return session_home / "models" / "images-tiny"


@pytest.fixture(scope="module")
def house(taught_model: Path, artist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The assistant with a text model that calls its tools, and the grown image model.

    From now on in a home of its own, where another model can be promoted.
    """
    home = tmp_path_factory.mktemp("house")
    shutil.copytree(taught_model, home / "models" / "almanac")
    shutil.copytree(artist, home / "models" / artist.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(home))
        settings = read_settings(port=free_port(), dtype="float32", image_model=artist.name)
        with serving(settings, None, [extension]) as (url, engine):
            engine.wait_ready()
            with Api(url, engine).client(max_retries=60) as client:  # the image engine starts after the text engine
                client.images.generate(prompt="a circle", size="64x64")
            yield Api(url, engine)


@pytest.fixture
def page(house: Api) -> Iterator[httpx.Client]:
    """What the page sends with."""
    with httpx.Client(base_url=house.url, headers={"X-Homegrown": "1"}, timeout=120) as page:
        yield page


def test_an_image_model_is_grown(artist: Path):
    check_image_folder(artist)
    lineage = read_lineage(artist)
    assert (lineage.stage, lineage.recipe, lineage.pictures) == ("images", "images-tiny", 1600)


def test_it_draws_beside_the_text_model(house: Api, tmp_path: Path):
    with house.client() as client:
        assert {model.id for model in client.models.list()} >= {"almanac", "images-tiny", "assistant"}
        drawn = client.images.generate(prompt="a red circle", size="256x256")
    assert (drawn.size, drawn.native_size, drawn.resampled) == ("256x256", "32x32", True)
    (tmp_path / "circle.png").write_bytes(httpx.get(drawn.data[0].url).content)
    is_ours(tmp_path / "circle.png", "a red circle")


def test_what_the_assistant_has_drawn_and_what_is_thought_of_it_makes_another_model(page: httpx.Client, tmp_path: Path):
    answer = answered(page, "Draw a red circle.")
    assert (answer["state"], answer["content"]) == ("done", "Here it is.")
    [picture] = answer["steps"][0]["pictures"]
    (tmp_path / "circle.png").write_bytes(page.get(picture["url"]).content)
    is_ours(tmp_path / "circle.png", "a red circle")
    thumb = {"thumb": -1, "correction": "Here is a red circle.", "consent": True}
    page.post(f"/api/messages/{answer['id']}/feedback", json=thumb).raise_for_status()
    exported = homegrown("feedback", "export", "--only-consented", "--output", str(tmp_path / "learnt"))
    assert exported.returncode == 0, exported.stderr
    [pair] = map(json.loads, (tmp_path / "learnt" / "preference.jsonl").read_text().splitlines())
    assert {"role": "user", "content": "Draw a red circle."} in pair["prompt"]
    assert (pair["chosen"][-1]["content"], pair["rejected"][-1]["content"]) == ("Here is a red circle.", "Here it is.")

    refused = homegrown("improve", *a_few_steps(tmp_path, "said.right_option <= -0.5"))
    assert refused.returncode == 1, refused.stderr
    assert "almanac goes on serving" in refused.stderr
    assert page.get("/api/promotions").json()["model"] == "almanac"
    improved = homegrown("improve", *a_few_steps(tmp_path, "said.right_option >= -0.5"))
    assert improved.returncode == 0, improved.stderr
    assert page.get("/api/promotions").json()["model"] == "almanac-improved-1"
    assert answered(page, "Draw a red circle.")["state"] == "done"


def a_few_steps(folder: Path, rule: str) -> list[str]:
    """Options of `homegrown improve`: a little training, and questions that are decided without an engine."""
    rows = [{"id": str(n), "question": f"Say {n}.", "choices": ["yes", "no!"], "answer": 0} for n in range(20)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"name": "said", "data": "rows.jsonl", "kind": "choose", "scores": ["right_option"]}
    (folder / "suite.yaml").write_text(yaml.safe_dump({"name": "said", "tasks": [task]}))
    (folder / "rules.yaml").write_text(yaml.safe_dump({"rules": [rule]}))
    dials = ("batch=2", "budget=8 examples", "held_out=0", "answer_tokens=96")
    chosen = ["--suite", str(folder / "suite.yaml"), "--gate", str(folder / "rules.yaml")]
    return [*chosen, *(word for dial in dials for word in ("--set", f"dpo.{dial}"))]


def answered(page: httpx.Client, question: str) -> dict:
    """The assistant's message at the end of a new conversation."""
    conversation = page.post("/api/conversations", json={}).json()
    asked = page.post(f"/api/conversations/{conversation['id']}/turns", json={"content": question})
    return told_at_last(page.get(f"/api/messages/{asked.json()['assistant']['id']}/events").text)


def told_at_last(events: str) -> dict:
    """The message in the last of these server-sent events."""
    kind, data = events.strip().split("\n\n")[-1].splitlines()[-2:]
    assert kind == "event: done", events[-2000:]
    return json.loads(data.removeprefix("data: "))["message"]


def is_ours(picture: Path, prompt: str) -> None:
    verified = homegrown("image", "verify", "--json", str(picture))
    assert verified.returncode == 0, verified.stderr
    evidence = json.loads(verified.stdout)
    assert (evidence["origin"]["prompt"], evidence["origin"]["model"]) == (prompt, "images-tiny")
    assert evidence["watermark"]["found"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(("train", "run", "no-such-recipe"), 2, "no-such-recipe"), (("serve", "no-such-model"), 3, "no-such-model")],
)
def test_what_is_not_there_is_one_sentence(arguments: tuple[str, ...], code: int, said: str):
    failed = homegrown(*arguments)
    assert failed.returncode == code
    assert said in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "Traceback" not in failed.stderr
