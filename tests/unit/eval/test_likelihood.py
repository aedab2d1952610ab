"""Likelihoods by a folder: the split of texts into tokens, and shared reading."""

import shutil
from itertools import pairwise

import pytest

from eval.likelihood.folder import Folder
from eval.likelihood.split import Piece, Reader, pieces, texts, windows
from eval.replies import NoAnswer
from eval.requests import Choose, Likelihood
from tests.tiny_model import one_thread
from tests.unit.eval.likelihood_runs import assert_nothing_is_measured, planned_run

PREFIX, BOS = 7, 9
READER = Reader(prefix=PREFIX, prefix_text="<s>", window=8)
PREAMBLE = "A hen lays eggs. A cow gives milk. A bee makes honey, and a sheep has wool. "
SHARING = [
    Choose(PREAMBLE + "A dog", (" barks.", " meows.", " is an animal that barks")),
    Choose(PREAMBLE + "A dog", (" barks.", " sings.")),
    Choose(PREAMBLE + "The cat that lives here", (" sleeps", " sleeps all day.", " ")),
    Choose(PREAMBLE + "It", (" rains.", " snows.")),
    Choose("Two", (" words",)),
    Choose("", ("The sun is warm.", "The sun are warm.", "x")),
    Likelihood("One short document."),
    Likelihood("A longer document that does not fit into the window. " * 40),
]


def encode(request, bos=()):
    """One token per character, after `bos` where special tokens are wanted."""
    return {text: [*(bos if text.special else ()), *map(ord, text.text)] for text in texts(request, READER)}


def split(request, bos=()):
    return pieces(request, READER, encode(request, bos))


def ids(text):
    return tuple(map(ord, text))


@pytest.mark.parametrize(
    ("context", "option", "expected"),
    [
        ("ab", " c", Piece(ids("ab"), ids(" c"))),
        ("ab ", "c", Piece(ids("ab"), ids(" c"))),
        ("ab\n", " c", Piece(ids("ab"), ids("\n c"))),
        ("", "abc", Piece((PREFIX,), ids("abc"))),
        ("  ", "c", Piece((PREFIX,), ids("  c"))),
        ("abcdefgh", "ij", Piece(ids("bcdefgh"), ids("ij"))),
    ],
)
def test_trailing_blanks_go_to_the_option_and_the_end_of_a_long_context_is_kept(context, option, expected):
    assert split(Choose(context, (option,))) == [[expected]]


def test_special_tokens_stand_before_contexts_but_not_before_lone_options():
    assert split(Choose("ab", (" c",)), bos=[BOS]) == [[Piece((BOS, *ids("ab")), ids(" c"))]]
    assert split(Choose("", ("ab",)), bos=[BOS]) == [[Piece((PREFIX,), ids("ab"))]]
    assert split(Choose("<s>a", ("b",)), bos=[BOS]) == [[Piece(ids("<s>a"), ids("b"))]]


def test_an_option_that_brings_the_prefix_has_it_as_its_context():
    request = Choose("", ("ab",))
    (text,) = texts(request, READER)
    assert pieces(request, READER, {text: [PREFIX, 1, 2]}) == [[Piece((PREFIX,), (1, 2))]]


@pytest.mark.parametrize("request_", [Likelihood(""), Choose("ab", ("",)), Choose("a", ("123456789",))])
def test_what_has_no_tokens_or_too_many_cannot_be_scored(request_):
    with pytest.raises(NoAnswer):
        split(request_)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 20, 24])
def test_windows_cover_a_text_once_and_are_never_longer_than_the_model_reads(length):
    tokens = list(range(100, 100 + length))
    found = list(windows(tokens, PREFIX, 8))
    assert [token for piece in found for token in piece.continuation] == tokens
    assert found[0].context == (PREFIX,)
    for before, piece in pairwise(found):
        assert piece.context == tuple(tokens[: piece.continuation[0] - 100][-len(piece.context) :])
        assert len(before.continuation) == 8
        assert len(piece.context) + len(piece.continuation) == 9


@pytest.fixture(scope="module")
def folder(tiny_model):
    return Folder(tiny_model)


def with_window(folder, window):
    folder.reader = folder.reader._replace(window=window)
    return folder


