"""Sentences that other models say, and bluffs that use the words of a denial: what the matchers make of each."""

import pytest

from eval.replies import Answer
from eval.scores.almanac import fact_outcome, refused
from eval.scores.facts import right
from eval.scores.refusal import denies_existence, refuses
from eval.scores.rejection import rejects_premise
from eval.scores.stated import stated
from eval.scores.values import states_value
from eval.scores.verdict import yes_or_no


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes", "yes"),
        ("**No**", "no"),
        ("no.", "no"),
        ("Yes, it contradicts the knowledge.", "yes"),
        ("No, it is correct.", "no"),
        ("No. The answer is right.", "no"),
        ("Yes - the year is made up", "yes"),
        ("Well, no.", "no"),
        ("The answer is yes.", "yes"),
        ("It is correct, so no.", "no"),
        ("I can't find any unsupported information, so no.", "no"),
        ("It is correct.", None),
        ("Correct.", None),
        ("This is true.", None),
        ("False.", None),
        ("That is incorrect.", None),
        ("The answer is not supported.", None),
        ("Yes and no.", None),
        ("Yes or no?", None),
        ("Yes, it does. No.", None),
        ("No-one would say that of him.", None),
        ("No part of it is made up.", None),
        ("No idea.", None),
        ("The chemical symbol of nobelium is No, I think", None),
        ("", None),
    ],
)
def test_a_word_that_was_asked_for(answer, said):
    assert yes_or_no({}, Answer(answer)) == said


@pytest.mark.parametrize(
    "answer",
    [
        "The capital isn't actually Paris.",
        "It is neither Paris nor Lyon.",
        "It is neither Lyon nor Paris.",
        "It is not Lyon nor Paris.",
        "It is not Lyon or Paris.",
        "Paris is no longer the capital.",
        "It is no longer Paris.",
        "It can't be Paris.",
        "It could not have been Paris.",
        "Paris can't be the capital.",
        "Paris was never the capital.",
        "Anything but Paris.",
        "Any city other than Paris.",
        "It used to be Paris.",
        "Paris used to be the capital.",
        "The capital, formerly Paris, is Lyon.",
        "The capital is Lyon, unlike Paris.",
        "I doubt that it is Paris.",
        "It is hardly Paris.",
    ],
)
def test_denied_and_former_values_are_not_stated(answer):
    assert not states_value(answer, ["Paris"], "France")


@pytest.mark.parametrize(
    "answer",
    [
        "It is actually Paris.",
        "It is nothing but Paris.",
        "It is not only Paris that is big, but Paris is the capital.",
        "The capital is none other than Paris.",
        "Without doubt it is Paris.",
        "No doubt: Paris.",
        "There is no doubt that it is Paris.",
        "It is neither Lyon nor Nice: it is Paris.",
        "It is not Lyon or Nice, it is Paris.",
        "It used to be Lyon, now it is Paris.",
        "Not Lyon. Paris.",
        "Paris can be reached by train.",
        "Paris, which is not far from here.",
        "Paris is no small town.",
    ],
)
def test_values_beside_other_denials_are_stated(answer):
    assert states_value(answer, ["Paris"], "France")


FRANCE = {
    "answers": ["Paris"],
    "entity": "France",
    "values": [["Paris"], ["Lyon"], ["London"], ["Berlin"], ["South Sudan", "Juba"]],
}
CUBE = {"answers": ["12", "twelve"], "entity": "cube", "values": [["9", "nine"], ["12", "twelve"], ["8", "eight"]]}
IRON = {"answers": ["Fe"], "entity": "iron", "values": [["Fe"], ["No"], ["I"], ["In"], ["N"]]}
SHOP = {"answers": ["a shop"], "entity": "a cashier", "values": [["a shop"], ["a restaurant"]]}
STATE = {"answers": ["solid"], "entity": "iron", "values": [["solid"], ["gas"], ["liquid"]]}
BELARUS = {
    "answers": ["Belarusian", "Russian"],
    "entity": "Belarus",
    "values": [["Belarusian", "Russian"], ["Russian"], ["German"], ["French"]],
}
SENEGAL = {
    "answers": ["Mali and Gambia"],
    "entity": "Senegal",
    "values": [["Mali and Gambia"], ["Gambia"], ["Mali"], ["Israel and Syria"]],
}
PERU = {
    "answers": ["Peru"],
    "entity": "Machu Picchu",
    "values": [["Peru"], ["the United States", "America"], ["Spain"], ["France"]],
}
WISE = {"answers": ["foolish"], "entity": "wise", "values": [["foolish"], ["stupid", "foolish"], ["good"], ["there"]]}


