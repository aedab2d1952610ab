"""JSON schemas that nothing can satisfy, because they are defined by themselves: vLLM would fail over them."""

from collections.abc import Iterator
from typing import Any

BRANCHES = ("allOf", "anyOf", "oneOf")


def is_circular(schema: Any) -> bool:
    """Whether a part of `schema` refers to itself without anything in between; trees, which nest, are fine."""
    done: set[int] = set()
    for start in _parts(schema):
        path, entered = [(start, _meant(schema, start))], {id(start)}
        while path:
            part, rest = path[-1]
            following = next((one for one in rest if isinstance(one, dict) and id(one) not in done), None)
            if following is None:
                done.add(id(part))
                entered.remove(id(part))
                path.pop()
            elif id(following) in entered:
                return True
            else:
                entered.add(id(following))
                path.append((following, _meant(schema, following)))
    return False


def _meant(root: Any, part: dict) -> Iterator[Any]:
    """What describes the very same value as `part`."""
    if isinstance(part.get("$ref"), str):
        yield _target(root, part["$ref"])
    yield from (branch for name in BRANCHES if isinstance(part.get(name), list) for branch in part[name])


def _target(root: Any, reference: str) -> Any:
    """What a JSON pointer (RFC 6901) within the schema points to; None for everything else."""
    if not reference.startswith("#"):
        return None
    target = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, dict) else None
    return target


def _parts(schema: Any) -> Iterator[dict]:
    """All objects in it that refer or branch."""
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if part.keys() & {"$ref", *BRANCHES}:
                yield part
            todo += part.values()
        elif isinstance(part, list):
            todo += part
