"""A byte-level BPE tokenizer of our own: it holds any UTF-8 text without loss, and digits one by one."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prompts.library import chat_template
from serving.errors import UserError
from training.corpus.sources import SourceReport, words_of
from training.mixing import documents_of, mixed
from training.recipe import TokenizerSection

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.pre_tokenizers import PreTokenizer

PAD, TURN_START, TURN_END, TEXT_END = "<|pad|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIAL = [PAD, TURN_START, TURN_END, TEXT_END]
# One token each, but not special: a parser of tool calls must still see them in the decoded text.
TOOL_MARKS = ["<tool_call>", "</tool_call>"]
# What stands around the arguments of a call and opens a turn is always the same, and would be half of their tokens.
SKELETON = ['{"name": "', '", "arguments": {', '", "arguments": {"', '": "', '"}}', "user\n", "assistant\n"]
BYTES = 256
BLANK = "Ġ"  # how a byte-level vocabulary writes a blank
BLANK_SHARE = 0.4  # of the learnt tokens open with a blank
SAMPLE_EVERY = 4  # documents, to see which do


def train_tokenizer(section: TokenizerSection, context: int, seed: int, folder: Path) -> list[SourceReport]:
    """Learn the vocabulary from the section's sources and save a `PreTrainedTokenizerFast` in `folder`.

    Merges are learnt of words without the blank before them, and blanks are merged last, onto the tokens that most
    often open a word. So a word falls into the same pieces everywhere: " necklace" in a request and "necklace" behind
    the quotation mark of a call differ in their first token only, and that in nothing but the blank.
    """
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    reports = [SourceReport(name=source.name) for source in section.sources]
    marks = [*TOOL_MARKS, *SKELETON]
    learnt = section.vocabulary - len(marks)
    blanks = int(BLANK_SHARE * (learnt - len(SPECIAL) - BYTES))
    tokenizer = _with_blanks(*_learn_words(_texts(section, seed, reports), learnt - blanks), blanks)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in marks])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=PAD,
        chat_template=chat_template(),
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    return reports


def _learn_words(texts: Iterator[str], vocabulary: int) -> tuple["Tokenizer", list[str]]:
    """A tokenizer of `vocabulary` tokens none of which opens with a blank, and a sample of the texts it has read."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    blanks = pre_tokenizers.Split(Regex(r" (?=\S)"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([blanks, _pieces()])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sample = []

    def noted() -> Iterator[str]:
        for number, text in enumerate(texts):
            if number % SAMPLE_EVERY == 0:
                sample.append(text)
            yield text

    tokenizer.train_from_iterator(noted(), trainer)
    return tokenizer, sample


def _with_blanks(words: "Tokenizer", sample: list[str], count: int) -> "Tokenizer":
    """`words` with a blank merged onto the `count` tokens that stand most often behind one in `sample`."""
    from tokenizers import Tokenizer, decoders, models

    seen: Counter[str] = Counter()
    for encoding in words.encode_batch(sample, add_special_tokens=False):
        seen.update(after for before, after in itertools.pairwise(encoding.tokens) if before == BLANK)
    model = json.loads(words.to_str())["model"]
    vocabulary, merges = model["vocab"], [tuple(merge) for merge in model["merges"]]
    for token, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:count]:
        if BLANK + token not in vocabulary:
            merges.append((BLANK, token))
            vocabulary[BLANK + token] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.pre_tokenizer = _pieces()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _pieces() -> "PreTokenizer":
    """What no token reaches across: words with the blank before them, digits, brackets, runs of other marks."""
    from tokenizers import Regex, pre_tokenizers

    brackets = pre_tokenizers.Split(Regex(r" ?[()]"), "isolated")
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, brackets, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def _texts(section: TokenizerSection, seed: int, reports: list[SourceReport]) -> Iterator[str]:
    """What is said in the sources' documents, without the marks of the chat template: those are tokens anyway."""
    if any(source.name == "copies" for source in section.sources):
        raise UserError("tokenizer.sources: the source copies holds no text, so a tokenizer cannot learn from it.")
    streams = [
        (source.weight, documents_of(source, seed, report, once=True))
        for source, report in zip(section.sources, reports, strict=True)
    ]
    words = mixed([(weight, map(words_of, stream)) for weight, stream in streams], len)
    return itertools.islice(words, section.documents)


def forms_of_words(tokenizer: "Tokenizer") -> list[list[int]]:
    """Tokens that are one word with and without a capital or a blank before it, in groups of two or more."""
    groups: dict[str, list[int]] = {}
    for token, place in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        groups.setdefault(token.removeprefix(BLANK).lower(), []).append(place)
    return [group for group in groups.values() if len(group) > 1]