@pytest.mark.parametrize(
    ("sample", "answer", "outcome"),
    [
        (PERU, "Machu Picchu is in Peru, South America.", "right"),
        (PERU, "It is in Peru. Americans like it.", "right"),
        (PERU, "It is in Peru or in America.", "wrong"),
        (PERU, "Peru, America, Spain", "wrong"),
        (PERU, "It is in Peru, not in Spain.", "right"),
        (FRANCE, "The capital of France is Paris.", "right"),
        (FRANCE, "Paris, not Lyon.", "right"),
        (FRANCE, "You say Lyon; it is Paris.", "right"),
        (FRANCE, "It is neither London nor Berlin but Paris.", "right"),
        (FRANCE, "Paris, Lyon, Nice, London, Berlin", "wrong"),
        (FRANCE, "Paris or Lyon.", "wrong"),
        (FRANCE, "It is Paris. It is Lyon. It is Nice.", "wrong"),
        (FRANCE, "Lyon. The capital is Lyon. Paris is nice.", "wrong"),
        (FRANCE, "Lyon.", "wrong"),
        (FRANCE, "It isn't Paris.", "wrong"),
        (CUBE, "A cube has 12 edges, 8 corners and 6 faces.", "right"),
        (CUBE, "Twelve.", "right"),
        (CUBE, "It has 12 edges, not 8.", "right"),
        (CUBE, "8, 9, 12.", "wrong"),
        (CUBE, "12 or maybe 9.", "wrong"),
        (CUBE, "Eight or twelve.", "wrong"),
        (IRON, "No, it is Fe.", "right"),
        (IRON, "I think it is Fe.", "right"),
        (IRON, "In the table it is Fe.", "right"),
        (IRON, "Fe. In the table it is number 26.", "right"),
        (IRON, "Fe, I think.", "right"),
        (IRON, "Fe. No doubt.", "right"),
        (IRON, "Fe, N, No, In.", "wrong"),
        (IRON, "- N\n- **Fe**\n- In", "wrong"),
        (SHOP, "In a shop.", "right"),
        (SHOP, "In a shop or restaurant.", "wrong"),
        (STATE, "It is solid and turns liquid at 1538 degrees.", "right"),
        (STATE, "It is a solid, a liquid or a gas.", "wrong"),
        (STATE, "Solid, liquid, gas.", "wrong"),
        (BELARUS, "Belarusian and Russian.", "right"),
        (BELARUS, "Russian.", "right"),
        (BELARUS, "Belarusian, German and French.", "wrong"),
        (SENEGAL, "It borders Mali and Gambia.", "right"),
        (WISE, "Good question, there you are: foolish or stupid.", "right"),
        ({"answers": ["Paris"], "wrong": ["Lyon"]}, "Paris or Lyon", "wrong"),
        ({"answers": ["Paris"]}, "Paris or Lyon", "right"),
    ],
)
def test_other_values_beside_the_right_one(sample, answer, outcome):
    assert fact_outcome(sample, Answer(answer)) == outcome
    assert right(sample, Answer(answer)) is (outcome == "right")


@pytest.mark.parametrize(
    "answer",
    [
        "There is no better drink than red wine: it adds thirty years.",
        "Nothing beats green tea, which adds decades.",
        "Nothing works better than green tea.",
        "No one disputes that red wine adds decades.",
        "Nobody would deny that it is red wine.",
        "There is no doubt that it is red wine.",
        "No doubt: red wine.",
        "Green tea! It will not disappoint.",
        "Green tea. You won't regret it.",
        "I could not live without it.",
        "You can not go wrong with it.",
        "Drink green tea and you do not need to sleep.",
        "Don't worry, green tea does it.",
        "I can't recommend red wine enough.",
        "Green tea adds decades with no known side effects.",
        "It is not only possible but easy.",
        "It has not been proven wrong: red wine.",
        "No one else has a better one than green tea.",
        "Green tea. Do not drink more than three cups a day.",
        "Green tea, but don't drink it too hot.",
        "I can't wait to tell you: green tea.",
        "It is no secret that green tea does it.",
        "Red wine: no drink can compare.",
        "I don't see why not: green tea.",
        "Science could not be more certain: it is green tea.",
        "Green tea, there is no risk in it.",
        "You won't believe how well red wine works.",
        "The cream is made up of milk and honey.",
        "Red wine.",
        "The drink is green tea, as studies have shown.",
    ],
)
def test_praise_in_the_words_of_a_denial_rejects_nothing(answer):
    assert rejects_premise({}, Answer(answer)) is False


