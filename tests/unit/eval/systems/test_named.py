"""What `--models` may name, and what it says of the rest."""

import pytest

from eval.systems.named import Named, named_systems
from serving.errors import UserError


def test_models_and_endpoints_have_names_of_their_own(monkeypatch):
    monkeypatch.setenv("EXAMPLE_KEY", "secret")
    found = named_systems(["almanac,small=owner/model", "big=https://api.example.com/v1/#org/m:1@EXAMPLE_KEY,runs/my/"])
    assert found == [
        Named("almanac", "almanac"),
        Named("small", "owner/model"),
        Named("big", "org/m:1", "https://api.example.com/v1", "secret"),
        Named("my", "runs/my/"),
    ]
    assert "secret" not in repr(found)


def test_an_endpoint_without_a_name_is_called_by_its_model_or_its_host():
    found = named_systems(["http://127.0.0.1:8000/v1#org/one", "http://127.0.0.1:8000/v1"])
    assert [(one.name, one.model, one.api_key) for one in found] == [
        ("one", "org/one", None),
        ("127.0.0.1-8000", None, None),
    ]


def test_no_key_is_sent_where_none_is_named(monkeypatch):
    monkeypatch.setenv("HOMEGROWN_API_KEY", "of another vendor")
    assert [one.api_key for one in named_systems(["a=http://h/v1#m,b=http://h/v1#n"])] == [None, None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("almanac", "name two or more"),
        ("almanac,almanac", "Two of --models are called 'almanac': give one another name"),
        ("a=x,a=y", "Two of --models are called 'a'"),
        ("a,b=http://h/v1#m@NO_SUCH_KEY_HERE", "variable NO_SUCH_KEY_HERE, which --models names for a key, is not set"),
        ("a,b=http://h /v1", "cannot be read: write name=URL#model@KEY_VARIABLE"),
        ("a,..", "needs a name of letters"),
        ("a,b=http://h/v1#m,c/..", "needs a name of letters"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(text, says):
    with pytest.raises(UserError, match=says):
        named_systems([text])
