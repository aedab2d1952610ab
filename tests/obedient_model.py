"""A text engine that says what the question asks it to say: vLLM's protocol over real HTTP, without a model.

The last question's words steer it: "code", "table", "long", "prose 40" (paragraphs), "draw a red cat",
"calculate 6*7", "time", "search for cats" (tools, where they are offered), "slowly" (takes a second more), "wait"
(never ends), "die" (the connection breaks off), "fail" (an error in the stream), "refuse" (400). Anything else is
answered in a few words of Markdown.
"""

import asyncio
import json
import re
import threading
import time

from aiohttp import web

from tests.unit.eval.threaded_server import ThreadedServer

MODEL = "words"
TOOLS = {
    "draw": ("generate_image", "prompt"),
    "calculate": ("calculate", "expression"),
    "search": ("search_documents", "query"),
    "time": ("now", None),
}
CODE = '''Here is a program that counts words:

```python
from collections import Counter
from pathlib import Path


def most_common(path: Path, n: int = 10) -> list[tuple[str, int]]:
    """The `n` most common words of a file, each with how often it occurs; words are compared in lower case."""
    words = path.read_text(encoding="utf-8").lower().split()
    return Counter(word.strip(".,;:!?") for word in words).most_common(n)


for word, count in most_common(Path("book.txt")):
    print(f"{count:6} {word}")
```

It needs nothing but the *standard library*. Run it with `python count.py`:

```sh
$ python count.py | head -n 2
   812 the
   409 and
```
'''
TABLE = """| planet | moons | day in hours |
|:-------|------:|-------------:|
| Mercury | 0 | 4222.6 |
| Earth | 1 | 24.0 |
| Jupiter | 95 | 9.9 |

Jupiter turns fastest.
"""
MARKDOWN = """# A long answer

It has **bold** and *slanted* words, `code`, a [link](https://example.com/page) and ~~a mistake~~.

1. first, with
   - a point and
   - another one;
2. second;
3. third.

> A quotation goes
> over two lines.

"""
PARAGRAPH = (
    "Paragraph {} tells of rivers that run to the sea, of ships on them, and of the people who build the ships. "
)
SHORT = "You said: *{}*.\n\nIs there **anything else**?"


class ObedientModel(ThreadedServer):
    """Says a word every `pause_s` seconds.

    `asked` holds the bodies of the requests, `running` how many answers are being written, `hung_up` is set when a
    client left before the end of one.
    """

    def __init__(self, pause_s: float = 0.0) -> None:
        super().__init__()
        self.pause_s = pause_s
        self.asked: list[dict] = []
        self.running = 0
        self.hung_up = threading.Event()

    def routes(self):
        return [
            ("GET", "/health", self.healthy),
            ("GET", "/v1/models", self.models),
            ("POST", "/v1/chat/completions", self.chat),
        ]

    async def healthy(self, request):
        return web.Response()

    async def models(self, request):
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def chat(self, request):
        body = await request.json()
        self.asked.append(body)
        question = next(message["content"] for message in reversed(body["messages"]) if message["role"] == "user")
        if "refuse" in question:
            error = {"message": "This is refused.", "type": "BadRequestError", "param": None, "code": 400}
            return web.json_response({"error": error}, status=400)
        if not body.get("stream"):
            return web.json_response(_whole(said(question, body), body))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        self.running += 1
        try:
            await self._stream(request, answer, question, body)
        except ConnectionError:
            self.hung_up.set()
        except asyncio.CancelledError:
            self.hung_up.set()
            raise
        finally:
            self.running -= 1
        return answer

    async def _stream(self, request, answer, question, body):
        async def tell(delta=None, finish_reason=None, **more):
            choices = [{"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish_reason}]
            chunk = _about(body, "chat.completion.chunk") | {"choices": choices} | more
            await answer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

        await tell({"role": "assistant", "content": ""})
        call = called(question, body)
        pieces = [] if call else re.findall(r"\S*\s*", said(question, body))[:-1]
        if call:
            await tell({"tool_calls": [call]})
        for piece in pieces:
            await tell({"content": piece})
            await asyncio.sleep(self.pause_s or ("slowly" in question) / len(pieces))
        if "die" in question:
            return request.transport.abort()
        if "fail" in question:
            error = {"message": "The script says so.", "type": "InternalServerError", "param": None, "code": 500}
            return await answer.write(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
        while "wait" in question and not call:
            await tell({"content": "and "})
            await asyncio.sleep(0.05)
        await tell(finish_reason="tool_calls" if call else "stop")
        if (body.get("stream_options") or {}).get("include_usage"):
            await tell(choices=[], usage=_usage(len(pieces)))
        await answer.write(b"data: [DONE]\n\n")


def said(question: str, body: dict) -> str:
    """The text of the answer."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return f"The tool said: {last['content']}."
    if match := re.search(r"prose (\d+)", question):
        return f"# {question}\n\n" + _prose(int(match[1]))
    if "long" in question:
        return MARKDOWN + CODE + TABLE + "\n" + _prose(8)
    if "code" in question:
        return CODE
    return TABLE if "table" in question else SHORT.format(question[:200])


def _prose(paragraphs: int) -> str:
    return "\n\n".join(3 * PARAGRAPH.format(number) for number in range(1, paragraphs + 1))


def called(question: str, body: dict) -> dict | None:
    """The tool call that the question asks for, unless its result is there already."""
    offered = {tool["function"]["name"] for tool in body.get("tools") or []}
    word, _, rest = question.partition(" ")
    tool, argument = TOOLS.get(word.lower(), (None, None))
    if tool not in offered or body["messages"][-1]["role"] == "tool":
        return None
    arguments = json.dumps({argument: rest} if argument else {})
    return {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}


def _whole(text: str, body: dict) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
    return _about(body, "chat.completion") | {"choices": [choice], "usage": _usage(len(text.split()))}


def _about(body: dict, kind: str) -> dict:
    return {"id": "chatcmpl-1", "object": kind, "created": int(time.time()), "model": body["model"]}


def _usage(tokens: int) -> dict:
    return {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
