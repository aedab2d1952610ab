"""Likelihoods by a server: what those that echo, those that only chat, and those of broken models can say."""

import asyncio
import math

import pytest
from aiohttp import web

from eval.likelihood.letters import letter_in
from eval.replies import NoAnswer, Scored
from eval.requests import Choose, Likelihood
from eval.target import Target
from tests.unit.eval.likelihood_runs import assert_nothing_is_measured, planned_run
from tests.unit.eval.threaded_server import ThreadedServer


class CharacterServer(ThreadedServer):
    """A completions server, not vLLM, whose tokens are characters: each has the log-probability -code/100.

    `bos` is put before every prompt, as some servers do; `echoes` False makes it a server of chats alone that answers
    `said`. `refusal` is what it says of every prompt; `logprob` is given for every token instead; `echoed` is how many
    requests are answered with log-probabilities.
    """

    def __init__(self, bos="", echoes=True, said="", refusal="", logprob=None, echoed=math.inf):
        super().__init__()
        self.bos, self.echoes, self.said, self.asked = bos, echoes, said, []
        self.refusal, self.logprob, self.echoed = refusal, logprob, echoed

    def routes(self):
        chats = ("POST", "/v1/chat/completions", self._chat)
        return [("POST", "/v1/completions", self._complete), chats] if self.echoes else [chats]

    async def _complete(self, request):
        if self.refusal:
            return web.json_response({"error": {"message": self.refusal}}, status=400)
        self.echoed -= 1
        prompts = (await request.json())["prompt"]
        prompts = [prompts] if isinstance(prompts, str) else prompts
        return web.json_response({"choices": [self._choice(*entry) for entry in enumerate(prompts)][::-1]})

    def _choice(self, index, prompt):
        tokens = [*([self.bos] if self.bos else []), *prompt, "!"]
        offsets = [sum(map(len, tokens[:place])) for place in range(len(tokens))]
        logprobs = {
            "tokens": tokens,
            "text_offset": offsets,
            "token_logprobs": [None, *(self.logprob or -ord(token) / 100 for token in tokens[1:])],
        }
        return {"index": index, "text": f"{prompt}!", "logprobs": logprobs if self.echoed >= 0 else None}

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
        ("The answer is B.", "B"),
        ("Option D", "D"),
        ("A cat is an animal.", None),
        ("I think so.", None),
        ("The answer is a cat", None),
        ("The answer is: A plant", None),
        ("The answer is a.", None),
        ("A plant grows.", None),
        ("A.I. is a field.", None),
        ("I would choose a dog.", None),
        ("The answer is A or B.", None),
        ("The answer is not B.", None),
        ("It contains vitamin C.", None),
        ("A, B or C", None),
        ("The answer is I'm not sure", None),
        ("The answer is an A-level", None),
        ("I would say B.", "B"),
        ("I'd go with C!", "C"),
        ("The best one is B", "B"),
        ("The answer is: B, a plant", "B"),
        ("**Answer:** B", "B"),
        ('The answer is "D".', "D"),
        ("The answer is (A) a plant", "A"),
        ("Option A is better.", "A"),
        ("a", "A"),
        ("(b)", "B"),
        ("B: a cat", "B"),
        ("**B.** a cat", "B"),
        ("(B) a cat", "B"),
        ("B - a cat", "B"),
        ("B, I think", "B"),
        ("The answer is 'B'", "B"),
        ("", None),
    ],
)
def test_a_letter_is_read_only_where_one_is_meant(said, letter):
    assert letter_in(said) == letter


@pytest.mark.parametrize(
    "broken",
    [
        {"refusal": "Out of range float values are not JSON compliant"},
        {"logprob": math.nan},
        {"logprob": -math.inf},
        {"logprob": -9999.0},
    ],
    ids=["vllm refuses", "nan", "minus infinity", "vllm's minus infinity"],
)
def test_an_endpoint_of_nans_has_an_error_for_every_record_and_no_figure(broken, tmp_path):
    run = planned_run(tmp_path / "out")

    async def go():
        async with Target(lambda: server.base_url, "broken") as target:
            await run.ask(target, concurrency=8)

    with CharacterServer(bos="<s>", said="A", **broken) as server:
        asyncio.run(go())
        assert not server.asked, "a letter would have hidden it"
    assert_nothing_is_measured(run)


def test_a_server_that_leaves_something_out_costs_the_record_and_not_the_run():
    with CharacterServer(echoed=2) as server:
        replies = ask(server, Choose("a", (" b",)), Choose("a", (" c",)))
    (answer,) = [reply for reply in replies if isinstance(reply, Scored)]
    (error,) = [reply for reply in replies if isinstance(reply, NoAnswer)]
    assert answer.tokens == [2]
    assert "not the completion" in str(error)


@pytest.mark.parametrize("text", [None, 3, ["one two three"]])
def test_a_completion_without_a_text_costs_the_record_and_not_the_run(text):
    class Textless(CharacterServer):
        def _choice(self, index, prompt):
            return super()._choice(index, prompt) | {"text": text}

    with Textless() as server:
        replies = ask(server, Choose("a", (" b",)), Choose("a", (" c",)))
    assert [type(reply) for reply in replies] == [NoAnswer, NoAnswer]
    assert not server.asked
