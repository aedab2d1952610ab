"""The agent in front of a scripted model: what it tells, where it stops, and what it keeps to itself."""

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
import yaml

from assistant.events import Finished, Forgot, Silence, Text, ToolCall, ToolStep, Wish
from assistant.limits import Limits
from prompts.library import persona, tool_schemas
from serving.api.errors import ApiError
from serving.model_folder import Lineage
from tests.unit.assistant.scripted_model import NAME, ScriptedModel, called, refusal, said, tell

ROOT = Path(__file__).parents[3]
LEARNT = ROOT / "training" / "corpus" / "almanac" / "wordings" / "requests.yaml"
TURN = [{"role": "user", "content": "old"}, {"role": "assistant", "content": "answer"}]


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    return tmp_path


def text(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def steps(events: list) -> list[dict]:
    return [event.step for event in events if isinstance(event, ToolStep)]


def sums(body: dict) -> list[dict]:
    """Works out 6 * 7, then says what came of it."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return said("It is ", last["content"], ".")
    return called("calculate", '{"expression": "6 * 7"}')


def test_text_comes_in_pieces_and_the_end_says_what_it_took() -> None:
    with ScriptedModel(lambda body: said("Hel", "lo", finish="length")) as model:
        *pieces, end = tell(model.agent(), "hi", sampling={"top_p": 0.5, "top_k": 3, "seed": 7})
    assert pieces == [Text("Hel"), Text("lo")]
    assert isinstance(end, Finished)
    assert (end.finish_reason, end.usage) == (
        "length",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    )
    assert 0 < end.first_token_s <= end.seconds
    body = model.asked[0]
    assert model.authorization == "Bearer internal"
    assert body["model"] == NAME
    assert (body["top_p"], body["top_k"], body["seed"]) == (0.5, 3, 7)
    assert body["messages"] == [
        {"role": "system", "content": persona("plain")},
        {"role": "user", "content": "hi"},
    ]
    assert body["tools"] == tool_schemas()
    assert "temperature" not in body


def test_a_tool_runs_and_its_result_is_read() -> None:
    with ScriptedModel(sums) as model:
        events = tell(model.agent(), "6 * 7?")
    call, step, *pieces, end = events
    assert call == ToolCall("call_0_calculate", "calculate", '{"expression": "6 * 7"}')
    assert step == ToolStep(
        "call_0_calculate",
        {
            "name": "calculate",
            "arguments": '{"expression": "6 * 7"}',
            "result": "42",
            "said": "42",
            "pictures": [],
            "sources": [],
            "failed": False,
        },
    )
    assert text(pieces) == "It is 42."
    assert end.usage == {"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37}
    *_, calling, result = model.asked[1]["messages"]
    assert calling["tool_calls"][0]["function"] == {"name": "calculate", "arguments": '{"expression": "6 * 7"}'}
    assert result == {"role": "tool", "tool_call_id": "call_0_calculate", "content": "42"}


def test_a_model_of_ours_is_spoken_to_as_it_was_trained(no_models: Path) -> None:
    folder = no_models / "models" / NAME
    folder.mkdir(parents=True)
    (folder / "lineage.json").write_text(Lineage(stage="sft", recipe="almanac").model_dump_json())
    with ScriptedModel(lambda body: said("Hi.")) as model:
        tell(model.agent(), "hi", persona="tutor", instructions="Be rude.")
    assert model.asked[0]["messages"][0] == {"role": "system", "content": persona()}
    assert model.asked[0]["temperature"] == 0
    assert model.asked[0]["tools"] == tool_schemas()


def test_a_model_of_ours_cannot_be_ordered_about_by_what_a_tool_returned(no_models: Path) -> None:
    folder = no_models / "models" / NAME
    folder.mkdir(parents=True)
    (folder / "lineage.json").write_text(Lineage(stage="sft", recipe="almanac").model_dump_json())
    with ScriptedModel(lambda body: called("calculate", '{"expression": "6 * 7"}')) as model:
        events = tell(model.agent(), "6 * 7?")
    assert len(steps(events)) == 1
    assert [body.get("tool_choice", "auto") for body in model.asked] == ["auto", "none"]


def test_who_may_not_draw_gets_no_pictures() -> None:
    def draws(body: dict) -> list[dict]:
        last = body["messages"][-1]
        return said(last["content"]) if last["role"] == "tool" else called("generate_image", '{"prompt": "a boat"}')

    with ScriptedModel(draws) as model:
        events = tell(model.agent(), "draw a boat", may_draw=False)
    [step] = steps(events)
    assert step["failed"]
    assert "lacks the scope" in step["result"]
    assert text(events) == "error: this is not possible right now"


def test_other_models_take_personas_and_instructions() -> None:
    with ScriptedModel(lambda body: said("Hi.")) as model:
        tell(model.agent(), "hi", persona="tutor", instructions="Be brief.", tools=False)
        with pytest.raises(ApiError, match=r"no persona '\.\./secret'") as error:
            tell(model.agent(), "hi", persona="../secret")
    assert error.value.status == 400
    assert model.asked[0]["messages"][0]["content"] == persona("tutor") + "\n\nBe brief."
    assert "tools" not in model.asked[0]


def test_the_last_call_of_the_model_leaves_no_choice_but_to_answer() -> None:
    def loops(body: dict) -> list[dict]:
        return called("calculate", '{"expression": "1 + 1"}', text="Again.")

    with ScriptedModel(loops) as model:
        events = tell(model.agent(), "go")
    assert len(model.asked) == 4
    assert [body.get("tool_choice") for body in model.asked] == [None, None, None, "none"]
    assert len(steps(events)) == 3
    assert isinstance(events[-1], Finished)


def test_tools_are_counted_in_all_and_each() -> None:
    many = [("calculate", '{"expression": "1 + 1"}')] * 4 + [("now", "{}")] * 3

    def greedy(body: dict) -> list[dict]:
        return called(*many[0], *many[1:]) if body["messages"][-1]["role"] == "user" else said("Done.")

    with ScriptedModel(greedy) as model:
        results = [step["said"] for step in steps(tell(model.agent(), "go"))]
        few = [step["said"] for step in steps(tell(model.agent(Limits(tool_calls=1)), "go"))]
    too_much = "error: this is not possible right now"
    assert too_much.removeprefix("error: ") in yaml.safe_load(LEARNT.read_text())["failures"]
    assert results[:4] == ["2", "2", "2", too_much]
    assert [said == too_much for said in results[4:]] == [False, False, True]
    assert [said == too_much for said in few] == [False] + [True] * 6


def test_tokens_are_limited() -> None:
    with ScriptedModel(sums) as model:
        tell(model.agent(Limits(tokens=100)), "go")
        tell(model.agent(Limits(tokens=100)), "go", sampling={"max_tokens": 30})
        tell(model.agent(Limits(tokens=100)), "go", sampling={"max_completion_tokens": 3000})
        spent = tell(model.agent(Limits(tokens=5)), "go")
    lengths = [body.get("max_completion_tokens") or body["max_tokens"] for body in model.asked]
    assert lengths == [100, 95, 30, 25, 100, 95, 5]
    assert not steps(spent)


def test_time_is_limited() -> None:
    with ScriptedModel(lambda body: said("Hi.") if body["messages"][-1]["content"] == "hi" else None) as model:
        tell(model.agent(), "hi")  # the first answer waits for imports
        with pytest.raises(ApiError, match="longer than 2 s") as error:
            tell(model.agent(Limits(seconds=2)), "sing")
        assert error.value.status == 504
        assert model.left.wait(120)


@pytest.mark.parametrize("way", ["close", "cancel"])
def test_whoever_leaves_stops_the_model(way: str) -> None:
    async def leave(model: ScriptedModel) -> None:
        heard = asyncio.Event()

        async def listen() -> None:
            async with aclosing(model.agent().answer(Wish("user", TURN[:1]))) as events:
                async for _ in events:
                    heard.set()
                    if way == "close":
                        return

        listening = asyncio.create_task(listen())
        await heard.wait()
        if way == "cancel":
            listening.cancel()
        await asyncio.wait([listening])

    with ScriptedModel(lambda body: None) as model:
        asyncio.run(leave(model))
        assert model.left.wait(120)


def test_whoever_leaves_stops_a_tool() -> None:
    begun, ended = asyncio.Event(), []

    class Slow:
        async def has_any(self, user_id: str) -> bool:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(user_id)

    async def leave(model: ScriptedModel) -> None:
        async with aclosing(model.agent(documents=Slow()).answer(Wish("user", TURN[:1]))) as events:
            assert isinstance(await anext(events), ToolCall)
            await begun.wait()
        assert ended == ["user"]

    with ScriptedModel(lambda body: called("search_documents", '{"query": "rent"}')) as model:
        asyncio.run(leave(model))


def test_what_a_tool_cannot_do_is_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def has_any(self, user_id: str) -> bool:
            raise RuntimeError("disk on fire")

    wrong = [
        ("calculate", '{"expression": "1 / 0"}'),
        ("calculate", "[1]"),
        ("format_disk", "{}"),
        ("search_documents", '{"query": "rent"}'),
        ("generate_image", "{}"),
    ]

    def careless(body: dict) -> list[dict]:
        return called(*wrong[0], *wrong[1:]) if body["messages"][-1]["role"] == "user" else said("Sorry.")

    with ScriptedModel(careless) as model:
        events = tell(model.agent(documents=Broken()), "go")
    by_name = {(step["name"], step["said"]) for step in steps(events)}
    assert by_name == {
        ("calculate", "error: division by zero"),
        ("calculate", "error: the arguments are not valid JSON"),
        ("format_disk", "error: there is no tool called format_disk"),
        ("search_documents", "error: the service is not available"),
        ("generate_image", "error: generate_image needs a prompt"),
    }
    assert all(step["failed"] for step in steps(events))
    assert text(events) == "Sorry."
    assert "disk on fire" in caplog.text
    json.dumps(model.asked[1]["messages"])


def test_without_tools_none_runs_though_the_model_calls_one() -> None:
    with ScriptedModel(sums) as model:
        events = tell(model.agent(), "go", tools=False)
    assert [step["said"] for step in steps(events)] == ["error: there is no tool called calculate"]


def too_long(context: int) -> object:
    message = f"This model's maximum context length is {context} tokens. However, your messages resulted in more."
    return refusal(400, message, "context_length_exceeded")


def test_the_oldest_turns_go_until_the_rest_fits() -> None:
    def narrow(body: dict) -> object:
        if len(body["messages"]) + body.get("max_completion_tokens", 0) // 1000 > 5:
            return refusal(
                400, "This model's maximum context length is 4000 tokens. However, ...", "context_length_exceeded"
            )
        return sums(body)

    with ScriptedModel(narrow) as model:
        agent = model.agent()
        events = tell(agent, [*TURN, *TURN, {"role": "user", "content": "new"}])
        known = len(model.asked)
        tell(agent, "new")
    assert [event for event in events if isinstance(event, Forgot)] == [Forgot()] * 2
    assert text(events) == "It is 42."
    assert [message["content"] for message in model.asked[known - 1]["messages"]][1] == "new"
    assert model.asked[known]["max_completion_tokens"] == 2000


def test_a_single_message_that_is_too_long_is_the_callers_error() -> None:
    tried = []

    def full(body: dict) -> object:
        tried.append(body.get("max_completion_tokens"))
        return too_long(100)

    with ScriptedModel(full) as model, pytest.raises(ApiError, match="longer than the model's context") as error:
        tell(model.agent(), "x")
    assert (error.value.status, error.value.code) == (400, "context_length_exceeded")
    assert tried == [8192, 50, None]


def test_a_server_without_tools_is_asked_without() -> None:
    def plain(body: dict) -> object:
        if "tools" in body:
            return refusal(
                400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
            )
        return said("Hi.")

    with ScriptedModel(plain) as model:
        agent = model.agent()
        assert text(tell(agent, "hi")) == text(tell(agent, "hi")) == "Hi."
    assert ["tools" in body for body in model.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "model_not_found"), (429, "rate_limit"), (503, "engine_unavailable")]
)
def test_errors_keep_their_status_and_sentence(status: int, code: str) -> None:
    with (
        ScriptedModel(lambda body: refusal(status, "This is why.", code)) as model,
        pytest.raises(ApiError, match="This is why") as error,
    ):
        tell(model.agent(), "hi", model="other")
    assert (error.value.status, error.value.code, error.value.param) == (status, code, "messages")
    assert model.asked[0]["model"] == "other"


def test_an_engine_that_dies_while_it_answers_is_unavailable() -> None:
    died = {"error": {"message": "The model cannot answer now: it died.", "type": "server_error", "param": None}}

    def dies(body: dict) -> list[dict]:
        return [said("Hel")[0], died | {"error": died["error"] | {"code": "engine_unavailable"}}]

    with ScriptedModel(dies) as model, pytest.raises(ApiError, match="it died") as error:
        tell(model.agent(), "hi")
    assert error.value.status == 503


def test_nobody_there_is_unavailable() -> None:
    with ScriptedModel(sums) as model:
        agent = model.agent()
    with pytest.raises(ApiError, match="cannot be reached") as error:
        tell(agent, "hi")
    assert error.value.status == 503


def test_traces_never_leave_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedModel(sums) as model, ScriptedModel(lambda body: refusal(404, "no")) as collector:
        for name, value in {
            "LANGSMITH_TRACING": "true",
            "LANGCHAIN_TRACING_V2": "true",
            "LANGSMITH_API_KEY": "key",
            "LANGSMITH_ENDPOINT": collector.base_url,
        }.items():
            monkeypatch.setenv(name, value)
        traced: list = []
        monkeypatch.setattr("langsmith.Client.create_run", lambda *given, **named: traced.append(named))
        assert text(tell(model.agent(), "6 * 7?")) == "It is 42."
        assert traced == []


def test_importing_the_agent_does_not_import_langchain() -> None:
    said = (
        "import sys, assistant.agent, assistant.served_model; print([m for m in sys.modules if m.startswith('lang')])"
    )
    shown = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_silence_is_told_to_who_wants_to_know() -> None:
    async def wait(model: ScriptedModel) -> None:
        async with aclosing(model.agent().answer(Wish("user", TURN[:1]), 0.01)) as events:
            assert await anext(events) == Silence()

    with ScriptedModel(lambda body: None) as model:
        asyncio.run(wait(model))
