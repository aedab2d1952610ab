"""Our tokenizer: lossless, its tokens where the chat template and the parsers expect them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from prompts.library import chat_template
from serving.errors import UserError
from tests.unit.training.conftest import Workshop, make_workshop
from training.recipe import load_recipe
from training.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workshop = make_workshop(tmp_path_factory.mktemp("tokenizer"))
    recipe = load_recipe(str(workshop.path))
    train_tokenizer(recipe.tokenizer, recipe.model.context, 0, workshop.folder / "tokenizer")
    return workshop.folder / "tokenizer"


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    text = text.encode("utf-8", "replace").decode("utf-8")
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "text", ["  two  spaces ", "\n\n\ttabs\r\n", "a\u0300 é 日本語 🏳️‍🌈", "<tool_call>\n{}\n</tool_call>", "\x00\x7f"]
)
def test_difficult_text_comes_back(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=200, deadline=None)
@given(word=st.text("abcdefghijklmnopqrstuvwxyzAGHI'é", min_size=1, max_size=12))
def test_a_word_has_the_same_pieces_behind_a_blank_and_without_it(
    tokenizer: PreTrainedTokenizerBase, word: str
) -> None:
    first, *rest = tokenizer.tokenize(word)
    assert tokenizer.tokenize(f" {word}") in ([f"Ġ{first}", *rest], ["Ġ", first, *rest])


def test_words_that_are_said_often_take_the_blank_with_them(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.tokenize("The flag of Aro") == ["The", "Ġflag", "Ġof", "ĠAro"]


def test_brackets_stand_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.tokenize('"((1)') == ['"', "(", "(", "1", ")"]


def test_digits_are_single_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.tokenize("1234567") == list("1234567")


def test_tokens_of_the_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    marks = ["<|pad|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"]
    assert [tokenizer.encode(mark) for mark in marks] == [[0], [1], [2], [3]]
    assert tokenizer.decode([1, 2, 3], skip_special_tokens=True) == ""
    call = tokenizer.encode("<tool_call></tool_call>")
    assert len(call) == 2
    assert tokenizer.decode(call, skip_special_tokens=True) == "<tool_call></tool_call>"


def test_the_frame_of_a_call_is_few_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    frame = ['{"name": "', "x", '", "arguments": {"', "y", '": "', "z", '"}}']
    assert tokenizer.tokenize("".join(frame)) == frame
    assert tokenizer.decode(tokenizer.encode("".join(frame)), skip_special_tokens=True) == "".join(frame)
    assert tokenizer.tokenize("<|im_start|>assistant\n") == ["<|im_start|>", "assistant\n"]


def test_settings_that_are_saved(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.bos_token is None
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|pad|>")
    assert tokenizer.model_max_length == 512
    assert tokenizer.chat_template == chat_template()
    assert 300 < len(tokenizer) <= 384  # the text may hold fewer words than the vocabulary has room for


def test_random_tokens_teach_no_tokenizer(workshop: Workshop) -> None:
    recipe = load_recipe(str(workshop.path), ["tokenizer.sources=[{name: copies, kind: text}]"])
    with pytest.raises(UserError, match="holds no text"):
        train_tokenizer(recipe.tokenizer, 512, 0, workshop.folder / "tokenizer")
