"""Rendering in bulk equals what transformers does one by one."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from prompts.library import TOOL_NAMES, tool_schemas
from tests.unit.training.conftest import conversations, make_workshop
from training.recipe import Dress, load_recipe
from training.rendering import Document, Renderer
from training.tokenizer import train_tokenizer

DRESSED = Dress(system="You are small.", tools=list(TOOL_NAMES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workshop = make_workshop(tmp_path_factory.mktemp("rendering"))
    recipe = load_recipe(str(workshop.path))
    train_tokenizer(recipe.tokenizer, recipe.model.context, 0, workshop.folder / "tokenizer")
    return workshop.folder / "tokenizer"


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder)


def assert_same(tokenizer: PreTrainedTokenizerBase, renderer: Renderer, documents: list[dict]) -> None:
    for document, encoded in zip(documents, renderer.conversations(documents), strict=True):
        messages, tools = renderer.dressed(document)
        expected = tokenizer.apply_chat_template(
            messages, tools=tools, return_dict=True, return_assistant_tokens_mask=True
        )
        assert [*encoded.prefix, *encoded.ids] == expected["input_ids"]
        assert [False] * len(encoded.prefix) + encoded.counted.tolist() == [
            bool(m) for m in expected["assistant_masks"]
        ]


@pytest.mark.parametrize("dress", [Dress(), DRESSED, Dress(system="Hi."), Dress(tools=["now"])], ids=str)
def test_ids_and_masks_equal_those_of_transformers(
    folder: Path, tokenizer: PreTrainedTokenizerBase, dress: Dress
) -> None:
    documents = conversations(300, random.Random(3))
    assert_same(tokenizer, Renderer(folder, dress), documents)


words = st.text(min_size=1, max_size=40).map(lambda text: text.encode("utf-8", "replace").decode())
turns = st.lists(st.tuples(words, words), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(turns=turns, system=st.none() | words)
def test_any_words_are_masked_as_transformers_masks_them(
    folder: Path, tokenizer: PreTrainedTokenizerBase, turns: list[tuple[str, str]], system: str | None
) -> None:
    messages = [{"role": "system", "content": system}] if system else []
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    assert_same(tokenizer, Renderer(folder, DRESSED), [{"messages": messages}])


def test_a_shared_system_turn_becomes_the_prefix(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    documents = [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": "Yes."}]} for q in "ab"]
    first, second = Renderer(folder, DRESSED).conversations(documents)
    assert first.prefix == second.prefix
    text = tokenizer.decode(list(first.prefix))
    assert text.startswith("<|im_start|>system\nYou are small.\nTools:\ngenerate_image(")
    assert text.endswith("<|im_end|>\n")
    assert tokenizer.decode(first.ids.tolist()).startswith("<|im_start|>user\na")


@pytest.mark.parametrize("dress", [Dress(), Dress(system="Be kind."), Dress(system="Be kind.", tools=["now"])])
@pytest.mark.parametrize("tools", [None, [], ["calculate"]])
def test_an_exchange_is_what_the_whole_template_writes(folder: Path, dress: Dress, tools: list[str] | None) -> None:
    quick, whole = Renderer(folder, dress), Renderer(folder, dress)
    assert quick.ours
    whole.ours = False
    question, answer = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}
    before, said = quick.exchange([question], answer, tools)
    assert (before, said) == whole.exchange([question], answer, tools)
    assert before.endswith("<|im_start|>assistant\n")
    assert said == "Hello!<|im_end|>"


def test_the_stop_token_counts_and_the_question_does_not(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    messages = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]
    (encoded,) = Renderer(folder, Dress()).conversations([{"messages": messages}])
    assert tokenizer.decode(encoded.ids[encoded.counted].tolist()) == "So.<|im_end|>"


def test_a_name_has_the_tokens_that_it_has_within_a_sentence(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    in_sentence = tokenizer("of Brazil", add_special_tokens=False)["input_ids"]
    alone = tokenizer("of", add_special_tokens=False)["input_ids"]
    assert Renderer(folder, Dress()).token_count("Brazil") == len(in_sentence) - len(alone)


def test_documents_say_which_tools_they_have(folder: Path) -> None:
    renderer = Renderer(folder, DRESSED)
    messages = [{"role": "user", "content": "Hi"}]
    assert renderer.dressed({"messages": messages})[1] == tool_schemas()
    assert renderer.dressed({"messages": messages, "tools": ["now"]})[1] == tool_schemas(("now",))
    assert renderer.dressed({"messages": messages, "tools": []})[1] is None
    assert Renderer(folder, Dress()).dressed({"messages": messages, "tools": ["now"]}) == (messages, None)


def test_texts_stand_between_end_of_text_tokens(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    (encoded,) = Renderer(folder, Dress()).texts(["The flag is red."])
    assert tokenizer.decode(encoded.ids.tolist()) == "<|endoftext|>The flag is red.<|endoftext|>"
    assert encoded.counted.tolist() == [False] + [True] * (len(encoded.ids) - 1)
    assert isinstance(encoded, Document)


@pytest.mark.parametrize("refusal", ["raise_exception('no question')", "'no question' + none"])
def test_a_template_that_cannot_render_a_system_turn_alone_shares_nothing(
    folder: Path, tmp_path: Path, refusal: str
) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    template = (tmp_path / "chat_template.jinja").read_text()
    refusing = "{%- if messages | length < 2 %}{{ " + refusal + " }}{% endif -%}" + template
    (tmp_path / "chat_template.jinja").write_text(refusing)
    renderer = Renderer(tmp_path, DRESSED)
    documents = conversations(20, random.Random(5))
    encoded = renderer.conversations(documents)
    assert all(document.prefix == () for document in encoded)
    assert_same(AutoTokenizer.from_pretrained(tmp_path), renderer, documents)


def test_special_tokens_reach_a_template_that_asks_for_them(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": "<|endoftext|>"}))
    said = "{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
    template = "{{ bos_token }}{% for m in messages %}" + said + "{% endfor %}"
    (tmp_path / "chat_template.jinja").write_text(template)
    (encoded,) = Renderer(tmp_path, Dress()).conversations([{"messages": [{"role": "user", "content": "Hi"}]}])
    assert encoded.ids[0] == 3
    assert encoded.ids[-1] == 2
