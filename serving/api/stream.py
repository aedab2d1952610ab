"""What vLLM's event stream gets wrong, put right frame by frame; every other frame passes byte for byte."""

import json
import re
from collections.abc import AsyncIterator

from serving.api.errors import from_engine

END = b"\n\n"
DONE = b"data: [DONE]\n\n"
# Inside a JSON string these quotes would be escaped, so the bytes are found only where they are keys.
USAGE_KEY = b'"usage"'
USAGE = re.compile(USAGE_KEY + rb":\s*(?=\{)")
NO_CHOICES = re.compile(rb'"choices":\s*\[\]')
_DECODER = json.JSONDecoder()


async def whole_frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Regroup bytes so that each piece is one or more complete frames; half a frame at the end is dropped."""
    rest = b""
    async for chunk in chunks:
        whole, end, tail = (rest + chunk).rpartition(END)
        if end:
            yield whole + end
        rest = tail


def usage_in(answer: bytes) -> dict | None:
    """The usage in an answer of vLLM's or in a chunk of it, without reading the rest; None when it tells none."""
    match = USAGE.search(answer, max(0, answer.rfind(USAGE_KEY)))
    return _DECODER.raw_decode(answer[match.end() :].decode())[0] if match else None


class UsageWatch:
    """Sees what a stream takes. `hides`: the chunk that tells it was not asked for by the client, and is taken out.

    Until that last chunk comes, `chunks` says about how many tokens were written.
    """

    def __init__(self, hides: bool) -> None:
        self.chunks, self.usage = 0, None
        self._hides = hides

    def passing(self, frames: bytes) -> bytes:
        """Note what complete frames tell; returns those that are for the client."""
        self.chunks += frames.count(END)
        if USAGE_KEY not in frames:
            return frames
        self.usage = usage_in(frames) or self.usage
        if not self._hides:
            return frames
        return b"".join(frame + END for frame in frames.split(END) if frame and not _is_usage(frame))


def _is_usage(frame: bytes) -> bool:
    return bool(NO_CHOICES.search(frame) and USAGE.search(frame))


def mend(frames: bytes, include_usage: bool) -> bytes:
    """Put right what differs from OpenAI's stream in complete frames.

    An error gets OpenAI's shape, the finish reason a chunk of its own with an empty delta, and with `include_usage`
    every other chunk says `usage: null`.
    """
    if not (include_usage or b'"finish_reason":"' in frames or b'"error":' in frames):
        return frames
    return b"".join(_mend_frame(frame + END, include_usage) for frame in frames.split(END) if frame)


def _mend_frame(frame: bytes, include_usage: bool) -> bytes:
    if frame.startswith(b'data: {"error":'):
        return from_engine(500, frame.removeprefix(b"data: ")).event()
    pieces = [frame]
    if b'"finish_reason":"' in frame and b'"delta":{}' not in frame and b'"delta":' in frame:
        pieces = _split_finish(frame)
    if include_usage:
        pieces = [piece if b'"usage":' in piece or piece == DONE else _with_null_usage(piece) for piece in pieces]
    return b"".join(pieces)


def _split_finish(frame: bytes) -> list[bytes]:
    """A chunk with the last text and the finish reason as two: OpenAI's last chunk has an empty delta."""
    chunk = json.loads(frame.removeprefix(b"data: "))
    last = chunk | {"choices": [choice | {"delta": {}, "logprobs": None} for choice in chunk["choices"]]}
    for choice in chunk["choices"]:
        choice["finish_reason"] = None
    return [b"data: " + json.dumps(piece, separators=(",", ":")).encode() + END for piece in (chunk, last)]


def _with_null_usage(frame: bytes) -> bytes:
    return frame.removesuffix(b"}" + END) + b',"usage":null}' + END if frame.endswith(b"}" + END) else frame
