"""Keys, limits and usage in front of a real vLLM, asked by the official client."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest

from prompts.library import persona
from serving.database import Database, database_url
from serving.engine import free_port
from serving.keys import KeyStore, on_database
from serving.limits import UNLIMITED, KeyLimits
from serving.serve import serving
from serving.settings import ServingSettings, read_settings
from tests.conftest import Api

MESSAGES = [{"role": "system", "content": persona()}, {"role": "user", "content": "hi"}]
CHAT = {"model": "taught", "messages": MESSAGES, "temperature": 0}
ENDLESS = CHAT | {"extra_body": {"ignore_eos": True}, "max_tokens": 400, "stream": True}
NOTICED_S = 3.0


@dataclass(frozen=True)
class Guarded:
    """An API that needs keys, in front of the session's vLLM."""

    url: str
    settings: ServingSettings
    opened: ExitStack

    def make_key(self, user: str, limits: KeyLimits = UNLIMITED) -> str:
        async def work(database: Database) -> str:
            return (await KeyStore(database).create(user, user, limits=limits))[1]

        return on_database(work, self.settings)

    def revoke(self, user: str) -> None:
        on_database(lambda database: KeyStore(database).revoke(user), self.settings)

    def client(self, key: str) -> openai.OpenAI:
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, _strict_response_validation=True)
        return self.opened.enter_context(client)

    def usage(self, key: str) -> list[dict]:
        answer = httpx.get(f"{self.url}/api/usage", headers={"x-api-key": key})
        assert answer.status_code == 200, answer.text
        return answer.json()["usage"]


@pytest.fixture(params=["sqlite", "postgresql"])
def guarded(request: pytest.FixtureRequest, api: Api, tmp_path: Path) -> Iterator[Guarded]:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    settings = read_settings(port=free_port(), engine_url=api.engine.base_url, images=False, database_url=url)
    assert database_url(settings).startswith(request.param)
    with serving(settings, "taught") as (address, _), ExitStack() as opened:
        yield Guarded(address, settings, opened)


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_keys_are_needed_from_the_first_on_and_the_last_to_be_revoked_leaves_it_locked(guarded: Guarded) -> None:
    anybody = guarded.client("none")
    assert anybody.models.list().data
    key = guarded.make_key("ada")
    eventually(lambda: guarded_against(anybody))
    ada = guarded.client(key)
    assert ada.chat.completions.create(**CHAT).choices[0].message.content
    guarded.revoke("ada")
    eventually(lambda: guarded_against(ada))
    time.sleep(NOTICED_S)
    assert guarded_against(anybody)


def guarded_against(client: openai.OpenAI) -> bool:
    try:
        client.models.list()
    except openai.AuthenticationError as error:
        return (error.code, error.type) == ("invalid_api_key", "invalid_request_error")
    return False


def test_usage_is_counted_whether_streamed_or_not_and_whether_asked_for_or_not(guarded: Guarded) -> None:
    key, other = guarded.make_key("ada"), guarded.make_key("bob")
    client = guarded.client(key)
    told = client.chat.completions.create(**CHAT).usage
    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    *_, last = client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True})
    assert last.usage == told
    client.completions.create(model="taught", prompt="hi", max_tokens=3)
    refused = CHAT | {"max_tokens": 10**6}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**refused)
    [row] = guarded.usage(key)
    assert (row["user"], row["model"], row["requests"]) == ("ada", "taught", 4)
    assert row["completion_tokens"] == 3 * told.completion_tokens + 3
    assert row["prompt_tokens"] > 3 * told.prompt_tokens
    assert guarded.usage(other) == []


def test_who_leaves_early_is_charged_for_what_was_written(guarded: Guarded) -> None:
    key = guarded.make_key("ada")
    with guarded.client(key).chat.completions.create(**ENDLESS) as stream:
        for _, _ in zip(range(20), stream, strict=False):
            pass
    eventually(lambda: bool(guarded.usage(key)))
    [row] = guarded.usage(key)
    assert 15 <= row["completion_tokens"] <= 400
    assert row["prompt_tokens"] > 0


def test_limits_are_told_as_openai_tells_them(guarded: Guarded) -> None:
    client = guarded.client(guarded.make_key("ada", KeyLimits(requests_per_minute=2)))
    answer = client.chat.completions.with_raw_response.create(**CHAT)
    assert answer.headers["x-ratelimit-limit-requests"] == "2"
    assert answer.headers["x-ratelimit-remaining-requests"] == "1"
    client.chat.completions.create(**CHAT)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**CHAT)
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 30
    assert client.models.list().data


@pytest.mark.parametrize("limits", [KeyLimits(tokens_per_minute=10), KeyLimits(tokens_per_day=10)])
def test_tokens_are_limited_by_what_answers_took(guarded: Guarded, limits: KeyLimits) -> None:
    client = guarded.client(guarded.make_key("ada", limits))
    list(client.chat.completions.create(**CHAT, stream=True))
    with pytest.raises(openai.RateLimitError, match="tokens per"):
        client.chat.completions.create(**CHAT)


def test_users_do_not_share_cached_prompts(guarded: Guarded) -> None:
    """A prompt that one user sent before is read faster by the same user only; vLLM counts what its cache gave."""
    ada, bob = guarded.client(guarded.make_key("ada")), guarded.client(guarded.make_key("bob"))
    secret = CHAT | {"messages": [{"role": "user", "content": "my diary " * 40}], "max_tokens": 1}

    def cached(client: openai.OpenAI) -> int:
        before = cache_hits(guarded)
        client.chat.completions.create(**secret)
        return cache_hits(guarded) - before

    assert cached(ada) == 0
    assert cached(bob) == 0
    assert cached(ada) > 0
    assert cached(guarded.client(guarded.make_key("bob"))) > 0


def cache_hits(guarded: Guarded) -> int:
    text = httpx.get(guarded.settings.engine_url.removesuffix("/v1") + "/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("vllm:prefix_cache_hits_total")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)
