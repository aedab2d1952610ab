"""Replaces personal data in text by placeholders like [EMAIL_1]."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Kinds of tokens that say what they are by how they begin, and what stands after a word like "password".
SECRET = re.compile(
    r"""-----BEGIN\ [A-Z ]{0,30}PRIVATE\ KEY-----[^-]{1,20000}-----END\ [A-Z ]{0,30}PRIVATE\ KEY-----
    | (?<![\w-])(?:sk|pk|rk|hg)[-_][\w-]{16,}
    | (?<!\w)(?:gh[oprsu]_|github_pat_|glpat-|hf_|npm_|pypi-|xox[abeprs]-)[\w-]{16,}
    | (?<!\w)(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)
    | (?<!\w)AIza[\w-]{35}
    | (?<!\w)eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}
    | (?<=://)[^\s:/@]{1,100}:[^\s/@]{1,200}(?=@)
    | (?<=[Bb]earer\ )[\w.~+/-]{16,}=*
    | (?<![\w-])(?=[\w-]{0,80}\d)(?=[\w-]{0,80}[a-z])(?=[\w-]{0,80}[A-Z])[\w-]{32,200}(?![\w-])""",
    re.VERBOSE,
)
NAMED_SECRET = re.compile(
    r"""(?P<name>(?<![a-z])(?:password|passwd|passphrase|pwd|secret|token|api[ _-]?key)["']?
        (?:\s{0,9}[:=]\s{0,9} | \s{1,9}is\s{1,9}(?=\S{0,200}\d))["']?)
        (?P<value>[^\s"',;]{6,200})""",
    re.VERBOSE | re.IGNORECASE,
)
EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}(?![\w-])")
IBAN = re.compile(r"(?i)(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![A-Z0-9])")
CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,22}(?!\d)")
IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)|(?=[\da-fA-F]*:[\da-fA-F:.]*:)[\da-fA-F:.]{2,45}(?!\w))"
)
PHONE = re.compile(
    r"""(?<![\w.,/+-])(?:
    (?:\+|00)\d(?:[ ./()-]{0,3}\d){6,14}                                       # international
    | (?!\d{1,2}[./-]\d{1,2}[./-]\d{2})\(?0\d(?:[ ./()-]{0,2}\d){7,11}         # with a trunk prefix, no date
    | (?:1[ .-])?(?:\([2-9]\d{2}\)\ ?|[2-9]\d{2}[.-]|[2-9]\d{2}\ )\d{3}[ .-]\d{4}   # North American
    )(?![\w]|[.,-]\d)""",
    re.VERBOSE,
)
WORD_END = re.compile(r"[^\W_](?![^\W_])|:$")


@dataclass(frozen=True)
class Kind:
    """One kind of personal data. `key`: what makes two spellings the same value; `is_real` sorts out look-alikes."""

    name: str
    pattern: re.Pattern[str]
    key: Callable[[str], str]
    is_real: Callable[[str], bool] = lambda key: True


def _alphanumeric(text: str) -> str:
    return "".join(char for char in text.upper() if char.isalnum())


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def passes_luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1); a row of equal digits would pass, but is no card."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    total = sum(doubled) + sum(map(int, digits[-1::-2]))
    return 13 <= len(digits) <= 19 and total % 10 == 0 and len(set(digits)) > 1


def passes_mod_97(iban: str) -> bool:
    """The check digits of bank accounts (ISO 13616), of letters in capitals and digits only."""
    return 15 <= len(iban) <= 34 and int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def is_ip(text: str) -> bool:
    """Whether this is an address, and not the colons of a programming language."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == 4 or any(char.isdigit() for char in text)


KINDS = (
    Kind("EMAIL", EMAIL, str.lower),
    Kind("IBAN", IBAN, _alphanumeric, passes_mod_97),
    Kind("CARD", CARD, _digits, passes_luhn),
    Kind("IP", IP, lambda text: text.lower().rstrip(".:"), is_ip),
    Kind("PHONE", PHONE, _digits, lambda digits: len(set(digits)) > 2),
)


class Scrubber:
    """Gives the same value the same placeholder, for as long as it is used.

    One for each row keeps the rows of a person from being joined by their numbers.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}

    def scrub(self, value: Any) -> Any:
        """`value`, text or lists and objects of text, with placeholders in the place of personal data."""
        match value:
            case str():
                return self._scrub_text(value)
            case list():
                return [self.scrub(item) for item in value]
            case dict():
                return {name: self.scrub(item) for name, item in value.items()}
        return value

    def _scrub_text(self, text: str) -> str:
        text = SECRET.sub(lambda match: self._placeholder("SECRET", match[0]), text)
        text = NAMED_SECRET.sub(lambda match: match["name"] + self._placeholder("SECRET", match["value"]), text)
        for kind in KINDS:
            text = kind.pattern.sub(lambda match, kind=kind: self._replaced(kind, match[0]), text)
        return text

    def _replaced(self, kind: Kind, text: str) -> str:
        """The match with its longest beginning that is real replaced; what follows may be the next words."""
        for end in [match.end() for match in WORD_END.finditer(text)][::-1]:
            if kind.is_real(key := kind.key(text[:end])):
                return self._placeholder(kind.name, key) + text[end:]
        return text

    def _placeholder(self, name: str, key: str) -> str:
        numbers = self._numbers.setdefault(name, {})
        return f"[{name}_{numbers.setdefault(key, len(numbers) + 1)}]"
