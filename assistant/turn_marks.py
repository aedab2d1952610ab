"""Keeps what people, files and tools say from closing their turn: chat templates are filled in as text."""

import re

# How the templates of the common families mark turns, tools and ends: ChatML and its kin (`<|im_end|>`, `<|eot_id|>`,
# `<｜User｜>`), Llama 2 and Mistral (`</s>`, `[INST]`), Gemma (`<end_of_turn>`, `<eos>`), Hermes (`</tool_response>`).
MARKS = re.compile(
    r"(?<=<)(?=[|｜]|/?(?:s|bos|eos|start_of_turn|end_of_turn|tool_call|tool_response)>)|(?<=\[)(?=/?INST\])"
)


def tamed(text: str) -> str:
    """`text` with a blank in each mark, which a tokenizer then reads as any other letters."""
    return MARKS.sub(" ", text)


def tamed_message(message: dict) -> dict:
    """A message in OpenAI's shape, tamed; in the arguments of calls, which are JSON, marks stand in strings only."""
    calls = [
        call | {"function": call["function"] | {"arguments": tamed(call["function"]["arguments"])}}
        for call in message.get("tool_calls") or []
    ]
    told = {"tool_calls": calls} if calls else {}
    match message.get("content"):
        case str(text):
            told["content"] = tamed(text)
        case list(parts):
            told["content"] = [part | {"text": tamed(part["text"])} if "text" in part else part for part in parts]
    return message | told