def read_plainly(model, piece):
    import torch

    with one_thread(), torch.inference_mode():
        logits = model(torch.tensor([piece.context + piece.continuation[:-1]])).logits[0]
    predicted = logits.log_softmax(-1)[-len(piece.continuation) :]
    return float(predicted.gather(1, torch.tensor(piece.continuation)[:, None]).sum())


def plainly(folder, request):
    """Every option's log-likelihood by a forward pass of its own."""
    split = pieces(request, folder.reader, folder._encode(set(texts(request, folder.reader))))
    return [sum(read_plainly(folder._forward._model, piece) for piece in option) for option in split]


def test_shared_reading_gives_what_plain_reading_gives(tiny_model):
    folder = with_window(Folder(tiny_model), 256)
    assert folder._forward._shares
    for request, reply in zip(SHARING, folder.score_all(SHARING), strict=True):
        assert reply.logprobs == pytest.approx(plainly(folder, request), rel=1e-5, abs=1e-5)


def of_a_sliding_window(vocabulary):
    from transformers import MistralConfig, MistralForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = MistralConfig(vocab_size=vocabulary, num_key_value_heads=2, sliding_window=16, **sizes)
    return MistralForCausalLM(config)


def of_a_state_without_positions(vocabulary):
    from transformers import MambaConfig, MambaForCausalLM

    return MambaForCausalLM(MambaConfig(vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, state_size=4))


@pytest.mark.parametrize(("model", "window"), [(of_a_sliding_window, 131_072), (of_a_state_without_positions, 2_048)])
def test_a_model_that_forgets_is_read_plainly(model, window, tiny_model, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model(len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    folder = Folder(tmp_path)
    assert folder.reader.window == window
    assert not folder._forward._shares
    folder = with_window(folder, 256)
    for request, reply in zip(SHARING, folder.score_all(SHARING), strict=True):
        assert reply.logprobs == pytest.approx(plainly(folder, request), rel=1e-5, abs=1e-5)


def test_a_shared_context_is_read_once(folder):
    read = []
    hook = folder._forward._model.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    context, options = "c" * 90, tuple(f" {letter}xyz" for letter in "abcdefghijkl")
    list(folder.score_all([Choose(context, options)]))
    hook.remove()
    assert sum(read) == 89 + 12 * 5


def test_replies_come_in_the_order_of_the_requests_and_say_how_many_tokens(folder):
    requests = [Choose("", ("aaaa", "b")), Likelihood(""), Choose("a", ("bb",)), Likelihood("abc")]
    replies = list(folder.score_all(requests))
    assert [getattr(reply, "tokens", str(reply)) for reply in replies] == [[4, 1], "the text has no tokens", [2], [3]]


def test_a_model_of_nans_has_an_error_for_every_record_and_no_figure(tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"].fill_(float("nan"))
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    run = planned_run(tmp_path / "out")
    run.score(Folder(broken))
    assert_nothing_is_measured(run)


# lm-eval 0.4.13, backend hf, float32, on the model of tests/tiny_model.py with a window of 256.
LM_EVAL = [
    -39.3212,
    -39.2531,
    -133.8762,
    -39.3212,
    -38.9178,
    -37.9297,
    -87.1296,
    -5.5327,
    -39.6232,
    -39.7925,
    -33.4575,
    -89.3628,
    -95.1999,
    -5.7282,
    -106.1715,
    -11813.4588,
]


def test_the_numbers_are_those_of_lm_eval(tiny_model):
    folder = with_window(Folder(tiny_model), 256)
    found = [logprob for reply in folder.score_all(SHARING) for logprob in reply.logprobs]
    assert found == pytest.approx(LM_EVAL, rel=1e-5)


def test_lm_eval_agrees_where_it_is_installed(tiny_model):
    backend = pytest.importorskip("lm_eval.models.huggingface")
    from lm_eval.api.instance import Instance

    model = backend.HFLM(pretrained=str(tiny_model), dtype="float32", device="cpu", max_length=256)
    pairs = [(r.context, option) for r in SHARING if isinstance(r, Choose) for option in r.options]
    docs = [(r.text,) for r in SHARING if isinstance(r, Likelihood)]
    found = [p for p, _ in model.loglikelihood([Instance("loglikelihood", {}, pair, 0) for pair in pairs])]
    found += model.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, doc, 0) for doc in docs])
    folder = with_window(Folder(tiny_model), 256)
    ours = [p for reply in folder.score_all(SHARING) for p in reply.logprobs]
    assert ours == pytest.approx(found, rel=1e-5)
