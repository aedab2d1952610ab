"""JSON schemas of request bodies: those of the parameter models, with what the checks beyond them ask for."""

from pydantic import BaseModel

from serving.api.embeddings import EmbeddingParameters
from serving.api.images.parameters import SIZE, EditParameters, GenerationParameters
from serving.api.parameters import ChatParameters, CompletionParameters, JsonSchema, Tool
from serving.api.promotions import PromotionParameters, RollbackParameters
from serving.api.responses.parameters import ResponseParameters

TEXT = {"type": "string"}
NAME = {"type": "string", "minLength": 1}
NULL = {"type": "null"}


def request_schemas(models: list[str]) -> dict[str, dict]:
    """Every schema that the request bodies need, by name; a `model` is one of `models`."""
    schemas: dict[str, dict] = {}
    texts = (ChatParameters, CompletionParameters, ResponseParameters, EmbeddingParameters)
    promotions = (PromotionParameters, RollbackParameters)
    for kind in (*texts, *promotions, GenerationParameters, EditParameters, Tool, JsonSchema):
        schemas |= _schemas_of(kind)
    for kind in texts:
        _refine(schemas[kind.__name__], model={"enum": models})
    _refine_chats(schemas["ChatParameters"], schemas["CompletionParameters"])
    _refine(
        schemas["ResponseParameters"],
        tools=_or_null(_list_of("ResponseTool", 128, least=0)),
        tool_choice=_tool_choice(_typed("function", name=NAME)),
    )
    for kind in ("GenerationParameters", "EditParameters"):
        _refine(schemas[kind], size=_or_null({"type": "string", "pattern": f"^(auto|{SIZE.pattern})$"}))
    _refine(schemas["EditParameters"], image=FILE, mask=FILE)
    schemas["EditParameters"]["required"] = ["prompt", "image"]
    return schemas | PARTS


def _refine_chats(chat: dict, completion: dict) -> None:
    named = {"type": "object", "required": ["name"], "properties": {"name": NAME}}
    _refine(
        chat,
        messages=_list_of("Message"),
        tools=_or_null(_list_of("Tool", 128)),
        tool_choice=_tool_choice(_typed("function", function=named)),
    )
    for schema in (chat, completion):
        _refine(schema, response_format=_or_null(_ref("ResponseFormat")))
    # A log probability needs to be asked for before its alternatives are, and a stream before its options.
    chat["dependentRequired"] = {"top_logprobs": ["logprobs"], "stream_options": ["stream"]}
    completion["dependentRequired"] = {"stream_options": ["stream"]}


def _schemas_of(kind: type[BaseModel]) -> dict[str, dict]:
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    return schema.pop("$defs", {}) | {kind.__name__: schema}


def _refine(schema: dict, **properties: dict) -> None:
    schema["properties"] |= properties


def _list_of(name: str, most: int = 4096, least: int = 1) -> dict:
    return {"type": "array", "minItems": least, "maxItems": most, "items": _ref(name)}


def _ref(name: str) -> dict:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: dict) -> dict:
    return {"anyOf": [schema, NULL]}


def _typed(kind: str, **required: dict) -> dict:
    return {"type": "object", "required": ["type", *required], "properties": {"type": {"const": kind}, **required}}


def _tool_choice(function: dict) -> dict:
    return {"anyOf": [{"enum": ["none", "auto", "required"]}, function, NULL]}


def _content(*parts: dict) -> dict:
    return {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": {"anyOf": list(parts)}}]}


def _message(*roles: str, content: dict, **required: dict) -> dict:
    properties = {"role": {"enum": list(roles)}, "content": content, **required}
    return {"type": "object", "required": list(properties), "properties": properties}


FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
SAID, REFUSED = _typed("text", text=TEXT), _typed("refusal", refusal=TEXT)
CALLED = {"type": "object", "required": ["name", "arguments"], "properties": {"name": TEXT, "arguments": TEXT}}
CALL = {"type": "object", "required": ["id", "function"], "properties": {"id": TEXT, "function": CALLED}}
ASSISTANT = {
    "role": {"const": "assistant"},
    "content": _or_null(_content(SAID, REFUSED)),
    "tool_calls": _or_null({"type": "array", "items": CALL}),
}
PARTS = {
    "Message": {
        "anyOf": [
            _message("developer", "system", "user", content=_content(SAID)),
            _message("tool", content=_content(SAID), tool_call_id=TEXT),
            {"type": "object", "required": ["role"], "properties": ASSISTANT},
        ]
    },
    "ResponseFormat": {
        "anyOf": [_typed("text"), _typed("json_object"), _typed("json_schema", json_schema=_ref("JsonSchema"))],
    },
    "ResponseTool": _typed("function") | {"allOf": [_ref("Function")]},
}
