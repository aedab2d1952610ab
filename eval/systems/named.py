"""What `--models` names: folders, names and Hugging Face ids to serve, and endpoints with a key each.

almanac,almanac-base,other=owner/model,big=https://api.example.com/v1#model-id@EXAMPLE_KEY

After "#" stands the model to ask the endpoint for; after "@" the environment variable that holds its key. Without one
no key is sent: that of one vendor is none of another's business.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from serving.errors import UserError

NAME = r"\w[\w.-]*"
"""What can be called so can have a folder of that name."""
ENDPOINT = re.compile(r"(?P<url>https?://[^#@\s]+?)(?:#(?P<model>\S+?))?(?:@(?P<variable>[A-Z][A-Z0-9_]*))?")


@dataclass(frozen=True)
class Named:
    """One of the systems to measure."""

    name: str
    model: str | None
    """What to serve; with a `base_url`, what to ask it for, None where it serves only one."""
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)


def named_systems(texts: Sequence[str]) -> list[Named]:
    """The systems in their order; each text may hold several, with commas between them.

    Raises `UserError` for what cannot be read, a name that is used twice, and a key that is not set.
    """
    systems = [_named(text.strip()) for part in texts for text in part.split(",") if text.strip()]
    if len(systems) < 2:
        raise UserError("--models compares systems: name two or more, with commas between them.")
    for name, times in Counter(system.name for system in systems).items():
        if times > 1:
            raise UserError(f"Two of --models are called {name!r}: give one another name, as in other=MODEL.")
    return systems


def _named(text: str) -> Named:
    given, _, system = text.partition("=") if re.match(rf"{NAME}=", text) else ("", "", text)
    if not re.match("https?://", system):
        name = given or system.rstrip("/").split("/")[-1]
        return Named(_checked(name, text), system)
    endpoint = ENDPOINT.fullmatch(system)
    if endpoint is None:
        raise UserError(f"The endpoint {system!r} cannot be read: write name=URL#model@KEY_VARIABLE, as --help says.")
    host = urlsplit(endpoint["url"]).netloc.replace(":", "-")
    name = given or (endpoint["model"] or host).split("/")[-1]
    return Named(_checked(name, text), endpoint["model"], endpoint["url"].rstrip("/"), _key(endpoint["variable"]))


def _checked(name: str, text: str) -> str:
    if not re.fullmatch(NAME, name):
        raise UserError(f"Of --models, {text!r} needs a name of letters, digits, '.', '_' and '-': write name=MODEL.")
    return name


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise UserError(f"The environment variable {variable}, which --models names for a key, is not set: export it.")
    return os.environ[variable]
