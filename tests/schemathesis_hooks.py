"""What schemathesis loads beside our OpenAPI document; tests/integration/test_openapi.py says where it is."""

import schemathesis

LIMITS = {
    "/v1/chat/completions": "max_completion_tokens",
    "/v1/completions": "max_tokens",
    "/v1/responses": "max_output_tokens",
}


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: object) -> object:
    """Two answers of one token are as good as a hundred of a thousand, and what is wrong stays wrong."""
    limit = LIMITS.get(context.operation.path)
    if limit is None or not isinstance(body, dict):
        return body
    allowed = {"n": 128, limit: 2**31}
    asked = {name: body[name] for name in allowed if type(body.get(name)) is int}
    few = {name: min(value, 2) for name, value in asked.items() if 1 <= value <= allowed[name]}
    return {limit: 1} | body | few
