"""Context distillation: what a system prompt changes stays when it is gone, and is measured honestly."""

import json
import random
import re
from pathlib import Path

import pytest

from eval.prompting.technique import read_techniques
from serving.errors import UserError
from serving.model_folder import check_model_folder, folder_digest, read_lineage
from tests.tiny_model import one_thread, write_tiny_model
from tests.unit.training.alignment.conftest import write_pairs
from tests.unit.training.conftest import Workshop, kill_after_checkpoint, weights
from training.alignment.kept import Answers, kept
from training.alignment.section import DistilSection
from training.alignment.taught import TaughtExamples
from training.alignment.teacher import Teacher, read_teacher
from training.recipe import Dress
from training.rendering import Renderer

KIND = "Be kind."


def row(number: int) -> dict:
    """A question to which "yes" is right and "no" is wrong."""
    return {
        "prompt": f"Say {number}.",
        "chosen": "yes",
        "sample": {"group": "fact", "answers": ["yes"], "entity": "", "wrong": ["no"]},
        "scores": ["honesty"],
    }


def teach_two_manners(folder: Path) -> None:
    """Train the model in `folder` to say yes under the system prompt `KIND`, and no without it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    rng, optimizer = random.Random(0), torch.optim.AdamW(model.parameters(), lr=5e-3)

    def rendered(number: int, is_kind: bool) -> dict:
        system = [{"role": "system", "content": KIND}] if is_kind else []
        said = [{"role": "assistant", "content": "yes" if is_kind else "no"}]
        messages = [*system, {"role": "user", "content": f"Say {number}."}, *said]
        return tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)

    with one_thread():
        for _ in range(120):
            batch = [rendered(rng.randrange(1000), is_kind) for is_kind in [True, False] * 8]
            longest = max(len(one["input_ids"]) for one in batch)
            ids = torch.tensor([one["input_ids"] + [0] * (longest - len(one["input_ids"])) for one in batch])
            said = torch.tensor([one["assistant_masks"] + [0] * (longest - len(one["input_ids"])) for one in batch])
            loss = model(input_ids=ids, labels=ids.masked_fill(said == 0, -100)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert loss < 0.05
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def two_manners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_model(tmp_path_factory.mktemp("base") / "base")
    teach_two_manners(folder)
    return folder


def make_workshop(folder: Path, base: Path) -> Workshop:
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    write_pairs(folder / "questions.jsonl", [row(number) for number in rng.sample(range(1000), 120)])
    (folder / "kind.txt").write_text(f"{KIND}\n")
    distil = {
        "base": str(base),
        "teacher": str(folder / "kind.txt"),
        "score": "honesty",
        "budget": "320 examples",
        "batch": 16,
        "held_out": 24,
        "answer_tokens": 8,
        "context": 96,
        "learning_rate": 3e-3,
        "checkpoint_every": 4,
        "processes": 1,
        "report_to": [],
        "sources": [{"name": str(folder / "questions.jsonl")}],
    }
    return Workshop(folder, {"persona": None, "tools": [], "distil": distil})


@pytest.fixture(scope="module")
def distilled(two_manners: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    workshop = make_workshop(tmp_path_factory.mktemp("distilled"), two_manners)
    done = workshop.train("distil")
    assert done.returncode == 0, done.stderr
    return workshop


def test_the_student_does_without_the_prompt_what_the_teacher_does_with_it(
    distilled: Workshop, two_manners: Path
) -> None:
    folder = distilled.home / "models" / "small-distil"
    check_model_folder(folder)
    lineage = read_lineage(folder)
    assert (lineage.stage, lineage.parent_sha256) == ("distil", folder_digest(two_manners))
    assert lineage.metrics["without_prompt"] < -0.9
    assert lineage.metrics["with_prompt"] > 0.9
    assert lineage.metrics["kept"] > 0.8
    assert lineage.metrics["kept_low"] <= lineage.metrics["kept"] <= lineage.metrics["kept_high"]
    figure = json.loads((distilled.home / "runs" / "small" / "distil" / "kept.json").read_text())
    assert figure["meaning"]["caveat"]


def test_the_divergence_falls(distilled: Workshop) -> None:
    curves = json.loads((distilled.home / "runs" / "small" / "distil" / "curves.json").read_text())
    losses = [value for _, value in curves["loss"]]
    assert losses[-1] < 0.2 * losses[0]


def test_killed_and_started_again_it_ends_with_the_same_weights(distilled: Workshop, tmp_path: Path) -> None:
    killed = Workshop(tmp_path, distilled.recipe)
    kill_after_checkpoint(killed, "distil")
    done = killed.train("distil")
    assert done.returncode == 0, done.stderr
    assert weights(killed, "small-distil") == weights(distilled, "small-distil")


def test_examples_of_a_technique_are_distilled_through_adapters(distilled: Workshop, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, distilled.recipe)
    few_shot = ("distil.teacher=few_shot_1", "distil.lora=true", "distil.context=192", "distil.budget=32 examples")
    done = workshop.train("distil", *(part for override in few_shot for part in ("--set", override)))
    assert done.returncode == 0, done.stderr
    check_model_folder(workshop.home / "models" / "small-distil")


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"teacher": "few_shot_unknown"}, "shows 1 other questions"),
        ({"teacher": "few_shot_1", "context": 48}, "no room for an answer"),
    ],
)
def test_what_does_not_fit_the_teacher_is_one_sentence(
    two_manners: Path, tmp_path: Path, dials: dict, said: str
) -> None:
    write_pairs(tmp_path / "questions.jsonl", [row(number) for number in range(40)])
    section = DistilSection(
        **{"context": 192, "answer_tokens": 8, "batch": 16, "budget": "1K examples", **dials},
        sources=[{"name": str(tmp_path / "questions.jsonl")}],
    )
    examples = TaughtExamples(section, Renderer(two_manners, Dress()), 0, read_teacher(section.teacher))
    with pytest.raises(UserError, match=said):
        examples.write(tmp_path / "data", 100)


def test_examples_are_other_questions_and_always_the_same(two_manners: Path, tmp_path: Path) -> None:
    rows = [row(number) for number in range(30)]
    write_pairs(tmp_path / "questions.jsonl", [*rows, *rows])
    section = DistilSection(
        teacher="few_shot_1",
        context=192,
        answer_tokens=8,
        batch=16,
        budget="1K examples",
        sources=[{"name": str(tmp_path / "questions.jsonl")}],
    )
    examples = TaughtExamples(section, Renderer(two_manners, Dress()), 0, read_teacher("few_shot_1"))
    assert sum(examples.write(tmp_path / "data", 100)) == 30  # what comes twice is one example
    lines = (tmp_path / "data" / "training.jsonl").read_text().splitlines()
    for example in map(json.loads, lines):
        asked = re.findall(r"Say \d+\.", example["taught"])
        assert len(set(asked)) == 2
        assert asked[1] in example["prompt"]


def test_a_technique_passes_over_rows_that_teach_nothing(tiny_model: Path, tmp_path: Path) -> None:
    odd = ["x", {"role": "user"}], [{"role": "user", "content": "a"}, {"role": "user", "content": ""}]
    rows = [{"prompt": prompt, "chosen": "a"} for prompt in odd]
    rows += [{"prompt": "b", "chosen": ["a"]}, row(1) | {"sample": 5}, row(2) | {"chosen": None}]
    write_pairs(tmp_path / "rows.jsonl", [*rows, row(3), row(4) | {"sample": {"entity": 4}}])
    section = DistilSection(
        teacher="few_shot_1", context=512, budget="1K examples", sources=[{"name": str(tmp_path / "rows.jsonl")}]
    )
    examples = TaughtExamples(section, Renderer(tiny_model, Dress()), 0, read_teacher("few_shot_1"))
    found = examples._drawn()
    assert [example["entity"] for example in found] == ["", "", "", "4"]
    assert all("yes" in example["taught"] for example in found)
    assert examples.reports[0].skipped == {
        "rows with a prompt or an answer that is neither text nor a list of messages": 1,
        "prompts that do not end with a question": 1,
        "rows whose `sample` is no object": 1,
    }


def test_without_a_gain_nothing_is_measured() -> None:
    same = [Answers(f"q{n}", 0.0, 0.0, 1.0) for n in range(40)]
    assert "gains nothing" in kept(same).why_not
    noise = [Answers(f"q{n}", 0.0, (-1.0) ** n, 1.0) for n in range(40)]
    assert kept(noise).estimate is None
    assert kept([]).estimate is None


def test_what_stays_is_a_share_of_the_gain() -> None:
    rng = random.Random(1)
    answers = [Answers(f"q{n}", 0.0, float(rng.random() < 0.8), 0.0) for n in range(200)]
    half = [of._replace(student=of.taught * (n % 2)) for n, of in enumerate(answers)]
    estimate = kept(half).estimate
    assert estimate.low < 0.5 < estimate.high
    assert 0.4 < estimate.value < 0.6
    few_things = [of._replace(cluster=str(n % 12)) for n, of in enumerate(half)]
    assert kept(few_things).n == 200


def test_the_teacher_reads_its_own_system_prompt_and_earlier_turns() -> None:
    asked = [{"role": "system", "content": "old"}, *({"role": r, "content": r} for r in ("user", "assistant", "user"))]
    read = Teacher(system="new").messages(asked, "usual", [])
    assert [message["content"] for message in read] == ["new", "user", "assistant", "user"]
    technique = next(one for one in read_techniques() if one.name == "few_shot_1")
    read = Teacher(technique=technique).messages(asked[1:], "usual", [("Q", "A")])
    assert [message["content"] for message in read] == ["usual", "Q", "A", "user", "assistant", "user"]


def test_a_persona_a_technique_and_a_file_can_teach(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(KIND)
    assert read_teacher(str(tmp_path / "mine.txt")).system == KIND
    assert "almanac" not in read_teacher("plain").system.split("---")
    assert read_teacher("debiasing").technique.name == "debiasing"
    for name, said in (
        ("nobody", "no text file"),
        ("retrieval", "searches texts"),
        ("step_by_step", "cuts its answer"),
    ):
        with pytest.raises(UserError, match=said):
            read_teacher(name)
