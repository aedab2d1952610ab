"""The prompting suite over HTTP: what a worse, a better and a silent prompt come to, and what is never asked."""

import json

import pytest
from aiohttp import web

from eval.data import Inputs
from eval.prompting.cells import Cell
from eval.records import Record
from eval.replies import Answer
from eval.result import read_result
from eval.scores.prompted import KNOWABLE, extracted
from eval.suites.prompting import SUITE
from eval.tasks.prompting import PROMPTING, questions
from serving.errors import UserError
from tests.unit.eval.almanac_runs import EXAM, FACTS, invoke
from tests.unit.eval.conftest import completion
from tests.unit.eval.threaded_server import ThreadedServer

QUESTION = "title: {}\nmessages:\n  - user: '{}'\n"
RIGHT, WRONG, UNSURE = "The capital is Paris.", "It is Rome.", "I don't know."


class PromptedServer(ThreadedServer):
    """Answers as `answer(messages, number of the question, whether it can be known)` says; `asked` counts requests."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, 0

    def routes(self):
        return ("GET", "/v1/models", self._models), ("POST", "/v1/chat/completions", self._chat)

    async def _models(self, request):
        return web.json_response({"data": [{"id": "tiny"}]})

    async def _chat(self, request):
        messages = (await request.json())["messages"]
        self.asked += 1
        name = messages[-1]["content"].split("?")[0].split()[-1]
        known, number = name.startswith("Land"), int(name.removeprefix("Land").removeprefix("Nowhere"))
        said = self.answer(" ".join(m["content"] for m in messages), number, known)
        return web.json_response(completion({"role": "assistant", "content": said}, (-0.1,)))


@pytest.fixture
def run(write_questions, tmp_path, monkeypatch):
    """Ask a model that answers so, with the prompts given as name -> words; returns the result and what was printed."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))

    def ask(answer, prompts=None, *options, exam=EXAM, name="run"):
        folder = tmp_path / "prompts"
        folder.mkdir(exist_ok=True)
        for title, words in (prompts or {}).items():
            (folder / f"{title}.yaml").write_text(QUESTION.format(title.title(), words))
        given = ("--prompts", folder) if prompts else ()
        with PromptedServer(answer) as server:
            arguments = ("--base-url", server.base_url, "--suite", "prompting", "--out", tmp_path / name)
            said = invoke("run", *arguments, "--questions", write_questions(exam), *given, *options)
            assert said.exit_code == 0, said.output
        return read_result(tmp_path / name), said.output, server.asked

    return ask


def knowing(bad="SHOUT", wrong=20, good="NEVER"):
    """A model that knows two facts in three, fewer when it is shouted at, and all of them under the good prompt."""

    def answer(prompt, number, known):
        if not known:
            return UNSURE if number % 2 else WRONG
        lost = number < wrong if bad in prompt else False
        return RIGHT if (number % 3 or good in prompt) and not lost else WRONG

    return answer


def test_a_worse_prompt_is_found(run):
    result, said, _ = run(knowing(wrong=40), {"shout": "{{ question }} SHOUT", "same": "{{ question }} please"})
    contrast = figures(result)["shout"]
    assert contrast.p < 0.01
    assert contrast.is_worse
    assert figures(result)["same"].p == 1
    assert "Worse than zero-shot: Shout" in said
    assert "No technique is better than zero-shot" in said


def test_a_better_prompt_is_recommended_with_its_uncertainty(run):
    result, said, _ = run(knowing(), {"good": "{{ question }} NEVER", "same": "{{ question }} please"})
    assert "Use Good: +16.7 points (+" in said
    assert figures(result)["good"].is_better
    gain = result.figures["prompting.good.gain"].estimate
    assert gain.low < gain.value < gain.high
    assert gain.value == pytest.approx(1 / 6)
    contrast = figures(result)["good"]
    assert contrast.low < contrast.found.low, "an interval that holds for all of them is wider"
    assert result.figures["prompting.zero_shot.bluff"].estimate.value == 0.5
    assert result.conclusions["prompting"] in said


