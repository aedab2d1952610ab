"""Other forms of the same question, by the names that YAML uses."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, get_type_hints

from eval.task import Variant
from serving.errors import UserError


def variant_makers() -> dict[str, Callable[..., Variant]]:
    """Every function in the modules of `eval.variants` that gives a `Variant` without being given any, by name."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    functions = [function for module in modules for _, function in inspect.getmembers(module, inspect.isfunction)]
    return {function.__name__: function for function in functions if _makes_variant(function)}


def find_variant(name: str, *arguments: Any, **named: Any) -> Variant:
    """The variant that the function `name` makes. Raises `UserError` naming those there are, or what it takes."""
    from pydantic import ValidationError, validate_call

    makers = variant_makers()
    if name not in makers:
        raise UserError(f"There is no variant {name!r}: name one of {', '.join(sorted(makers))}.")
    try:
        return validate_call(makers[name])(*arguments, **named)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
        takes = str(inspect.signature(makers[name])).split(" ->")[0]
        raise UserError(f"The variant {name} cannot be made so ({reason}): write {name}{takes}.") from None


def _makes_variant(function: Callable) -> bool:
    takes = inspect.signature(function).parameters.values()
    has_defaults = all(parameter.default is not inspect.Parameter.empty for parameter in takes)
    return has_defaults and get_type_hints(function).get("return") is Variant
