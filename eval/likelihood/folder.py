"""What a model folder says in this process, where a shared context need not travel or be read twice."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.likelihood.split import Piece, Reader, Text, pieces, scored, texts
from eval.replies import Answer, NoAnswer, Scored
from eval.requests import Choose, Continue, Likelihood
from serving.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WINDOW = 2048
"""Read at once by a model that names no limit, as in lm-eval."""


class Folder:
    """A causal language model in Hugging Face's layout, read in float32 whatever it was saved in.

    Raises `UserError` when transformers cannot load the folder.
    """

    def __init__(self, path: Path):
        from eval.likelihood.forward import Forward

        self._model, self._tokenizer = _load(path)
        self._forward = Forward(self._model)
        prefix = self._tokenizer.bos_token_id
        prefix = self._tokenizer.eos_token_id if prefix is None else prefix
        if prefix is None:
            raise UserError(f"The tokenizer of {path} has neither a BOS nor an EOS token: give it one to score texts.")
        self.reader = Reader(prefix, self._tokenizer.decode([prefix]), _window(self._model, self._tokenizer))

    def score_all(self, requests: Sequence[Choose | Likelihood | Continue]) -> Iterator[Scored | Answer | NoAnswer]:
        """The replies in the order of the requests. What several of them share is computed once."""
        from eval.likelihood.continuing import continuations

        going_on = [request for request in requests if isinstance(request, Continue)]
        scores = self._score([request for request in requests if not isinstance(request, Continue)])
        answers = iter(continuations(self._model, self._tokenizer, going_on, self.reader.window))
        for request in requests:
            yield next(answers if isinstance(request, Continue) else scores)

    def _score(self, requests: Sequence[Choose | Likelihood]) -> Iterator[Scored | NoAnswer]:
        ids = self._encode({text for request in requests for text in texts(request, self.reader)})
        split = [self._split(request, ids) for request in requests]
        wanted = {piece for options in split if isinstance(options, list) for option in options for piece in option}
        logprobs = self._forward.logprobs(wanted)
        for request, options in zip(requests, split, strict=True):
            try:
                yield options if isinstance(options, NoAnswer) else scored(request, options, logprobs.__getitem__)
            except NoAnswer as error:
                yield error

    def _split(self, request: Choose | Likelihood, ids: dict[Text, list[int]]) -> list[list[Piece]] | NoAnswer:
        try:
            return pieces(request, self.reader, ids)
        except NoAnswer as error:
            return error

    def _encode(self, wanted: set[Text]) -> dict[Text, list[int]]:
        found = {}
        for special in (True, False):
            part = [text for text in wanted if text.special == special]
            if part:
                encoded = self._tokenizer([text.text for text in part], add_special_tokens=special)
                found |= zip(part, encoded.input_ids, strict=True)
        return found


def _load(path: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    # Its bar would break the run's own line, and it warns of texts longer than the window, which are cut here.
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"The folder {path} cannot be loaded as a language model ({said}).") from None
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer


def _window(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> int:
    from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

    # Not every configuration has it: some models have no positions.
    named = getattr(model.config.get_text_config(), "max_position_embeddings", None) or tokenizer.model_max_length
    return named if named < VERY_LARGE_INTEGER else WINDOW
