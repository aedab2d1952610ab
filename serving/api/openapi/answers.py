"""JSON schemas of what the API answers."""

TEXT, INTEGER, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
NULL, OBJECT = {"type": "null"}, {"type": "object"}


def _or_null(schema: dict) -> dict:
    return {"anyOf": [schema, NULL]}


def _list_of(schema: dict) -> dict:
    return {"type": "array", "items": schema}


def _record(optional: dict | None = None, **required: dict) -> dict:
    """An object with these fields; it may have more."""
    return {"type": "object", "required": list(required), "properties": required | (optional or {})}


def _const(value: str) -> dict:
    return {"const": value}


USAGE = _record(prompt_tokens=INTEGER, total_tokens=INTEGER, optional={"completion_tokens": INTEGER})
TOKEN = _record(token=TEXT, logprob=NUMBER, bytes=_or_null(_list_of(INTEGER)))
LOGPROBS = _record(
    content=_or_null(_list_of(TOKEN | {"required": [*TOKEN["required"], "top_logprobs"]})),
    optional={"refusal": _or_null(_list_of(OBJECT))},
)
FINISH = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}
CALL = _record(
    id={"type": "string", "minLength": 9}, type=_const("function"), function=_record(name=TEXT, arguments=TEXT)
)
MESSAGE = _record(
    role=_const("assistant"),
    content=_or_null(TEXT),
    refusal=_or_null(TEXT),
    optional={"tool_calls": _or_null(_list_of(CALL))},
)
OUTPUT = {
    "anyOf": [
        _record(
            type=_const("message"),
            id={"type": "string", "pattern": "^msg_"},
            role=_const("assistant"),
            status={"enum": ["completed", "incomplete"]},
            content=_list_of(_record(type=_const("output_text"), text=TEXT, annotations=_list_of(OBJECT))),
        ),
        _record(type=_const("function_call"), id=TEXT, call_id=TEXT, name=TEXT, arguments=TEXT),
    ]
}
PICTURE = _record(seed=INTEGER, revised_prompt=NULL, optional={"url": TEXT, "b64_json": TEXT})

PROMOTION = _record(
    event={"enum": ["promoted", "rolled back"]},
    name=TEXT,
    sha256={"type": "string", "pattern": "^[0-9a-f]{64}$"},
    parent=TEXT,
    reason=TEXT,
    time={"type": "string", "format": "date-time"},
)

ANSWERS = {
    "Error": _record(
        error=_record(message=TEXT, type=TEXT, param=_or_null(TEXT), code=_or_null(TEXT)),
    ),
    "ChatCompletion": _record(
        id=TEXT,
        object=_const("chat.completion"),
        created=INTEGER,
        model=TEXT,
        choices=_list_of(_record(index=INTEGER, message=MESSAGE, logprobs=_or_null(LOGPROBS), finish_reason=FINISH)),
        usage=USAGE,
    ),
    "Completion": _record(
        id=TEXT,
        object=_const("text_completion"),
        created=INTEGER,
        model=TEXT,
        choices=_list_of(_record(index=INTEGER, text=TEXT, logprobs=_or_null(OBJECT), finish_reason=FINISH)),
        usage=USAGE,
    ),
    "Response": _record(
        id={"type": "string", "pattern": "^resp_"},
        object=_const("response"),
        created_at=INTEGER,
        model=TEXT,
        status={"enum": ["completed", "incomplete"]},
        incomplete_details=_or_null(_record(reason=TEXT)),
        error=NULL,
        output=_list_of(OUTPUT),
        usage=_record(input_tokens=INTEGER, output_tokens=INTEGER, total_tokens=INTEGER),
        store=_const(False),
    ),
    "Embeddings": _record(
        object=_const("list"),
        model=TEXT,
        data=_list_of(
            _record(object=_const("embedding"), index=INTEGER, embedding={"anyOf": [TEXT, _list_of(NUMBER)]}),
        ),
        usage=USAGE,
    ),
    "Model": _record(id=TEXT, object=_const("model"), created=INTEGER, owned_by=TEXT, root=TEXT, parent=_or_null(TEXT)),
    "Models": _record(object=_const("list"), data=_list_of({"$ref": "#/components/schemas/Model"})),
    "Images": _record(created=INTEGER, model=TEXT, size=TEXT, output_format=TEXT, data=_list_of(PICTURE)),
    # One server-sent event; its data is JSON, or the word [DONE] that ends a chat's stream.
    "Event": _record(data=TEXT, optional={"event": TEXT}),
    "Promotion": PROMOTION,
    "Promotions": _record(object=_const("list"), model=TEXT, data=_list_of(PROMOTION)),
    "Status": _record(status=TEXT),
}
