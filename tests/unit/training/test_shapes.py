"""Row shapes: every known one becomes the same conversation, and nothing else gets through."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.corpus.shapes import ShapeError, to_document
from training.corpus.sources import schemas_of, words_of


def talk(*words: str) -> list[dict]:
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(words)]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": talk("Hi", "Hello")},
        {"prompt": "Hi", "completion": "Hello"},
        {"prompt": talk("Hi"), "completion": talk("", "Hello")[1:]},
        {"instruction": "Hi", "input": "", "output": "Hello"},
        {"question": "Hi", "answer": "Hello"},
        {"question": "Hi", "answers": ["Hello", "Hallo"]},
        {"turns": ["Hi", "Hello"]},
        {"turns": ["Hi", "Hello", "and then nobody answers"]},
        {"turns": [{"agent": "2", "text": "Hi"}, {"agent": "1", "text": "Hello"}]},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {
            "conversations": [
                {"from": "gpt", "value": "Yes?"},
                {"from": "user", "value": "Hi"},
                {"from": "gpt", "value": "Hello"},
            ]
        },
    ],
)
def test_known_shapes(row: dict) -> None:
    assert to_document(row, "chat") == {"messages": talk("Hi", "Hello")}


def test_input_context_and_system_find_their_places() -> None:
    assert to_document({"instruction": "Sum", "input": "1 2", "output": "3"}, "chat")["messages"] == talk(
        "Sum\n\n1 2", "3"
    )
    assert to_document({"question": "Who?", "context": "A fox.", "answer": "A fox"}, "chat")["messages"][0] == {
        "role": "user",
        "content": "A fox.\n\nWho?",
    }
    row = {"system": "Be brief.", "prompt": "Hi", "completion": "Hello"}
    assert to_document(row, "chat")["messages"][0] == {"role": "system", "content": "Be brief."}


def test_sharegpt_tool_calls_become_openai_messages() -> None:
    schema = {
        "name": "get_price",
        "description": "Price of a share",
        "parameters": {"type": "object", "properties": {}},
    }
    row = {
        "conversations": [
            {"from": "human", "value": "What does it cost?"},
            {"from": "function_call", "value": '{"name": "get_price", "arguments": {"of": "tea"}}'},
            {"from": "observation", "value": '{"price": 3}'},
            {"from": "gpt", "value": "It costs 3."},
        ],
        "tools": json.dumps([schema]),
    }
    document = to_document(row, "chat")
    call = {"id": "call_1", "type": "function", "function": {"name": "get_price", "arguments": {"of": "tea"}}}
    assert document["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": '{"price": 3}', "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It costs 3."},
    ]
    assert schemas_of(document) == [{"type": "function", "function": schema}]
    assert "get_price" in words_of(document)


def test_names_of_our_tools_become_schemas() -> None:
    document = to_document({"messages": talk("Hi", "Hello"), "tools": ["now"]}, "chat")
    assert schemas_of(document)[0]["function"]["name"] == "now"
    assert schemas_of({"messages": talk("Hi", "Hello")}) == []


def test_one_speaker_twice_in_a_row_is_one_turn_and_long_talk_is_cut_after_an_answer() -> None:
    turns = [
        {"speaker": s, "text": t} for s, t in (("A", "Hi"), ("A", "You"), ("B", "Hello"), ("A", "Well"), ("B", "Yes"))
    ]
    assert to_document({"turns": turns}, "chat")["messages"] == talk("Hi\nYou", "Hello", "Well", "Yes")
    assert to_document({"turns": turns}, "chat", max_messages=3)["messages"] == talk("Hi\nYou", "Hello")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"turns": ["Hi"]}, "no answer"),
        ({"turns": ["Hi", "", "Hm", "Yes"]}, "empty turn"),
        ({"turns": None}, "no list 'turns'"),
        ({"messages": [{"role": "narrator", "content": "Once"}]}, "unknown role"),
        (
            {"conversations": [{"from": "human", "value": "x"}, {"from": "function_call", "value": "{"}]},
            "broken tool call",
        ),
        ({"prompt": "Hi", "completion": "Hello", "tools": ["hammer"]}, "broken tool list"),
        ({"text": "Hi"}, "no known shape"),
    ],
)
def test_rows_that_are_no_conversation(row: dict, reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        to_document(row, "chat")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["user", "gpt", "tool", "{}", "[1]"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "from", "content", "value", "tool_calls", "function", "name", "arguments", "text"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
names = [
    "text",
    "messages",
    "prompt",
    "completion",
    "instruction",
    "output",
    "conversations",
    "question",
    "answer",
    "turns",
    "tools",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=st.dictionaries(st.sampled_from(names), values), kind=st.sampled_from(["text", "chat"]))
def test_no_row_fails_with_anything_but_a_reason(row: dict, kind: str) -> None:
    try:
        document = to_document(row, kind)
    except ShapeError:
        return
    if kind == "chat":
        roles = [message["role"] for message in document["messages"] if message["role"] != "system"]
        assert roles[0] == "user"
        assert roles[-1] == "assistant"
