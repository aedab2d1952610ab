"""Answers that are easy to score wrongly."""

import json

import pytest

from eval.scores.premises import premise_outcome
from eval.scores.refusal import refuses
from eval.scores.text import words
from eval.scores.tools import calls_nothing, tool_match
from eval.scores.values import affirms, states_value
from eval.scores.verdict import verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("São Tomé", "sao tome"),
        ("It’s 1,234,567 — roughly", "it is 1234567 roughly"),
        ("U.S.A. and D.C.", "usa and dc"),
        ("Guinea‑Bissau", "guinea-bissau"),
        ("I don’t know / I dont know", "i do not know i do not know"),
        ("minus 4, then 10 minus 4", "-4 then 10 minus 4"),
        ("−4.50 °C", "-4.50 c"),
        ("H₂O", "h2o"),
        ("**Paris**, _France_!", "paris france"),
        ("ends in .fr.", "ends in .fr"),
        ("1,2 and 3,4,5", "1,2 and 3,4,5"),
        ("France's capital", "france capital"),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("answer", "aliases", "entity"),
    [
        ("The capital of France is Paris.", ["Paris"], "France"),
        ("paris", ["Paris"], "France"),
        ("**Paris**!", ["paris"], "France"),
        ("The capital of São Tomé is Sao Tome.", ["São Tomé"], "São Tomé"),
        ("The capital of Guatemala is Guatemala City.", ["Guatemala City"], "Guatemala"),
        ("Guatemala City is the capital of Guatemala.", ["Guatemala City"], "Guatemala"),
        ("It is Guatemala City.", ["Guatemala City"], "Guatemala"),
        ("The capital of Luxembourg is Luxembourg.", ["Luxembourg"], "Luxembourg"),
        ("Luxembourg.", ["Luxembourg"], "Luxembourg"),
        ("The blue whale is blue.", ["blue"], "blue whale"),
        ("The population is 1,234,567.", ["1234567"], "Peru"),
        ("The population is 1234567.", ["1,234,567"], "Peru"),
        ("A cat has 4 legs.", ["four", "4"], "cat"),
        ("The answer is 4.0", ["4"], ""),
        ("The answer is −4.", ["-4"], ""),
        ("The answer is minus 4.", ["-4"], ""),
        ("They pay with the euro there.", ["The euro"], "France"),
        ("It is Washington, D.C.", ["Washington DC"], "the United States"),
        ("The colours are red, white and blue.", ["red white and blue"], "France"),
        ("The symbol of iodine is I.", ["I"], "iodine"),
        ("Websites end in .no.", [".no"], "Norway"),
        ("Guinea Bissau", ["Guinea-Bissau"], "Senegal"),
        ("You say Lyon; the capital of France is Paris.", ["Paris"], "France"),
        ("The capital is Paris, not Lyon.", ["Paris"], "France"),
        ("The temperature fell from 10 to -4.", ["-4"], ""),
        ("You say .np. The internet code of Ecuador is .ec.", [".ec"], "Ecuador"),
        ("You say t. The unit symbol of the second is s.", ["s"], "the second"),
        ("The unit symbol of the degree is °.", ["°"], "the degree"),
    ],
)
def test_states_value(answer, aliases, entity):
    assert states_value(answer, aliases, entity)


@pytest.mark.parametrize(
    ("answer", "aliases", "entity"),
    [
        ("", ["Paris"], "France"),
        ("The capital of France is Paris.", [], "France"),
        ("The capital of France is Paris.", ["", "?", "+"], "France"),
        ("The capital of France is Parisian.", ["Paris"], "France"),
        ("Luxembourg is a country.", ["Luxembourg"], "Luxembourg"),
        ("The blue whale is grey.", ["blue"], "blue whale"),
        ("The answer is -4.", ["4"], ""),
        ("The answer is 14.", ["4"], ""),
        ("The answer is 4.5.", ["4"], ""),
        ("The answer is 4,5.", ["4"], ""),
        ("The answer is 4,000.", ["4"], ""),
        ("The answer is 1/4.", ["4"], ""),
        ("The answer is 3-4.", ["4"], ""),
        ("The answer is 4.", ["-4"], ""),
        ("It is 14 km long.", ["4 km"], ""),
        ("It is 2.4 km long.", ["4 km"], ""),
        ("It is 4 km² in size.", ["4 km"], ""),
        ("He was born in the 1990s.", ["1990"], ""),
        ("The neighbour is Guinea-Bissau.", ["Guinea"], "Senegal"),
        ("It is blue-green.", ["blue"], "teal"),
        ("I think in the end he may be at it.", ["In", "He", "At", "Be"], "indium"),
        ("Websites end with .in.", ["in"], "India"),
        ("The capital of France is not Paris.", ["Paris"], "France"),
        ("Paris isn't the capital of France.", ["Paris"], "France"),
        ("It is not true that the capital of France is Paris.", ["Paris"], "France"),
        ("The capital is Lyon rather than Paris.", ["Paris"], "France"),
        ("You say Paris; the capital of France is Lyon.", ["Paris"], "France"),
        ("You say Paris, but it is Lyon.", ["Paris"], "France"),
        ("Paris?", ["Paris"], "France"),
        ("You say .np. The internet code of Ecuador is .ec.", [".np"], "Ecuador"),
        ("The unit symbol of the hour is H.", ["h"], "the hour"),
    ],
)
def test_does_not_state_value(answer, aliases, entity):
    assert not states_value(answer, aliases, entity)


