"""The suite about tools: what counts as a right call, what to make of a result, and what must not look good."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eval.data import Inputs, rows
from eval.figures import Figure
from eval.records import Record
from eval.replies import Answer
from eval.result import Result
from eval.scores.tools import recovers, repeats_call, same_call, tells_failure, uses_result
from eval.suites.tools import SUITE
from eval.tasks.tools import EACH, EXAM, PROBES, RECOVERY, asking
from prompts.library import FOLDER, TOOL_NAMES, tool_schemas

SUM = {"name": "calculate", "arguments": {"expression": "12 * 7"}, "also": [{"expression": "7 * 12"}]}


def call(name: str, **arguments: str) -> dict:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def calling(name: str, **arguments: str) -> Answer:
    return Answer("", [call(name, **arguments)])


def after(result: str, **fields: object) -> dict:
    """A conversation in which the search for bees has returned `result`."""
    asked = {"role": "user", "content": "Search my documents for bees."}
    searched = {"role": "assistant", "content": "", "tool_calls": [call("search_documents", query="bees")]}
    returned = {"role": "tool", "tool_call_id": "call_1", "content": result}
    return {"id": "1", "messages": [asked, searched, returned], **fields}


def records_of(task, reply_to) -> list[Record]:
    """Every sample with the answer that `reply_to` makes of it; None: an error."""
    records = []
    for sample in task.data(Inputs()):
        reply, place = reply_to(sample), (task.name, sample["id"], "", 0, sample["id"], "0", sample)
        scores = task.score(sample, reply) if reply else {}
        records.append(Record(*place, "ok" if reply else "error", reply=reply, scores=scores))
    return records


def figures_of(task, reply_to) -> dict[str, Figure]:
    sections = task.figures(records_of(task, reply_to))
    return {figure.key: figure for section in sections for figure in section.figures}


def ideal(sample: dict) -> Answer:
    return calling(sample["tool"]["name"], **sample["tool"]["arguments"]) if sample["tool"] else Answer("Hello!")


def ideal_turn(sample: dict) -> Answer:
    return Answer(f"It is {sample['answers'][0]}." if sample["kind"] == "result" else "That did not work.")


@pytest.mark.parametrize("expression", ["12 * 7", "12*7", "12 x 7", "12 × 7", " 7 * 12. "])
def test_blanks_and_signs_make_no_other_call(expression):
    assert same_call({"tool": SUM}, calling("calculate", expression=expression)) is True


@pytest.mark.parametrize("expression", ["12 * 8", "12 + 7", "127", "1 2 * 70", "-12 * 7"])
def test_other_numbers_and_signs_do(expression):
    assert same_call({"tool": SUM}, calling("calculate", expression=expression)) is False


def test_articles_case_and_the_word_picture_make_no_other_call():
    picture = {"tool": {"name": "generate_image", "arguments": {"prompt": "a fox"}}}
    assert same_call(picture, calling("generate_image", prompt="The Fox.")) is True
    assert same_call(picture, calling("generate_image", prompt="A drawing of a fox")) is True
    assert same_call(picture, calling("generate_image", prompt="a box")) is False
    assert same_call(picture, calling("generate_image", prompt="a drawing")) is False
    assert same_call(picture, calling("generate_image", prompt="a", size="fox")) is False
    assert same_call(picture, calling("search_documents", prompt="a fox")) is False


def test_arguments_that_are_no_object_are_wrong():
    broken = {"function": {"name": "calculate", "arguments": '"12 * 7"'}}
    assert same_call({"tool": SUM}, Answer("", [broken])) is False


def test_a_result_is_used_when_it_is_stated():
    sample = after("bees.txt: The hive has 9 frames.", answers=["9"])
    assert uses_result(sample, Answer("It has 9 frames.")) is True
    assert uses_result(sample, Answer("It has 19 frames.")) is False
    assert uses_result(sample, Answer("It has 9 frames.", [call("now")])) is False


@pytest.mark.parametrize(
    "text",
    [
        "That did not work: there are no documents to search.",
        "I found nothing about bees in your documents.",
        "Sorry, the search failed.",
        "I couldn't find any notes on bees.",
        "There are no matching files.",
        "I can't draw right now.",
        "The file is about something else.",
        "Division by zero is undefined.",
        "The result is too large to work out.",
        "There is only a recipe for soup.",
    ],
)
def test_telling_the_user_is_recovery(text):
    assert recovers(after("error: no index"), Answer(text)) is True


@pytest.mark.parametrize("text", ["", "Here are your notes on bees.", "In bees.txt I found: Bees hum.", "bees bees"])
def test_inventing_a_result_is_none(text):
    assert recovers(after("error: no index"), Answer(text)) is False


def test_the_right_answer_without_the_tool_is_recovery():
    sample = after("error: switched off", answers=["2387"])
    assert recovers(sample, Answer("77 * 31 is 2,387.")) is True
    assert recovers(sample, Answer("77 * 31 is 2,378.")) is False


def test_another_call_is_recovery_and_the_same_is_not():
    sample = after("error: timed out")
    assert recovers(sample, calling("search_documents", query="honey")) is True
    assert recovers(sample, calling("search_documents", query="bees")) is False
    assert recovers(sample, Answer("Sorry! <tool_call>")) is False
    assert repeats_call(sample, calling("search_documents", query="bees")) is True
    assert repeats_call(sample, calling("calculate", query="bees")) is False


def test_a_good_result_told_is_no_failure():
    assert not tells_failure("Here is your picture of a fox.")
    assert not tells_failure("12 * 7 is 84.")


@pytest.mark.parametrize("plain", [True, False])
def test_the_tools_are_offered_whatever_is_left_out(plain):
    body = asking({"id": "1", "question": "hi"}, plain).body
    assert body["tools"] == tool_schemas()
    assert [message["role"] for message in body["messages"]] == (["user"] if plain else ["system", "user"])


def test_the_turn_after_a_result_is_asked_with_the_whole_conversation():
    sample = next(iter(RECOVERY.data(Inputs())))
    assert asking(sample, False).body["messages"][1:] == sample["messages"]


def test_an_ideal_model_has_the_best_figures():
    calls, turns = figures_of(PROBES, ideal), figures_of(RECOVERY, ideal_turn)
    assert {f.estimate.value for f in calls.values()} == {1.0}
    assert {f.estimate.value for key, f in turns.items() if not key.startswith("repeats_call")} == {1.0}
    assert {f.estimate.value for key, f in turns.items() if key.startswith("repeats_call")} == {0.0}


def test_a_model_that_never_calls_does_not_look_good():
    figures = figures_of(PROBES, lambda sample: Answer("Hello!"))
    assert figures["no_call"].estimate is None
    assert figures["no_call"].why_not == "it calls a tool for only 0 of 40 requests that need one"
    assert figures["calling"].estimate.value == 0.5
    assert figures["right_tool"].estimate.value == 0


def test_a_model_that_always_calls_is_no_better():
    figures = figures_of(PROBES, lambda sample: calling("now"))
    assert figures["no_call"].estimate.value == 0
    assert figures["calling"].estimate.value == 0.125
    assert figures["right_tool.now"].estimate.value == 1


def test_a_model_that_always_says_it_failed_does_not_look_good():
    figures = figures_of(RECOVERY, lambda sample: Answer("Sorry, that did not work."))
    assert figures["recovers"].estimate is None
    assert figures["recovers"].why_not == "it says of 16 of 16 good results too that they failed"
    assert figures["coping"].estimate.value == 0.5


@pytest.mark.parametrize("text", ["I don't know.", "Sorry, that did not work.", "", "?!"])
@pytest.mark.parametrize("task", [PROBES, RECOVERY])
def test_one_answer_to_everything_never_looks_good(task, text):
    measured = {key: f for key, f in figures_of(task, lambda sample: Answer(text)).items() if f.estimate}
    assert measured
    for key, figure in measured.items():
        value = figure.estimate.value
        assert value <= 0.5 if figure.better == "high" else value >= 0.5, key


def test_a_heading_that_two_tasks_share_says_which():
    probes = records_of(PROBES, ideal)
    exam = [replace(record, task=EXAM.name) for record in probes]
    titles = [section.title for section in Result(Path(), {}, SUITE, [*exam, *probes]).sections]
    assert len(titles) == len(set(titles))
    assert "Right arguments too (tools)" in titles
    assert "Right arguments too (tool_probes)" in titles
    assert "Right arguments too" in [section.title for section in Result(Path(), {}, SUITE, probes).sections]


def test_a_model_in_a_loop_is_seen():
    def again(sample: dict) -> Answer:
        return Answer("", [sample["messages"][1]["tool_calls"][0]])

    figures = figures_of(RECOVERY, again)
    assert {f.estimate.value for key, f in figures.items() if key.startswith("repeats_call")} == {1.0}
    assert figures["coping"].estimate.value == 0


@pytest.mark.parametrize("task", [PROBES, RECOVERY])
def test_errors_leave_nothing_measurable(task):
    figures = figures_of(task, lambda sample: None)
    assert figures
    assert all(figure.estimate is None and figure.why_not for figure in figures.values())


def test_the_exam_is_asked_in_equal_parts(write_questions):
    ask = {"question": "Time?", "answers": [], "tool": {"name": "now", "arguments": {}}}
    questions = [{**ask, "id": f"now-{n}", "group": "tool_now"} for n in range(EACH + 30)]
    questions += [{**ask, "id": f"hi-{n}", "group": "no_tool", "tool": None} for n in range(12)]
    questions += [{**ask, "id": "fact", "group": "fact", "answers": ["x"], "tool": None}]
    asked = EXAM.data(Inputs(questions=write_questions(questions)))
    assert len(asked) == EACH + 12
    assert {question["group"] for question in asked} == {"tool_now", "no_tool"}


@pytest.mark.parametrize("name", ["tools", "tools_recovery"])
def test_the_probes_fit_the_tools(name):
    required = {s["function"]["name"]: set(s["function"]["parameters"]["required"]) for s in tool_schemas(TOOL_NAMES)}
    for probe in rows(FOLDER / "probes" / f"{name}.jsonl"):
        made = [c["function"] for m in probe.get("messages", ()) for c in m.get("tool_calls", ())]
        calls = [(c["name"], json.loads(c["arguments"])) for c in made]
        if tool := probe.get("tool"):
            calls += [(tool["name"], arguments) for arguments in (tool["arguments"], *tool["also"])]
        assert all(set(arguments) == required[name] for name, arguments in calls)
        assert calls or probe["tool"] is None


def test_values_to_be_used_are_in_what_was_returned():
    for probe in rows(FOLDER / "probes" / "tools_recovery.jsonl"):
        if probe["kind"] == "result":
            assert any(answer in probe["messages"][-1]["content"] for answer in probe["answers"])