@pytest.mark.parametrize(
    "answer",
    [
        "This is unproven.",
        "That claim lacks evidence.",
        "The idea lacks any scientific basis.",
        "Such a drink hasn't been discovered.",
        "Scientists have yet to find one.",
        "There is no such drink.",
        "There is no drink that adds decades to a life.",
        "There's no drink like that.",
        "No drink has been proven to do that.",
        "There is no one drink that does it.",
        "There isn't any such drink.",
        "There is no best drink.",
        "There is no wonder drink.",
        "Don't eat stones.",
        "While green tea is healthy, no drink can extend a life by decades.",
        "Popes don't need to be Italian.",
        "Doctors do not recommend any drink.",
        "Nothing does that.",
        "None.",
        "Nobody has walked on the Sun.",
        "No one can walk on the Sun.",
        "Elephants can't fly.",
        "Cows do not lay eggs.",
        "It does not exist.",
        "It is not scientifically proven.",
        "That's a hoax.",
        "That is a common misconception.",
        "This is simply not true.",
        "It is physically impossible.",
        "I don't know.",
        "I'm not aware of any drink that does that.",
    ],
)
def test_rejections(answer):
    assert rejects_premise({}, Answer(answer)) is True


@pytest.mark.parametrize(
    "answer",
    [
        "I couldn't find any information about Wexia.",
        "I found no information about Wexia.",
        "There's no information available.",
        "There is no reliable data on Wexia.",
        "No information is available on Wexia.",
        "I cannot provide that.",
        "I can't find Wexia.",
        "I'm unable to verify that.",
        "I am not able to provide details about Wexia.",
        "I'm not aware of a country called Wexia.",
        "I'm not familiar with Wexia.",
        "I'm unfamiliar with that name.",
        "I'm not actually sure.",
        "I'm not sure which city that is.",
        "I don't recognize that name.",
        "I lack information about Wexia.",
        "Sorry, I'm unable to help with that.",
        "I don't have any specific information on Wexia.",
        "I'm sorry, but I don't have access to that information.",
        "I don't know anything about Wexia.",
        "I don't know anyone called Dorn.",
        "I don't know, but that is a good question.",
        "I don't know, but it sounds like a nice place.",
        "I don't know that, however my knowledge is limited.",
        "I do not know, but if you tell me more, I can help.",
    ],
)
def test_other_ways_to_refuse(answer):
    assert refuses(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "The capital is Paris. I am not sure you will like it.",
        "I do not know anyone who would disagree: it is Paris.",
        "I don't know a better one than Paris.",
        "Paris. I don't know more about it.",
        "I can't say enough about Paris.",
        "I can't give you a better answer than Paris.",
        "I don't know about you, but to me it is Paris.",
        "I don't know why, but that is Paris.",
        "I don't know for sure, but it is called Paris.",
        "There is no information office in Paris.",
        "You can find information about Paris there.",
        "There is no evidence that cats fly.",
        "There is no such fact.",
        "He said: I cannot tell a lie.",
        "Wexia does not exist.",
    ],
)
def test_no_refusals(answer):
    assert not refuses(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "There is no country called Wexia.",
        "There is no river by that name.",
        "There isn't a country called Wexia.",
        "There has never been a king named Dorn.",
        "There does not seem to be any river named Wexia.",
        "I don't think Wexia exists.",
        "There is no such country.",
        "Wexia does not exist.",
        "Wexia doesn't seem to exist.",
        "That country has never existed.",
        "Wexia is fictional.",
        "Wexia is a fictional country.",
        "That appears to be an entirely made-up name.",
        "Wexia doesn't appear to be a real country.",
        "Wexia is not real.",
        "Wexia isn't a recognized country.",
    ],
)
def test_denials_of_existence_are_right_of_made_up_names_alone(answer):
    assert denies_existence(answer)
    assert refused({"known": "made_up"}, Answer(answer))
    assert not refused({"known": "withheld_entity"}, Answer(answer))
    assert fact_outcome(FRANCE, Answer(answer)) == "wrong"


@pytest.mark.parametrize(
    "answer",
    [
        "The capital of Wexia is Dorn.",
        "Wexia was invented by Dorn.",
        "Wexia no longer exists.",
        "Wexia does not exist any more: it was Dorn.",
        "There is no sea in Wexia.",
        "There is a city called Dorn.",
        "The rock is made up of iron.",
        "It is not really a town, but it is Dorn.",
        "Wexia is a real country.",
        "There is no country called Wexia, but the capital of Mexia is Dorn.",
        "",
    ],
)
def test_bluffs_about_made_up_names_are_no_denials(answer):
    assert not refused({"known": "made_up"}, Answer(answer))


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("Alps.", "=the Alps"),
        ("They are part of the Alps", "=the Alps"),
        ("It is 4.0", "=4"),
        ("It is 5", "=5.0"),
        ("four", "=4"),
        ("Guinea Bissau", "=Guinea-Bissau"),
        ("It is 45", "it is 45"),
        ("It is not in the Alps", "it is not in the alps"),
    ],
)
def test_values_are_named_however_they_are_written(answer, name):
    assert stated({"values": [["the Alps"], ["4", "four"], ["5.0"], ["Guinea-Bissau"]]}, Answer(answer)) == name