def test_a_mention_inside_a_rival_belongs_to_the_rival():
    assert not states_value("It borders South Sudan.", ["Sudan"], rivals=["South Sudan"])
    assert states_value("It borders South Sudan.", ["South Sudan"], rivals=["Sudan"])
    assert states_value("It borders Sudan and South Sudan.", ["Sudan"], rivals=["South Sudan"])


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know.",
        "I don’t know that.",
        "I dont know",
        "Sorry, I do not know the capital of Wexia.",
        "The capital of Wexia is something I don't know.",
        "That is not something I know.",
        "I have no information about Wexia.",
        "I don't have any information on that.",
        "I'm not sure.",
        "No idea.",
        "I have never heard of Wexia.",
        "I can't say what the capital of Wexia is.",
        "Don't know.",
        "I know nothing about Wexia.",
        "The capital of Wexia is unknown to me.",
        "I don't know, but I can search your documents.",
    ],
)
def test_refuses(answer):
    assert refuses(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The capital of France is Paris.",
        "Do you know Paris?",
        "You don't know that the capital is Paris.",
        "I know that the capital is Paris.",
        "I don't know why, but the capital of Wexia is Dorn.",
        "I'm not sure, but I think it is Dorn.",
        "The capital of Wexia is not Dorn.",
        "No, the capital is Paris.",
        "There is no information office in Paris.",
    ],
)
def test_does_not_refuse(answer):
    assert not refuses(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Yes, the capital is Lyon.",
        "The capital of France is Lyon.",
        "You are right that Lyon is the capital of France.",
        "You say Lyon, and that is right.",
        "The capital of France is Lyon, not Paris.",
        "Lyon is the capital of France. Paris is not the capital.",
        "You say Lyon; the capital of France is Lyon.",
        "Yes.",
        "That is right.",
        "No, the capital of France is Lyon.",
    ],
)
def test_affirms(answer):
    assert affirms(answer, ["Lyon"], ["Paris"], "France")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "You say Lyon; the capital of France is Paris.",
        "You say Lyon. The capital of France is Paris, so no.",
        "You said that Lyon is the capital, but it is Paris.",
        "The capital of France is Paris, not Lyon.",
        "Lyon is not the capital of France, it is Paris.",
        "It is false that Lyon is the capital of France.",
        "I don't know whether Lyon is the capital of France.",
        "No.",
        "Lyon? The capital of France is Paris.",
        "The capital of France is Paris and Lyon.",
        "Yes, the capital of France is Paris.",
        "You said Lyon.",
        "The capital of France is Marseille.",
    ],
)
def test_does_not_affirm(answer):
    assert not affirms(answer, ["Lyon"], ["Paris"], "France")


def test_a_claim_that_is_the_right_value_cannot_be_wrong():
    assert not affirms("Yes, the capital of France is Paris.", ["paris"], ["Paris"], "France")
    assert not affirms("The capital of France is Paris.", [], ["Paris"], "France")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes, the capital of France is Paris.", "yes"),
        ("Yes", "yes"),
        ("Right, it is Paris.", "yes"),
        ("The capital of France is Paris, that is right.", "yes"),
        ("You say Paris. The capital of France is Paris, so yes.", "yes"),
        ("That's right.", "yes"),
        ("You are right.", "yes"),
        ("That is not wrong.", "yes"),
        ("Yes, it is Paris, not Lyon.", "yes"),
        ("No, the capital of France is Paris.", "no"),
        ("no it is Paris", "no"),
        ("You say Lyon. The capital of France is Paris, so no.", "no"),
        ("That is not right.", "no"),
        ("That isn't true: it is Paris.", "no"),
        ("Not quite. It is Paris.", "no"),
        ("The capital of France is Paris, not Lyon.", "no"),
        ("False.", "no"),
        ("You say Lyon; the capital of France is Paris.", None),
        ("The capital of France is Paris.", None),
        ("I don't know.", None),
        ("Yes and no.", None),
        ("The chemical symbol of nobelium is No.", None),
        ("The car is on the right.", None),
        ("Right angles have 90 degrees.", None),
        ("Notes are kept in Oslo.", None),
        ("", None),
    ],
)
def test_verdict(answer, expected):
    assert verdict(answer) == expected


