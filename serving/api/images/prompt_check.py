"""The hook that may refuse a prompt: the setting `image_check` names a function of the operator's own."""

import asyncio
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable

from serving.api.errors import ApiError
from serving.errors import UserError

# Takes a prompt, returns the reason to refuse it or None.
Check = Callable[[str], str | None]


def load_check(name: str | None) -> Check:
    """The function that "module:function" names; without a name, one that refuses nothing.

    The module may lie in the working directory. Raises `UserError` when there is no such function.
    """
    if name is None:
        return lambda prompt: None
    sys.path.append(os.getcwd())
    module, _, function = name.partition(":")
    try:
        check = getattr(importlib.import_module(module), function)
    except Exception as error:  # importing runs anybody's code
        raise UserError(
            f"The check of prompts {name!r} cannot be imported ({type(error).__name__}: {error}): "
            'set HOMEGROWN_IMAGE_CHECK to "module:function", or leave it out.'
        ) from None
    if not callable(check):
        raise UserError(f"The check of prompts {name!r} is no function: name one in HOMEGROWN_IMAGE_CHECK.")
    return check


async def check_prompt(check: Check, prompt: str) -> None:
    """Raise `ApiError` 400 with the check's reason, 500 when the check fails: what was not checked is not drawn."""
    try:
        reason = await asyncio.to_thread(check, prompt)
    except Exception as error:
        # Without the exception's message, which may quote the prompt.
        frames = "".join(traceback.format_tb(error.__traceback__))
        logging.getLogger(__name__).error("The check of prompts raised %s:\n%s", type(error).__name__, frames)
        raise ApiError(500, "The prompt could not be checked, so nothing was drawn.", code="check_failed") from None
    if reason is not None:
        raise ApiError(400, f"The prompt was refused: {reason}", param="prompt", code="content_policy_violation")
