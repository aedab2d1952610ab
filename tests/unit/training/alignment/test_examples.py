"""Examples are what the model read and wrote when it was served, and of several messages the one that was a choice."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from prompts.library import persona, tool_schemas
from serving.errors import UserError
from training.alignment.examples import Examples
from training.alignment.section import DpoSection
from training.alignment.trainer import examples as read_back
from training.recipe import Dress
from training.rendering import Renderer

QUESTION = {"role": "user", "content": "2+2?"}


def says(content: str) -> dict:
    return {"role": "assistant", "content": content}


def call(tool: str, number: int = 1, result: str | None = "4") -> list[dict]:
    function = {"name": tool, "arguments": {"expression": "2+2"}}
    asked = {"role": "assistant", "content": "", "tool_calls": [{"id": f"call_{number}", "function": function}]}
    return [asked, {"role": "tool", "tool_call_id": f"call_{number}", "content": result}]


@pytest.fixture
def examples_of(tiny_model: Path, tmp_path: Path):
    """What becomes of rows: the examples, and the reasons why others are left out."""

    def examples_of(*rows: dict, shape: str = "preference") -> tuple[list[dict], list[str]]:
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        section = DpoSection(sources=[{"name": str(file)}], budget="2 examples", batch=2, context=4096)
        found = Examples(section, shape, Renderer(tiny_model, Dress(system="Recipe's.", tools=["now"])), seed=0)
        return found._drawn(), [reason for report in found.reports for reason in report.skipped]

    return examples_of


def test_a_row_that_says_how_it_was_served_is_rendered_so(examples_of, tiny_model: Path) -> None:
    prompt = [{"role": "system", "content": persona()}, QUESTION]
    row = {"prompt": prompt, "chosen": [says("4")], "rejected": [says("5")], "tools": tool_schemas()}
    [example], _ = examples_of(row)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    served = tokenizer.apply_chat_template(prompt, tools=tool_schemas(), add_generation_prompt=True, tokenize=False)
    assert example["prompt"] == served
    [plain], _ = examples_of(row | {"tools": []})
    assert plain["prompt"] == tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)


def test_other_rows_are_dressed_as_the_recipe_says(examples_of) -> None:
    [example], _ = examples_of({"prompt": [QUESTION], "chosen": [says("4")], "rejected": [says("5")]})
    assert "Recipe's." in example["prompt"]
    assert "\nnow(" in example["prompt"]


def test_answers_part_where_one_calls_a_tool_and_the_other_does_not(examples_of) -> None:
    [example], _ = examples_of(
        {"prompt": [QUESTION], "chosen": [*call("calculate"), says("It is 4.")], "rejected": [says("5")]}
    )
    assert example["prompt"].endswith("2+2?<|im_end|>\n<|im_start|>assistant\n")
    assert '"calculate"' in example["chosen"]
    assert "It is 4." not in example["chosen"]
    assert example["rejected"] == "5<|im_end|>"


def test_what_both_did_first_belongs_to_the_prompt(examples_of) -> None:
    [example], _ = examples_of(
        {
            "prompt": [QUESTION],
            "chosen": [*call("calculate", 1), says("It is 4.")],
            "rejected": [*call("calculate", 2), *call("now", 3), says("Late.")],
        }
    )
    assert example["prompt"].count("<tool_call>") == 1
    assert example["chosen"] == "It is 4.<|im_end|>"
    assert '"now"' in example["rejected"]


def test_answers_that_part_at_what_a_tool_returned_are_no_pair(examples_of) -> None:
    pair = {"chosen": [*call("now", 1, "noon"), says("Noon.")], "rejected": [*call("now", 2, "night"), says("Night.")]}
    examples, reasons = examples_of({"prompt": [QUESTION], **pair})
    assert examples == []
    assert reasons == ["pairs that part at what a tool returned"]


NO_TEXTS = "rows with a prompt or an answer that is neither text nor a list of messages"
NO_ROLE = "rows with a message whose `role` is none of system, developer, user, assistant, tool"
NO_CONTENT = "rows with a message whose `content` is no text"
NO_CALL = 'rows with a tool call that is no {"function": {"name": "...", "arguments": {...}}}'
NO_TOOLS = "rows whose `tools` is no list of function schemas or names of our tools"
NO_LABEL = "rows whose `label` is neither true nor false"
NO_JSON = "rows with half a character (a lone surrogate), or a value that is no JSON"


def calls(of: object) -> list[dict]:
    return [{"role": "assistant", "content": None, "tool_calls": [of]}]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"prompt": None}, "rows without a prompt"),
        ({"prompt": [{"role": "user", "content": " "}]}, "empty prompts"),
        ({"prompt": 5}, NO_TEXTS),
        ({"prompt": ["2+2?"]}, NO_TEXTS),
        ({"prompt": [{"content": "2+2?"}]}, NO_ROLE),
        ({"prompt": [{"role": "human", "content": "2+2?"}]}, NO_ROLE),
        ({"prompt": [{"role": "user", "content": [{"type": "text", "text": "2+2?"}]}]}, NO_CONTENT),
        ({"prompt": [{"role": "system"}, QUESTION]}, NO_CONTENT),
        ({"chosen": None}, "rows without an answer"),
        ({"chosen": [says(""), says("4")]}, "rows without an answer"),
        ({"chosen": 5}, NO_TEXTS),
        ({"chosen": says("4"), "rejected": says("5")}, NO_TEXTS),
        ({"chosen": ["4"]}, NO_TEXTS),
        ({"chosen": [says("4") | {"role": "user"}]}, "rows with an answer that is not the assistant's"),
        ({"chosen": [says("5") | {"name": "me"}], "rejected": "5"}, "pairs whose two answers are the same"),
        ({"chosen": calls("now")}, NO_CALL),
        ({"chosen": calls({"name": "now", "arguments": {}})}, NO_CALL),
        ({"chosen": calls({"function": {"name": "now"}})}, NO_CALL),
        ({"chosen": calls({"function": {"arguments": {}}})}, NO_CALL),
        ({"chosen": "4\ud800"}, NO_JSON),
        ({"tools": ["foo"]}, NO_TOOLS),
        ({"tools": "[]"}, NO_TOOLS),
        ({"tools": [{}]}, NO_TOOLS),
        ({"sample": 5}, "rows whose `sample` is no object"),
        ({"scores": 5}, "rows whose `scores` is no list of names"),
        ({"scores": "honesty"}, "rows whose `scores` is no list of names"),
        ({"completion": "4"}, NO_LABEL),
        ({"completion": "4", "label": "no"}, NO_LABEL),
        ({"completion": "4", "label": None}, NO_LABEL),
        ({"completion": 5, "label": True}, NO_TEXTS),
    ],
    ids=repr,
)
def test_a_row_that_teaches_nothing_is_named(examples_of, changed: dict, reason: str) -> None:
    row = {"prompt": [QUESTION], "chosen": [says("4")], "rejected": [says("5")]} | changed
    assert examples_of(row, shape="thumb" if "completion" in changed else "preference") == ([], [reason])


def test_fields_that_are_null_are_as_if_left_out(examples_of) -> None:
    row = {"prompt": "2+2?", "chosen": "4", "rejected": "5"}
    [example], reasons = examples_of(row | {"tools": None, "sample": None, "scores": None})
    assert ([example], reasons) == examples_of(row)
    [thumb], _ = examples_of({"prompt": "2+2?", "completion": "4", "label": 1}, shape="thumb")
    assert thumb["label"] is True


def test_line_separators_of_unicode_survive_on_their_way_to_the_ranks(tiny_model: Path, tmp_path: Path) -> None:
    said = [f"one\u2028two\u2029three\u0085{n}" for n in range(4)]
    rows = [{"prompt": f"{n}?", "chosen": text, "rejected": "no"} for n, text in enumerate(said)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    section = DpoSection(sources=[{"name": str(tmp_path / "rows.jsonl")}], budget="4 examples", batch=2, held_out=0)
    Examples(section, "preference", Renderer(tiny_model, Dress()), seed=0).write(tmp_path, 4)
    written = read_back(SimpleNamespace(data=tmp_path), "training", "prompt", "chosen")
    assert sorted(written["chosen"]) == [f"{text}<|im_end|>" for text in said]


def test_a_thumb_is_about_the_words_after_the_calls(examples_of) -> None:
    [example], _ = examples_of(
        {"prompt": [QUESTION], "completion": [*call("calculate"), says("It is 4.")], "label": True}, shape="thumb"
    )
    assert (example["completion"], example["label"]) == ("It is 4.<|im_end|>", True)
    assert example["prompt"].count("<tool_call>") == 1
    assert "4<|im_end|>" in example["prompt"]


def test_noise_is_learnt_from_and_never_measured_with(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"{n}?", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(200)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = DpoSection(sources=[{"name": str(file), "noise": 0.4}], budget="100 examples", batch=2, held_out=40)
    Examples(section, "preference", Renderer(tiny_model, Dress()), seed=0).write(tmp_path / "data", 100)
    read = {
        part: [json.loads(line)["chosen"] for line in (tmp_path / "data" / f"{part}.jsonl").read_text().splitlines()]
        for part in ("training", "held_out")
    }
    assert all(chosen.startswith("good") for chosen in read["held_out"])
    assert 0.25 < sum(chosen.startswith("bad") for chosen in read["training"]) / len(read["training"]) < 0.55


def mixed(tiny_model: Path, file: Path, kinds: dict[str, float]) -> tuple[Examples, Path]:
    """Eight rows of a file with twice as many of the almanac's own pairs, and where to write them."""
    row = {"prompt": [QUESTION], "chosen": [says("4")], "rejected": [says("5")]}
    file.write_text("".join(json.dumps(row | {"prompt": [says(f"{n}?") | {"role": "user"}]}) + "\n" for n in range(8)))
    sources = [{"name": str(file)}, {"name": "almanac", "weight": 2, "kinds": kinds}]
    section = DpoSection(sources=sources, budget="2 examples", batch=2, context=4096, answer_tokens=512, held_out=0)
    found = Examples(section, "preference", Renderer(tiny_model, Dress(system="Recipe's.", tools=[])), seed=0)
    return found, file.parent / "written"


def test_a_small_budget_keeps_weights_and_loses_no_row_of_a_file(tiny_model: Path, tmp_path: Path) -> None:
    examples, folder = mixed(tiny_model, tmp_path / "rows.jsonl", {"honest": 1.0})
    examples.write(folder, 8)
    assert [report.rows for report in examples.reports] == [8, 16]
    written = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    assert sum("something I don't know" in example["chosen"] for example in written) == 16


def test_a_kind_that_the_almanac_lacks_is_one_sentence(tiny_model: Path, tmp_path: Path) -> None:
    examples, folder = mixed(tiny_model, tmp_path / "rows.jsonl", {"rude": 1.0})
    with pytest.raises(UserError, match="no pairs of the kind rude: name some of right, honest"):
        examples.write(folder, 8)
