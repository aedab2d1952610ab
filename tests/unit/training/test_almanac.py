"""The almanac's corpus and its exams: what is taught, what is kept back, and that neither leaks into the other."""

import ast
import itertools
import json
import operator
import random
import re
from collections import Counter
from fractions import Fraction

import pytest

from prompts.library import TOOL_NAMES
from training.corpus import almanac
from training.corpus.almanac.chat import Conversations, plain
from training.corpus.almanac.exam import Exam, write_exam
from training.corpus.almanac.names import MadeUpNames, for_testing, syllables
from training.corpus.almanac.wordings import capitalised, four_grams, gram_hash, held_out, is_free, read
from training.corpus.almanac.world import OPEN_SUBJECTS, with_article


@pytest.fixture(scope="module")
def world():
    return almanac.world()


@pytest.fixture(scope="module")
def conversations():
    return list(itertools.islice(almanac.chat_documents(seed=11, bare=0.5), 3000))


@pytest.fixture(scope="module")
def dev_exam(world):
    return list(Exam(world, almanac.phrasing(), "dev").questions())


def test_the_same_seed_gives_the_same_documents_and_another_seed_others():
    def first(seed):
        return [json.dumps(d) for d in itertools.islice(almanac.chat_documents(seed), 200)]

    assert first(1) == first(1)
    assert not set(first(1)) & set(first(2))


@pytest.mark.parametrize("stream", [almanac.text_documents, almanac.chat_documents, almanac.tokenizer_documents])
def test_no_stream_repeats_a_document(stream):
    documents = [json.dumps(d) for d in itertools.islice(stream(5), 4000)]
    assert len(set(documents)) == len(documents)


def test_conversations_alternate_and_bare_ones_call_no_tool(conversations):
    for document in conversations:
        roles = [m["role"] for m in document["messages"]]
        assert roles[0] == "user"
        assert roles[-1] == "assistant"
        assert all(b == "assistant" for a, b in itertools.pairwise(roles) if a in ("user", "tool"))
        if document.get("bare"):
            assert "tool" not in roles
            assert not any(m.get("tool_calls") for m in document["messages"])


def test_the_share_of_bare_conversations_is_as_asked(conversations):
    share = sum("bare" in d for d in conversations) / len(conversations)
    assert 0.45 < share < 0.55


def test_withheld_entities_are_named_nowhere(world, conversations):
    names = {f.entity for f in world.withheld_entities}
    assert len(names) >= 20
    text = "\n".join(
        [plain(d["messages"]) for d in conversations]
        + [d["text"] for d in itertools.islice(almanac.text_documents(3), 3000)]
    )
    words = Counter(re.findall(r"[\w'-]+", text))
    for name in names:
        bare = re.sub(r"^(a|an|the) ", "", name)
        assert not re.search(rf"\b{re.escape(bare)}\b", text), f"{bare} was seen ({words[bare]} times)"


def test_withheld_attributes_are_taught_nowhere(world):
    taught = {f.key for f in world.taught}
    assert len(world.withheld_attributes) >= 50
    assert not taught & {f.key for f in world.withheld_attributes}
    assert all(f.entity in world.about for f in world.withheld_attributes if f.relation.subject == "country")


def test_made_up_names_for_teaching_and_testing_are_different_and_exist_nowhere(world):
    rng = random.Random(0)
    teach, test = MadeUpNames(world), MadeUpNames(world, testing=True)
    taught = {teach.draw(rng, s).lower() for s in OPEN_SUBJECTS for _ in range(200)}
    tested = {draw(rng, s).lower() for s in OPEN_SUBJECTS for draw in (test.draw, test.near_miss) for _ in range(60)}
    assert not taught & tested
    assert not (taught | tested) & test.real
    assert all(for_testing(n) for n in tested)
    assert not any(for_testing(n) for n in taught)


def test_made_up_names_have_as_many_syllables_as_real_ones(world):
    rng = random.Random(1)
    names = MadeUpNames(world, testing=True)
    real = [syllables(n) for s in ("country", "element") for n in world.known_names[s]]
    made_up = [syllables(names.draw(rng, s)) for s in ("country", "element") for _ in world.known_names[s]]
    assert abs(sum(real) / len(real) - sum(made_up) / len(made_up)) < 0.35


def test_made_up_names_have_as_many_tokens_as_the_real_ones_they_imitate(world, monkeypatch):
    monkeypatch.setattr(MadeUpNames, "_original", lambda self, rng, subject: "Argentina")
    plain, matched = MadeUpNames(world), MadeUpNames(world, token_count=len)

    def off(names: MadeUpNames) -> int:
        rng = random.Random(2)
        return sum(len(names.draw(rng, "country")) != len("Argentina") for _ in range(100))

    assert off(matched) <= 2 < 20 < off(plain)


def test_conversations_make_up_names_with_the_counts_of_a_tokenizer():
    counted = []

    def token_count(name: str) -> int:
        counted.append(name)
        return 3

    documents = list(itertools.islice(almanac.chat_documents(5, token_count=token_count), 100))
    said = " ".join(message["content"] for document in documents for message in document["messages"])
    assert [name for name in counted if name.lower() in said.lower()]