def figures(result):
    from eval.prompting.comparison import compare_techniques

    return compare_techniques(result.records).contrasts


def test_equal_prompts_share_their_requests_and_are_told_equal(run):
    result, _, asked = run(knowing(), {"equal": "{{ question }}", "zero_shot": "{{ question }}"})
    assert asked == len(EXAM)
    assert result.figures["prompting.equal.gain"].estimate.value == 0
    assert figures(result)["equal"].p == 1


def test_a_prompt_that_makes_it_refuse_everything_is_no_merit(run):
    """Zero-shot bluffs always, so that refusing all would earn it 50 points."""
    answer = lambda prompt, number, known: UNSURE if "HUSH" in prompt else RIGHT if known and number < 5 else WRONG  # noqa: E731
    result, said, _ = run(answer, {"hush": "{{ question }} HUSH", "same": "{{ question }} please"})
    assert "refuses 60 of 60 known questions" in result.figures["prompting.hush.good"].why_not
    assert result.figures["prompting.hush.bluff"].estimate is None
    assert "hush" not in figures(result)
    assert "No technique is better than zero-shot" in said
    assert "Not measurable: Hush" in said


def test_the_search_gives_up_poor_prompts_and_asks_the_rest_afresh(run, tmp_path):
    prompts = {f"p{n}": f"{{{{ question }}}} BAD{n}" for n in range(5)} | {"good": "{{ question }} NEVER"}
    result, said, asked = run(knowing(bad="BAD", wrong=45), prompts)
    assert result.unasked == 0
    assert asked < 0.75 * 7 * len(EXAM)
    assert "Use Good" in said
    assert "dropped 3 of 6 techniques" in said
    again, _, asked_again = run(knowing(bad="BAD", wrong=45), prompts)
    assert asked_again == 0
    assert again.conclusions == result.conclusions
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "records.jsonl").write_text("".join(lines[: len(lines) // 2]))
    assert read_result(tmp_path / "run").unasked > 0
    resumed, _, rest = run(knowing(bad="BAD", wrong=45), prompts)
    assert rest == len(lines) - len(lines) // 2
    assert quality(resumed) == quality(result)
    everything, said, asked = run(knowing(bad="BAD", wrong=45), prompts, "--full", name="full")
    assert asked == 7 * len(EXAM)
    assert "Use Good" in said
    assert everything.figures["prompting.p0.good"].n == len(EXAM)


def quality(result):
    return {key: figure.estimate for key, figure in result.figures.items() if not key.endswith("seconds")}


def test_ours_need_texts_only_for_retrieval(run, tmp_path):
    result, said, _ = run(knowing(), None, "--limit", 24)
    assert "not measured: prompting.retrieval" in said
    assert "retrieval" not in result.records[0].sample["techniques"]
    (tmp_path / "texts.txt").write_text("The capital of Land3 is Paris.\n\nRivers run to the sea.")
    found, _, _ = run(knowing(), None, "--limit", 24, "--documents", tmp_path / "texts.txt", name="searched")
    asked = next(record for record in found.records if record.variant == "retrieval")
    assert "The capital of Land3 is Paris." in asked.sample["messages"][-1]["content"]


def test_a_users_prompt_that_needs_texts_says_so(run, tmp_path):
    (tmp_path / "prompts").mkdir()
    text = QUESTION.format("Found", "{{ passages|join }} {{ question }}") + "passages: 1\n"
    (tmp_path / "prompts" / "found.yaml").write_text(text)
    with pytest.raises(UserError, match="found needs texts to search"):
        run(knowing(), {"same": "{{ question }} please"})


def test_the_answer_is_what_follows_the_last_mark():
    assert extracted("Answer: a\nso\n**Answer: Paris**", "Answer:") == "Paris"
    assert extracted("First this.\nThen that.\nParis.\n", "Answer:") == "Paris."
    assert extracted("It is Rome. ANSWER:\nParis", "Answer:") == "Paris"
    assert extracted("a\nb", "") == "a\nb"
    assert extracted("", "Answer:") == ""


def test_the_answer_that_most_samples_give_counts():
    def record(place, claim, status="ok"):
        scores = {"good_answer": claim == "=Paris", "claim": claim}
        reply = Answer(claim, prompt_tokens=7, completion_tokens=place, latency_s=0.1 * place)
        sample = {KNOWABLE: True, "block": 0}
        if status == "error":
            return Record("prompting", "q", "t", place, "q", "", sample, status, "gone")
        return Record("prompting", "q", "t", place, "q", "", sample, status, reply=reply, scores=scores)

    cell = Cell([record(1, "=Rome"), record(2, "=Paris"), record(3, "=Paris")])
    assert cell.good == 1
    assert cell.tokens == 3 * 7 + 6
    assert cell.seconds == pytest.approx(0.3)
    assert Cell([record(1, "=Rome"), record(2, "=Paris"), record(3, "=Lyon")]).good == 0, "of a tie the first"
    assert Cell([record(1, "", "error"), record(2, "=Paris")]).good == 1
    assert Cell([record(1, "", "error")]).voted is None


def test_no_example_gives_the_answer_away(write_questions):
    exam = [question | {"wording": f"w{n % 7}"} for n, question in enumerate(EXAM)]
    for question in questions(Inputs(questions=write_questions(exam))):
        shown = [asked for side in question["examples"].values() for asked, _ in side]
        by_question = {other["question"]: other for other in exam}
        assert shown
        assert question["question"] not in shown
        assert all(by_question[asked]["wording"] != question["wording"] for asked in shown)
        assert all(answer == "Paris" for _, answer in question["examples"]["known"])
        assert all(answer == "" for _, answer in question["examples"]["unknown"])


def test_a_file_of_ones_own(write_questions):
    rows = [
        {"question": "Largest ocean?", "answers": "Pacific"},
        {"question": "Who lives in Blorb?", "answers": []},
        {"question": "Which is red?", "choices": ["sky", "blood"], "answer": 1},
    ]
    known, unknown, chosen = questions(Inputs(questions=write_questions(rows)))
    assert (known[KNOWABLE], unknown[KNOWABLE], chosen[KNOWABLE]) == (True, False, True)
    assert chosen["question"] == "Which is red?\nA. sky\nB. blood"
    assert (chosen["answers"], chosen["wrong"]) == (["blood"], ["sky"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "Largest ocean?"}, "no 'answers'"),
        ({"answers": ["x"]}, "no 'question'"),
        ({"question": "Which?", "choices": ["a", "b"]}, "'choices' without the 'answer'"),
    ],
)
def test_a_line_that_cannot_be_asked_is_named(write_questions, row, said):
    with pytest.raises(UserError, match=f"exam.jsonl:1 .*{said}"):
        questions(Inputs(questions=write_questions([row])))


def test_the_exam_gives_as_many_known_as_unknown(write_questions):
    asked = questions(Inputs(questions=write_questions(EXAM[: FACTS + 20])))
    assert [sum(question[KNOWABLE] is side for question in asked) for side in (True, False)] == [20, 20]


def test_a_record_can_be_asked_again_as_it_was(run):
    result, _, _ = run(knowing(), None, "--limit", 12)
    for record in result.records:
        body = PROMPTING.asking(record.sample, False).body
        assert body["messages"] == record.sample["messages"]
        assert body.get("seed") == (record.repeat if record.variant == "self_consistency" else None)
        assert "tools" in body


def test_the_headlines_are_figures(run):
    result, _, _ = run(knowing(), {"same": "{{ question }} please"})
    assert set(SUITE.headlines) <= result.figures.keys()
    assert json.loads((result.folder / "summary.json").read_text())["unasked"] == 0
