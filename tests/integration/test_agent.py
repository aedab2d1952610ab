"""The agent in front of a real vLLM: it uses its tools, forgets what does not fit, and stops the engine when left."""

import asyncio
import re
import time
import urllib.request

from openai import OpenAI

from tests.conftest import Api

QUESTION = {"role": "user", "content": "What is 12 * 7?"}
SONG = [{"role": "user", "content": "Sing."}]
WAIT_S = 60


def counted(api: Api, metric: str) -> float:
    """One of vLLM's own counts, as `num_requests_running` or `generation_tokens_total`."""
    with urllib.request.urlopen(api.engine.base_url.removesuffix("/v1") + "/metrics", timeout=30) as answer:
        return sum(map(float, re.findall(rf"^vllm:{metric}[^\n]* (\S+)$", answer.read().decode(), re.MULTILINE)))


def wait_until_idle(api: Api) -> None:
    deadline = time.monotonic() + WAIT_S
    while counted(api, "num_requests_running"):
        assert time.monotonic() < deadline, "vLLM goes on"
        time.sleep(0.05)


def test_a_trained_model_calls_a_tool_and_reads_its_result(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="assistant", messages=[QUESTION])
    assert answer.choices[0].message.content == "12 * 7 is 84."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > answer.usage.completion_tokens > len("12 * 7 is 84.")


def test_streamed_it_says_the_same_and_tells_its_steps(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="assistant", messages=[QUESTION], stream=True, extra_headers={"X-Homegrown-Steps": "1"}
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "12 * 7 is 84."
    told = [chunk.model_extra["homegrown"] for chunk in chunks if "homegrown" in chunk.model_extra]
    assert [each["type"] for each in told] == ["tool_call", "tool_step"]
    assert told[1]["step"]["said"] == "84"


def test_langchain_may_ask_it_too(api: Api) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="assistant", base_url=f"{api.url}/v1", api_key="none", max_retries=0)
    assert model.invoke("hi").content == "Hello! How can I help?"
    assert "".join(chunk.content for chunk in model.stream(QUESTION["content"])) == "12 * 7 is 84."


def test_what_no_longer_fits_is_forgotten(client: OpenAI) -> None:
    old = [{"role": "user", "content": "x" * 2000}, {"role": "assistant", "content": "y"}]
    answer = client.chat.completions.create(model="assistant", messages=[*old, QUESTION])
    assert answer.choices[0].message.content == "12 * 7 is 84."


def test_a_client_that_goes_stops_vllm(api: Api) -> None:
    whole = api.client().chat.completions.create(model="assistant", messages=SONG).usage.completion_tokens
    before = counted(api, "generation_tokens_total")

    async def leave() -> None:
        from openai import AsyncOpenAI

        async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key="none", max_retries=0) as client:
            asking = asyncio.create_task(client.chat.completions.create(model="assistant", messages=SONG))
            while not await asyncio.to_thread(counted, api, "num_requests_running"):
                assert not asking.done(), "it ended before it could be stopped"
            asking.cancel()
            await asyncio.wait({asking})

    asyncio.run(leave())
    wait_until_idle(api)
    assert counted(api, "generation_tokens_total") - before < whole
