"""Other forms of the same question, by the names that YAML uses."""

from typing import Any

from serving.errors import UserError


def find_variant(name: str, *arguments: Any):
    """The variant that the function `name` makes of `arguments`. Raises `UserError` naming those there are."""
    from eval.variants import surface

    makers = {"case": surface.case}
    if name not in makers:
        raise UserError(f"There is no variant {name!r}: name one of {', '.join(sorted(makers))}.")
    return makers[name](*arguments)