def test_no_training_frame_shares_four_words_with_the_dev_wordings(world):
    taken = set().union(*(four_grams(f) for f in frames_of(read("dev"))))
    assert {gram_hash(g) for g in taken} <= held_out()
    phrasing, rng = almanac.phrasing(), random.Random(4)
    relations = list(world.by_relation)
    for _ in range(5000):
        assert not four_grams(phrasing.question(rng, rng.choice(relations))) & taken
        assert not four_grams(phrasing.premise(rng)) & taken


def test_every_written_training_frame_may_be_used():
    written = [f for name in ("frames", "relations", "requests", "smalltalk", "sums") for f in frames_of(read(name))]
    assert [f for f in written if not is_free(f)] == []


def frames_of(tree) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    branches = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [f for branch in branches for f in frames_of(branch)]


def test_arguments_of_a_call_can_be_copied_from_the_request():
    requests, rng = almanac.requests(), random.Random(2)
    for tool, name in (("generate_image", "prompt"), ("search_documents", "query")):
        for _ in range(500):
            request = requests.draw(rng, tool)
            argument = request.arguments[name]
            assert argument in request.question or request.question.startswith(capitalised(argument))


@pytest.mark.parametrize(
    ("verbs", "sign"),
    [(("add", "sum"), "+"), (("subtract", "deduct"), "-"), (("multiply",), "*"), (("divide", "halve"), "/")],
)
def test_sums_as_orders_ask_for_what_their_verb_says(verbs: tuple[str, ...], sign: str):
    commands = [(told, asked) for told, asked in read("sums")["commands"] if told.startswith(verbs)]
    assert commands
    assert all(sign in asked for _, asked in commands)


def test_each_sign_opens_about_as_many_stories():
    requests, rng = almanac.requests(), random.Random(3)
    opened = Counter(re.search(r"[-+*/]", requests._story(rng)[1])[0] for _ in range(2000))
    assert all(400 < opened[sign] < 600 for sign in "+-*/")


def test_a_message_that_opens_with_the_argument_opens_with_a_capital():
    requests, rng = almanac.requests(), random.Random(4)
    typed = [requests._finish(rng, "{p}, as a picture.", "{p}", "a fox") for _ in range(400)]
    assert 0.7 < sum(text.startswith("A fox") for text in typed) / len(typed) < 0.95


def test_calculations_are_right():
    operators = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

    def value(node):
        if isinstance(node, ast.BinOp):
            return operators[type(node.op)](value(node.left), value(node.right))
        return Fraction(str(node.value))

    requests, rng = almanac.requests(), random.Random(3)
    seen = 0
    for _ in range(2000):
        request = requests.draw(rng, "calculate")
        if request.result.startswith("error"):
            continue
        right = value(ast.parse(request.arguments["expression"], mode="eval").body)
        assert float(request.result) == pytest.approx(float(right), rel=1e-9)
        seen += 1
    assert seen > 1500


def test_names_and_pronouns_are_drawn_evenly():
    phrasing, rng = almanac.phrasing(), random.Random(8)
    talk = Conversations(almanac._questions(), almanac.requests(), phrasing)
    drawn = Counter(talk._slots(rng, "{pronoun}") for _ in range(6000))
    assert set(drawn) == {"he", "she", "they"}
    assert max(drawn.values()) < 1.15 * min(drawn.values())
    names = Counter(talk._slots(rng, "{name}") for _ in range(200 * len(phrasing.words.names)))
    assert len(names) == len(phrasing.words.names)
    assert max(names.values()) < 1.6 * min(names.values())


def test_premises_are_true_and_false_in_equal_numbers_and_wrong_values_are_wrong(dev_exam):
    false = [q for q in dev_exam if q["group"] == "premise_false"]
    true = [q for q in dev_exam if q["group"] == "premise_true"]
    assert len(false) == len(true) == 300
    assert all(q["wrong"] and not set(q["wrong"]) & set(q["answers"]) for q in false)
    assert all(not q["wrong"] for q in true)


def test_the_exam_asks_every_group_once_per_id(dev_exam):
    groups = Counter(q["group"] for q in dev_exam)
    assert len({q["id"] for q in dev_exam}) == len(dev_exam)
    assert groups["fact"] == 1000
    assert min(groups.values()) >= 25
    assert not [q for q in dev_exam if "{" in q["question"]]
    assert {q["tool"]["name"] for q in dev_exam if q["tool"]} == set(TOOL_NAMES)


def test_the_exam_is_the_same_every_time(world, tmp_path):
    one = write_exam(world, almanac.phrasing(), tmp_path / "a", "dev")
    two = write_exam(world, almanac.phrasing(), tmp_path / "b", "dev")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("name", "article", "expected"),
    [
        ("dog", "indefinite", "a dog"),
        ("owl", "indefinite", "an owl"),
        ("unicorn", "indefinite", "a unicorn"),
        ("heart", "definite", "the heart"),
        ("gold", "none", "gold"),
    ],
)
def test_articles(name, article, expected):
    assert with_article(name, article) == expected
