"""Schemathesis attacks every endpoint of our own OpenAPI document, in front of a real vLLM: with what the document
allows and with what it does not. The server must refuse the latter, never fail, and always answer as documented.
"""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis.config import SchemathesisConfig

from tests.conftest import Api

# What is allowed may still not fit this model: a prompt too long, a tool that is not there, a grammar nobody knows.
ALLOWED = ["2xx", "400", "404"]
CONFIG = SchemathesisConfig.from_dict({
    "seed": 1,
    "checks": {"positive_data_acceptance": {"expected-statuses": ALLOWED}},
})  # fmt: skip

FEW = {"max_tokens": 1, "max_completion_tokens": 1, "max_output_tokens": 1}


@pytest.fixture(scope="session")
def document(api: Api) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{api.url}/openapi.json", config=CONFIG)


schema = schemathesis.pytest.from_fixture("document")


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: object) -> object:
    """Two answers of one token are as good as a hundred of a thousand, and what is wrong stays wrong."""
    if not isinstance(body, dict) or not isinstance(body.get("n", 1), int):
        return body
    operation = context.operation.path
    limit = {"/v1/responses": "max_output_tokens", "/v1/chat/completions": "max_completion_tokens"}.get(operation)
    if operation == "/v1/completions":
        limit = "max_tokens"
    if limit is None:
        return body
    few = {"n": min(body["n"], 2)} if "n" in body and 1 <= body["n"] <= 128 else {}
    return {limit: 1} | body | few


@schema.parametrize()
@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_server_does_what_its_document_says(case: schemathesis.Case) -> None:
    case.call_and_validate(timeout=120)


def test_the_document_is_sound(api: Api) -> None:
    document = httpx.get(f"{api.url}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    assert set(document["paths"]) >= {"/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/models/{model}"}
