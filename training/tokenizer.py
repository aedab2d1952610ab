"""A byte-level BPE tokenizer of our own: it holds any UTF-8 text without loss, and digits one by one."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from prompts.library import chat_template
from serving.errors import UserError
from training.corpus.sources import SourceReport, words_of
from training.mixing import documents_of, mixed
from training.recipe import TokenizerSection

PAD, TURN_START, TURN_END, TEXT_END = "<|pad|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIAL = [PAD, TURN_START, TURN_END, TEXT_END]
# One token each, but not special: a parser of tool calls must still see them in the decoded text.
TOOL_MARKS = ["<tool_call>", "</tool_call>"]


def train_tokenizer(section: TokenizerSection, context: int, seed: int, folder: Path) -> list[SourceReport]:
    """Learn the vocabulary from the section's sources and save a `PreTrainedTokenizerFast` in `folder`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=section.vocabulary - len(TOOL_MARKS),
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    reports = [SourceReport(name=source.name) for source in section.sources]
    tokenizer.train_from_iterator(_texts(section, seed, reports), trainer)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in TOOL_MARKS])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=PAD,
        chat_template=chat_template(),
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    return reports


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
