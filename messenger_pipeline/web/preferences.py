"""The header `Prefer` (RFC 7240): how long a caller waits for what it asks for."""

import re
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers

from messenger_pipeline.settings import MAX_WAIT_SECONDS

PREFER: dict[str, Any] = {
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "description": "wait=SECONDS: answer when the sync has ended, or after that time, at"
            f" most {MAX_WAIT_SECONDS} s. respond-async: do not wait.",
            "schema": {"type": "string"},
            "example": "wait=270",
        }
    ]
}
"""The header in a route's description."""

# All quantifiers are possessive: no text takes more time than it is long.
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_WORD = rf"""(?:{_NAME}|"(?:[^"\\]|\\.)*+")"""
_BLANKS = r"[ \t]*+"
_VALUE = rf"(?:{_BLANKS}={_BLANKS}(?P<value>{_WORD})?+)?+"
_PARAMETER = rf"{_NAME}(?:{_BLANKS}={_BLANKS}{_WORD}?+)?+"
_PREFERENCE = re.compile(
    rf"{_BLANKS}(?P<name>{_NAME}){_VALUE}(?:{_BLANKS};{_BLANKS}(?:{_PARAMETER})?+)*+{_BLANKS}"
)
_ELEMENTS = re.compile(r"""(?:[^",]|"(?:[^"\\]|\\.)*+(?:"|$))++""", re.DOTALL)
"""What stands between commas; those in quotes are no end."""


@dataclass(frozen=True)
class Preferences:
    """What a request prefers. `wait`: seconds until it wants an answer; None: it does not say.

    `respond_async`: it wants 202 rather than to wait, or once the wait is over.
    """

    wait: int | None = None
    respond_async: bool = False


def read_preferences(headers: Headers) -> Preferences:
    """The preferences of a request. What is malformed or unknown is ignored, as the RFC asks."""
    found: dict[str, str] = {}
    # Several headers mean the same as one with their elements.
    for name, value in _parse(",".join(headers.getlist("prefer"))):
        found.setdefault(name, value)  # of one that is repeated only the first counts
    wait = found.get("wait", "")
    return Preferences(
        wait=_seconds(wait) if re.fullmatch("[0-9]+", wait) else None,
        respond_async=found.get("respond-async") == "",
    )


def _parse(text: str) -> list[tuple[str, str]]:
    """The names, in lower case, and values of the well-formed preferences. No value is ''."""
    found = filter(None, map(_PREFERENCE.fullmatch, _ELEMENTS.findall(text)))
    return [(one["name"].lower(), _unquote(one["value"] or "")) for one in found]


def _unquote(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


def _seconds(digits: str) -> int:
    significant = digits.lstrip("0")
    # Python refuses to read numbers of thousands of digits.
    return MAX_WAIT_SECONDS if len(significant) > 9 else min(int(digits[-9:]), MAX_WAIT_SECONDS)
