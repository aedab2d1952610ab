"""Likelihoods: the split of texts into tokens, shared reading, and what servers of three kinds can say."""

import asyncio
import shutil
import threading
from itertools import pairwise

import pytest
from aiohttp import web

from eval.data import Inputs
from eval.likelihood.endpoint import Endpoint
from eval.likelihood.folder import Folder
from eval.likelihood.letters import letter_in
from eval.likelihood.split import NOT_FINITE, Piece, Reader, pieces, texts, windows
from eval.replies import NoAnswer, Refused
from eval.requests import Choose, Likelihood
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.suite import Suite
from eval.target import Target
from eval.tasks.language import PAIRS, PROSE

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

    with torch.inference_mode():
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


def test_a_model_that_forgets_is_read_plainly(tiny_model, tmp_path):
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = MistralConfig(vocab_size=len(tokenizer), num_key_value_heads=2, sliding_window=16, **sizes)
    MistralForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    folder = with_window(Folder(tmp_path), 256)
    assert not folder._forward._shares
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
    planned = plan(Suite("language", "", (PROSE, PAIRS)), Inputs())
    run = Run(planned, identify(planned, "broken", None, False), tmp_path / "out")
    run.score(Folder(broken))
    result = read_result(tmp_path / "out")
    assert {(record.status, record.error) for record in result.records} == {("error", NOT_FINITE)}
    assert result.figures
    assert not any(figure.estimate for figure in result.figures.values())


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


class CharacterServer:
    """A completions server, not vLLM, whose tokens are characters: each has the log-probability -code/100.

    `bos` is put before every prompt, as some servers do; `echoes` False makes it a server of chats alone that answers
    `said`.
    """

    def __init__(self, bos="", echoes=True, said=""):
        self.bos, self.echoes, self.said, self.asked = bos, echoes, said, []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.base_url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self):
        app = web.Application()
        if self.echoes:
            app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _complete(self, request):
        prompts = (await request.json())["prompt"]
        prompts = [prompts] if isinstance(prompts, str) else prompts
        return web.json_response({"choices": [self._choice(*entry) for entry in enumerate(prompts)][::-1]})

    def _choice(self, index, prompt):
        tokens = [*([self.bos] if self.bos else []), *prompt, "!"]
        offsets = [sum(map(len, tokens[:place])) for place in range(len(tokens))]
        logprobs = {
            "tokens": tokens,
            "text_offset": offsets,
            "token_logprobs": [None, *(-ord(token) / 100 for token in tokens[1:])],
        }
        return {"index": index, "text": f"{prompt}!", "logprobs": logprobs}

    async def _chat(self, request):
        self.asked.append((await request.json())["messages"][-1]["content"])
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": self.said}}]})


def ask(server, *requests):
    async def go():
        async with Target(lambda: server.base_url, "tiny") as target:
            return await asyncio.gather(*map(target.ask, requests), return_exceptions=True)

    return asyncio.run(go())


@pytest.mark.parametrize("bos", ["", "<s>"])
def test_a_server_without_tokenizer_is_split_by_where_the_text_begins(bos):
    with CharacterServer(bos) as server:
        (reply,) = ask(server, Choose("ab ", ("c", "cd")))
    assert reply.scoring == "likelihood"
    assert reply.tokens == [2, 3]
    assert reply.logprobs == pytest.approx([-(32 + 99) / 100, -(32 + 99 + 100) / 100])


def test_a_first_token_without_a_log_probability_is_not_passed_over():
    with CharacterServer() as server:
        replies = ask(server, Likelihood("ab"), Choose("", ("ab", "b")))
    assert [type(reply) for reply in replies] == [NoAnswer, NoAnswer]
    assert "first token" in str(replies[0])
    with CharacterServer(bos="<s>") as server:
        (reply,) = ask(server, Likelihood("ab"))
    assert reply.logprobs == pytest.approx([-(97 + 98) / 100])


def test_a_chat_alone_is_asked_for_a_letter():
    with CharacterServer(echoes=False, said="B.") as server:
        choice, text = ask(server, Choose("The sky is", (" blue", " green", " red")), Likelihood("ab"))
    assert choice.scoring == "letters"
    assert sorted(choice.logprobs) == [-1, -1, 0]
    taken = ("blue", "green", "red")[choice.logprobs.index(0)]
    assert f"B. {taken}" in server.asked[0]
    assert "The sky is" in server.asked[0]
    assert isinstance(text, NoAnswer)
    assert "no log-probabilities" in str(text)


def test_a_model_that_likes_the_first_letter_is_not_taken_for_one_that_knows():
    with CharacterServer(echoes=False, said="A") as server:
        replies = ask(server, *(Choose("", (f"good {number}", f"bad {number}")) for number in range(60)))
    assert 15 < sum(reply.logprobs[0] == 0 for reply in replies) < 45


def test_an_answer_without_a_letter_prefers_nothing():
    with CharacterServer(echoes=False, said="I cannot say.") as server:
        (reply,) = ask(server, Choose("", ("good", "bad")))
    assert reply.logprobs == [0, 0]


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("B", "B"),
        (" (C)", "C"),
        ("**C**", "C"),
        ("B. a cat", "B"),
        ("B) a cat", "B"),
        ("The answer is b.", "B"),
        ("Option D", "D"),
        ("A cat is an animal.", None),
        ("I think so.", None),
        ("", None),
    ],
)
def test_a_letter_is_read_only_where_one_is_meant(said, letter):
    assert letter_in(said) == letter


def test_a_vllm_of_nans_is_no_server_of_letters():
    class Refusing:
        async def post(self, path, body, read):
            raise Refused("HTTP 400: Out of range float values are not JSON compliant")

    with pytest.raises(NoAnswer, match="not finite"):
        asyncio.run(Endpoint(Refusing()).score(Choose("a", (" b",))))


def test_a_server_that_leaves_something_out_costs_the_record_and_not_the_run():
    class Forgetful:
        asked = 0

        async def post(self, path, body, read):
            self.asked += 1
            if path != "/completions":
                raise Refused("HTTP 404")
            choice = {"index": 0, "text": "one two three!", "logprobs": {"token_logprobs": [None, -1.0, -1.0]}}
            return [choice if self.asked == 1 else {"index": 0, "text": "", "logprobs": None}], 0.0

    with pytest.raises(NoAnswer, match="not the completion"):
        asyncio.run(Endpoint(Forgetful()).score(Choose("a", (" b",))))
