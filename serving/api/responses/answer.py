"""The response object: what was asked for, and what a chat's answer becomes in it."""

import time
import uuid
from typing import Literal

from serving.api.responses.parameters import ResponseParameters

Status = Literal["in_progress", "completed", "incomplete"]
# Why a chat's answer that did not end by itself ended.
CUT_OFF = {"length": "max_output_tokens", "content_filter": "content_filter"}


def new_id(kind: str) -> str:
    """An id as clients know it: `resp_`, `msg_`, `fc_`."""
    return f"{kind}_{uuid.uuid4().hex}"


def new_response(wanted: ResponseParameters) -> dict:
    """A response that has just begun."""
    tools = [{"description": None, "parameters": None, "strict": None} | tool for tool in wanted.tools or []]
    text = wanted.text.model_dump(exclude_none=True) if wanted.text else {}
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": wanted.instructions,
        "max_output_tokens": wanted.max_output_tokens,
        "max_tool_calls": wanted.max_tool_calls,
        "metadata": wanted.metadata or {},
        "model": wanted.model,
        "output": [],
        "parallel_tool_calls": wanted.parallel_tool_calls is not False,
        "previous_response_id": None,
        "prompt_cache_key": wanted.prompt_cache_key,
        "reasoning": {"effort": None, "summary": None} | (wanted.reasoning.model_dump() if wanted.reasoning else {}),
        "safety_identifier": wanted.safety_identifier,
        "service_tier": "default",
        "store": False,
        "temperature": 1.0 if wanted.temperature is None else wanted.temperature,
        "text": {"format": {"type": "text"}} | text,
        "tool_choice": wanted.tool_choice or "auto",
        "tools": tools,
        "top_logprobs": wanted.top_logprobs or 0,
        "top_p": 1.0 if wanted.top_p is None else wanted.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": wanted.user,
    }


def status_after(finish_reason: str) -> Status:
    """The status of a response and its last item whose chat ended like this."""
    return "incomplete" if finish_reason in CUT_OFF else "completed"


def finish(response: dict, output: list[dict], finish_reason: str, usage: dict | None) -> None:
    """End a response with its items and the usage of the chat that it came from."""
    reason = CUT_OFF.get(finish_reason)
    response["status"] = status_after(finish_reason)
    response["incomplete_details"] = {"reason": reason} if reason else None
    response["completed_at"] = None if reason else int(time.time())
    response["output"] = output
    response["usage"] = usage and _usage(usage)


def fail(response: dict, message: str) -> None:
    """The response can come to no end."""
    response["status"] = "failed"
    response["error"] = {"code": "server_error", "message": message}


def items_of(message: dict, logprobs: dict | None, status: Status) -> list[dict]:
    """A chat message as output items: what was said, then the calls."""
    calls = message.get("tool_calls") or []
    said = [] if not message.get("content") and calls else [message_item(new_id("msg"), status)]
    for item in said:
        item["content"].append(text_part(message.get("content") or "", logprobs))
    return said + [
        call_item(new_id("fc"), call["id"], call["function"]["name"], call["function"]["arguments"], status)
        for call in calls
    ]


def message_item(item_id: str, status: Status) -> dict:
    """A message without its content."""
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": []}


def text_part(text: str, logprobs: dict | None) -> dict:
    """What a message says."""
    return {"type": "output_text", "annotations": [], "text": text, "logprobs": (logprobs or {}).get("content") or []}


def call_item(item_id: str, call_id: str, name: str, arguments: str, status: Status) -> dict:
    """A call of a function."""
    return {
        "id": item_id,
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def _usage(chat: dict) -> dict:
    cached = (chat.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    reasoning = (chat.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": chat["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": chat["total_tokens"],
    }