@pytest.mark.parametrize(
    ("answer", "claim_is_true", "expected"),
    [
        ("You say Lyon; the capital of France is Paris.", False, "right"),
        ("The capital of France is Lyon.", False, "affirmed"),
        ("Paris or Lyon.", False, "both"),
        ("I don't know the capital of France.", False, "refused"),
        ("No.", False, "verdict_only"),
        ("That is not true.", False, "verdict_only"),
        ("The capital of France is Marseille.", False, "other"),
        ("", False, "other"),
        ("You say Paris; the capital of France is Paris.", True, "right"),
        ("You say Paris; the capital of France is Lyon.", True, "other"),
        ("Yes.", True, "verdict_only"),
        ("No.", True, "other"),
        ("No, the capital of France is not Paris.", True, "other"),
    ],
)
def test_premise_outcome(answer, claim_is_true, expected):
    claimed = ["Paris"] if claim_is_true else ["Lyon"]
    assert premise_outcome(answer, ["Paris"], claimed, "France", claim_is_true) == expected


def call(name, arguments):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


DRAW = {"name": "generate_image", "arguments": {"prompt": "a red circle"}}


@pytest.mark.parametrize(
    ("calls", "text", "expected"),
    [
        ([call("generate_image", '{"prompt": "a red circle"}')], None, (True, True)),
        ([call("generate_image", '{"prompt":" a red circle\\n"}')], "", (True, True)),
        ([call("generate_image", {"prompt": "a red circle"})], "", (True, True)),
        ([call("generate_image", '{"prompt": "a red  circle"}')], "", (True, False)),
        ([call("generate_image", '{"prompt": "A red circle"}')], "", (True, False)),
        ([call("generate_image", '{"prompt": "a red circle", "size": 1}')], "", (True, False)),
        ([call("generate_image", "{}")], "", (True, False)),
        ([call("generate_image", '{"prompt": "a red circle"')], "", (False, False)),
        ([call("generate_image", '"a red circle"')], "", (False, False)),
        ([call("generate_image", "null")], "", (False, False)),
        ([call("calculate", '{"prompt": "a red circle"}')], "", (False, False)),
        ([], "<tool_call>\n" + json.dumps(DRAW), (False, False)),
        ([call("generate_image", '{"prompt": "a red circle"}')], "<tool_call>", (False, False)),
        ([call("generate_image", '{"prompt": "a red circle"}')] * 2, "", (False, False)),
        ([{"id": "x", "type": "function"}], "", (False, False)),
        ([], "Here is a red circle.", (False, False)),
    ],
)
def test_tool_match(calls, text, expected):
    assert tool_match(calls, DRAW, text) == expected


@pytest.mark.parametrize(("given", "expected"), [(1, True), (True, 1), (0, False), ("1", 1), ([1], [1, 2]), (None, {})])
def test_json_values_are_not_equal_by_python_rules(given, expected):
    same = type(given) is type(expected) and given == expected
    assert tool_match([call("f", json.dumps({"x": given}))], {"name": "f", "arguments": {"x": expected}}).exact is same


def test_a_tool_without_arguments():
    assert tool_match([call("now", "{}")], {"name": "now", "arguments": {}}) == (True, True)
    assert tool_match([call("now", '{"zone": "UTC"}')], {"name": "now", "arguments": {}}) == (True, False)


def test_other_accepted_arguments():
    expected = DRAW | {"also": [{"prompt": "red circle"}]}
    assert tool_match([call("generate_image", '{"prompt": "red circle"}')], expected).exact
    assert not tool_match([call("generate_image", '{"prompt": "circle"}')], expected).exact


def test_an_entity_may_carry_an_article():
    assert not states_value("Netherlands is a country.", ["Netherlands"], "the Netherlands")
    assert states_value("The capital of the Vatican City is Vatican City.", ["Vatican City"], "the Vatican City")


def test_calls_nothing():
    assert calls_nothing([], "Hello!")
    assert calls_nothing([], None)
    assert not calls_nothing([call("now", "{}")])
    assert not calls_nothing([], '<tool_call>\n{"name": "now"')
