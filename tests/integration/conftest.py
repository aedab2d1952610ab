"""How tests ask the server that the whole session shares."""

from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.conftest import Api


@pytest.fixture
def client(api: Api) -> Iterator[openai.OpenAI]:
    """The official client."""
    with api.client() as client:
        yield client


@pytest.fixture
def raw(api: Api) -> Iterator[httpx.Client]:
    """Plain HTTP."""
    with httpx.Client(base_url=api.url, timeout=120) as raw:
        yield raw
