"""The LangChain side of the agent: the loop of model and tools, and what is watched in it. Importing takes seconds."""

import json
import logging
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

# Read when LangGraph is imported: it shall never deserialise more than plain data.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"

import openai
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from langgraph.prebuilt.tool_node import ToolCallRequest
from langsmith import tracing_context

from assistant.events import Forgot, Text, Told, ToolCall, ToolProgress, ToolStep
from assistant.limits import Limits
from assistant.tools.desk import Desk, Outcome, ToolError
from assistant.tools.toolbox import run_tool
from assistant.turn_marks import tamed_message

DRAWING = "generate_image"
CONTEXT = re.compile(r"maximum context length is (\d+)")
NO_TOOLS = re.compile(r"tool choice|tool-call-parser|not support.{0,20}tool", re.IGNORECASE)

Handler = Callable[[ModelRequest], Awaitable[ModelResponse]]


@dataclass
class Knowledge:
    """What was learnt about a model by asking it: its context in tokens, and whether its server takes tools."""

    context: int | None = None
    takes_tools: bool = True


@dataclass
class Run:
    """One answer: how it is made, and how much it has taken so far."""

    knowledge: Knowledge
    system: str
    tools: tuple[dict, ...]
    max_tokens: int
    desk: Desk
    limits: Limits
    may_draw: bool = True
    model_calls: int = 0
    tool_calls: Counter[str] = field(default_factory=Counter)
    unreadable: set[str] = field(default_factory=set)
    forgotten: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = "stop"

    def offered(self) -> list[dict]:
        """The tools that the model hears of."""
        return list(self.tools) if self.knowledge.takes_tools else []

    def tokens_left(self) -> int:
        """How long the next message may be: half of the context is kept for the conversation."""
        left = max(1, self.max_tokens - self.completion_tokens)
        return min(left, self.knowledge.context // 2) if self.knowledge.context else left

    def learns(self, error: openai.BadRequestError, is_capped: bool) -> bool:
        """Whether the error says something about the model by which the next try will differ."""
        if self.offered() and NO_TOOLS.search(error.message):
            self.knowledge.takes_tools = False
            return True
        before = self.tokens_left()
        if is_capped and (said := CONTEXT.search(error.message)):
            self.knowledge.context = int(said[1])
        return self.tokens_left() < before

    def usage(self) -> dict:
        """Over all calls of the model, as OpenAI counts."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def admit(self, call: dict) -> None:
        """Count a call of a tool. Raises `ToolError` for what was not offered, and for what is too much."""
        name = call["name"]
        if call["id"] in self.unreadable:
            raise ToolError("the arguments are not valid JSON")
        if name not in [tool["function"]["name"] for tool in self.tools]:
            raise ToolError(f"there is no tool called {name[:50]}")
        if name == DRAWING and not self.may_draw:
            raise ToolError("this is not possible right now", "this key lacks the scope `images`")
        self.tool_calls[name] += 1
        if self.tool_calls.total() > self.limits.tool_calls or self.tool_calls[name] > self.limits.calls_per_tool:
            raise ToolError("this is not possible right now", "this answer has used its tools too often")


class Supervision(AgentMiddleware):
    """Makes every call of a model and of a tool as the `run` wants it, and tells what happens."""

    def __init__(self, run: Run, tell: Callable[[Told], None]) -> None:
        super().__init__()
        self.run, self.tell = run, tell

    async def awrap_model_call(self, request: ModelRequest, handler: Handler) -> ModelResponse:
        """Ask the model; the last time it is left no choice but to answer."""
        run = self.run
        run.model_calls += 1
        is_last = run.model_calls >= run.limits.model_calls
        response = await self._ask(request, handler, is_last)
        message = response.result[0]
        run.finish_reason = message.response_metadata.get("finish_reason") or "stop"
        if counted := message.usage_metadata:
            run.prompt_tokens += counted["input_tokens"]
            run.completion_tokens += counted["output_tokens"]
        is_spent = is_last or run.completion_tokens >= run.max_tokens
        return replace(response, result=[_without_calls(message) if is_spent else self._readable(message)])

    async def awrap_tool_call(self, request: ToolCallRequest, handler: object) -> ToolMessage:
        """Run a tool; whatever goes wrong becomes a sentence."""
        call = request.tool_call
        arguments = json.dumps(call["args"], ensure_ascii=False)
        self.tell(ToolCall(call["id"], call["name"], arguments))
        outcome = await self._outcome(call)
        self.run.desk.state.metrics.tool_call(call["name"], outcome.failed)
        self.tell(ToolStep(call["id"], outcome.step(call["name"], arguments)))
        return ToolMessage(outcome.said, tool_call_id=call["id"], name=call["name"])

    async def _ask(self, request: ModelRequest, handler: Handler, is_last: bool) -> ModelResponse:
        """The model's message, without the oldest turns as far as the context is exceeded. Raises `BadRequestError`."""
        run, is_capped = self.run, True
        while True:
            tools = run.offered()
            asked = request.override(
                messages=request.messages[run.forgotten :],
                tools=tools,
                tool_choice="none" if tools and is_last else None,
                model_settings={"max_tokens": run.tokens_left()} if is_capped else {},
            )
            try:
                return await handler(asked)
            except openai.BadRequestError as error:
                if run.learns(error, is_capped):
                    continue
                if error.code != "context_length_exceeded":
                    raise
                if oldest := _length_of_oldest_turn(asked.messages):
                    run.forgotten += oldest
                    self.tell(Forgot())
                elif is_capped:
                    is_capped = False  # it may fit, with less room for the answer
                else:
                    raise

    def _readable(self, message: AIMessage) -> AIMessage:
        """The message with calls whose arguments are not JSON as calls too, so that the model hears of it."""
        calls = [
            {"type": "tool_call", "id": call["id"] or f"call_{place}", "name": call["name"] or "", "args": {}}
            for place, call in enumerate(message.invalid_tool_calls)
        ]
        self.run.unreadable.update(call["id"] for call in calls)
        return message.model_copy(update={"tool_calls": [*message.tool_calls, *calls], "invalid_tool_calls": []})

    async def _outcome(self, call: dict) -> Outcome:
        desk = replace(self.run.desk, progress=lambda text: self.tell(ToolProgress(call["id"], text)))
        try:
            self.run.admit(call)
            return await run_tool(call["name"], call["args"], desk)
        except ToolError as error:
            return error.outcome()
        except Exception:
            logging.getLogger(__name__).exception("The tool %s made a mistake.", call["name"])
            why = "the tool made a mistake, and the server's log has the details"
            return ToolError("the service is not available", why).outcome()


def _length_of_oldest_turn(messages: list[AnyMessage]) -> int:
    """How many messages come before the second question; 0 when there is none."""
    questions = [place for place, message in enumerate(messages) if isinstance(message, HumanMessage)]
    return questions[1] if len(questions) > 1 else 0


def _without_calls(message: AIMessage) -> AIMessage:
    return message.model_copy(update={"tool_calls": [], "invalid_tool_calls": []})


class TamedChat(ChatOpenAI):
    """Whatever the model is to read, nobody but the template begins and ends turns in it."""

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict:
        payload = super()._get_request_payload(*args, **kwargs)
        return payload | {"messages": [tamed_message(message) for message in payload["messages"]]}


@asynccontextmanager
async def chat_model(base_url: str, key: str, name: str, sampling: dict) -> AsyncIterator[ChatOpenAI]:
    """The model `name` of the API at `base_url`, asked over connections that end with the block."""
    # Never by a proxy, since this is our own API; and without TLS there is no need to read certificates.
    async with openai.DefaultAsyncHttpxClient(trust_env=False, verify=False) as connections:
        yield TamedChat(
            model=name,
            base_url=base_url,
            api_key=key,
            http_async_client=connections,
            max_retries=0,
            # How long an answer may take is limited as a whole; and this one waits by `asyncio.wait_for`, which before
            # Python 3.12 lost the cancellation that came together with a chunk: the model was not stopped.
            stream_chunk_timeout=None,
            streaming=True,
            stream_usage=True,
            use_responses_api=False,
            extra_body=sampling,
        )


async def take(run: Run, model: ChatOpenAI, messages: list[dict], tell: Callable[[Told], None]) -> None:
    """Let the model answer `messages` and tell what happens; how it ended stands in `run`.

    Raises what the OpenAI client raises. There is no checkpointer: our own tables are the truth.
    """
    graph = create_agent(model, system_prompt=run.system, middleware=[Supervision(run, tell)])
    # Whatever the environment says, nothing is traced to LangSmith.
    with tracing_context(enabled=False):
        async for message, _ in graph.astream({"messages": messages}, stream_mode="messages"):
            if isinstance(message, AIMessageChunk) and message.text:
                tell(Text(message.text))
