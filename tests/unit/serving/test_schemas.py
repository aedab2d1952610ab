"""Schemas that are defined by themselves, and those that only nest."""

import pytest

from serving.api.errors import ApiError
from serving.api.parameters import check_chat
from serving.api.schemas import is_circular

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
A_TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"}, "all": {"$ref": "#"}}}},
}
CIRCULAR = [
    {"$ref": "#"},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
    {"properties": {"x": {"allOf": [{"$ref": "#/properties/x"}]}}},
    {"properties": {"a/b~c": {"$ref": "#/properties/a~1b~0c"}}},
]
FINE = [
    A_TREE,
    {"$ref": "#/$defs/missing"},
    {"$ref": "http://example.com/#"},
    {"$ref": 7, "anyOf": "x"},
    {"type": "array", "items": {"$ref": "#"}},
    {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "null"}}},
]


@pytest.mark.parametrize("schema", CIRCULAR)
def test_one_that_is_defined_by_itself_is_refused_wherever_it_stands(schema: dict) -> None:
    assert is_circular(schema)
    wanted = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        "structured_outputs": {"json": schema},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
    }
    for param, value in wanted.items():
        with pytest.raises(ApiError, match="itself") as caught:
            check_chat(CHAT | {param: value})
        assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("schema", FINE)
def test_others_pass(schema: dict) -> None:
    assert not is_circular(schema)
    check_chat(CHAT | {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]})


def test_many_references_are_looked_at_once() -> None:
    chain = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(100_000)}
    assert not is_circular({"$defs": chain, "$ref": "#/$defs/d0"})
    chain["d99999"] = {"$ref": "#/$defs/d50000"}
    assert is_circular({"$defs": chain, "$ref": "#/$defs/d0"})
