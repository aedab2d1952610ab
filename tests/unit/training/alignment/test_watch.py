"""Over-optimisation: training stops when the held-out quality stays below its best, and good weights come back."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerControl, TrainerState

from training.alignment.rewards import ScoreReward, as_answer
from training.alignment.section import RlooSection
from training.alignment.watch import Watch, greedy_answers

ROW = {"prompt": "Say 1.", "sample": json.dumps({"group": "no_tool", "tool": None}), "scores": ["no_call"]}


@pytest.fixture
def section() -> RlooSection:
    return RlooSection(
        budget="1K examples",
        sources=[{"name": "almanac"}],
        quality=["no_call"],
        check_every=5,
        patience=2,
        tolerance=0.1,
    )


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    return AutoModelForCausalLM.from_pretrained(tiny_model)


@pytest.fixture
def watch(section: RlooSection, tiny_model: Path, tmp_path: Path) -> Watch:
    watch = Watch(section, AutoTokenizer.from_pretrained(tiny_model), [ROW], tmp_path / "kept")
    watch.go_on_from(None)
    return watch


@pytest.mark.parametrize(
    ("qualities", "falls"),
    [([0.5], False), ([0.5, 0.3, 0.3], True), ([0.5, 0.3, 0.45], False), ([0.5, 0.45, 0.45, 0.45], False)],
)
def test_it_falls_when_all_of_the_last_looks_are_worse(watch: Watch, qualities: list[float], falls: bool) -> None:
    watch.looks = list(enumerate(qualities))
    assert watch.is_falling is falls


def test_it_stops_training_and_puts_the_last_good_weights_back(
    watch: Watch, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([0.5, 0.9, 0.85, 0.2, 0.1])
    monkeypatch.setattr(watch, "_quality", lambda model: next(seen))
    state, control = TrainerState(max_steps=100), TrainerControl()
    weight = model.model.embed_tokens.weight
    watch.on_train_begin(None, state, control, model=model)
    for step in range(1, 21):
        state.global_step = step
        with torch.no_grad():
            weight.fill_(float(step))
        watch.on_step_end(None, state, control, model=model)
    assert watch.looks == [(0, 0.5), (5, 0.9), (10, 0.85), (15, 0.2), (20, 0.1)]
    assert control.should_training_stop
    watch.restore(model)
    assert weight[0, 0].item() == 10.0  # as good as the best, and learnt longer
    assert watch.kept == 0.85


def test_an_interrupted_run_goes_on_with_what_it_saw(watch: Watch, model, tmp_path: Path) -> None:
    state, control = TrainerState(max_steps=100), TrainerControl()
    watch.on_train_begin(None, state, control, model=model)
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    watch.add_to_checkpoint(checkpoint)
    again = Watch(watch.section, watch.tokenizer, [ROW], tmp_path / "kept")
    again.go_on_from(checkpoint)
    assert again.looks == watch.looks
    again.on_train_begin(None, state, control, model=model)
    assert len(again.looks) == 1


def test_answers_end_at_their_end(model, watch: Watch) -> None:
    end = watch.tokenizer.eos_token_id
    answers = greedy_answers(model, watch.tokenizer, ["Say 1.", "Say a longer thing."], 6)
    assert [len(answer) <= 6 and end not in answer[:-1] for answer in answers] == [True, True]


def test_an_answer_is_split_into_calls_and_words() -> None:
    said = as_answer('Well. <tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>')
    assert (said.text, said.tool_calls[0]["function"]) == ("Well.", {"name": "now", "arguments": "{}"})
    broken = as_answer('<tool_call>\n{"name": "now"\n</tool_call>')
    assert broken.tool_calls == []
    assert "<tool_call>" in broken.text


def test_a_score_rewards_only_examples_that_name_it(watch: Watch) -> None:
    reward = ScoreReward("no_call", watch.tokenizer)
    ids = [watch.tokenizer("Hello.")["input_ids"]] * 2
    assert reward(completion_ids=ids, sample=[ROW["sample"]] * 2, scores=[["no_call"], []]) == [1.0, None]


def test_a_score_that_is_better_low_is_a_cost(watch: Watch) -> None:
    assert ScoreReward("bluffs", watch.tokenizer).sign == -1.0
