"""Usage headers: how many percent of Meta's quota are used up."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from messenger_pipeline.graph.retry_after import bounded_pause

_HEADERS = ("X-App-Usage", "X-Page-Usage", "X-Business-Use-Case-Usage")
_PERCENTS = ("call_count", "total_time", "total_cputime")
_USE_CASES = ("messenger", "instagram", "pages")
"""The business use cases that our calls belong to. The header also names others of the same
business, such as ads_insights, whose limits do not concern us."""


@dataclass(frozen=True)
class Usage:
    """The highest percentage in the headers for app, page and our business use cases.

    `regain_seconds` is when access returns, at most a day, 0 if it is not blocked. Meta sends these
    headers only once enough calls were made, and with errors too. Source: Graph API "Rate Limits".
    """

    app: int = 0
    page: int = 0
    business: int = 0
    regain_seconds: float = 0.0


def parse_usage(headers: Mapping[str, str]) -> Usage:
    """The usage in an answer's headers; a header that cannot be parsed counts as no usage."""
    app, page, business = (_objects(headers.get(name)) for name in _HEADERS)
    # One without a type may be ours.
    business = [one for one in business if str(one.get("type") or "pages").lower() in _USE_CASES]
    # Meta gives minutes.
    regain = [60.0 * _number(one.get("estimated_time_to_regain_access")) for one in business]
    return Usage(
        app=_highest(app),
        page=_highest(page),
        business=_highest(business),
        regain_seconds=bounded_pause(max(regain, default=0.0)) or 0.0,
    )


def _objects(header: str | None) -> list[dict[str, Any]]:
    """All objects in a header that have percentages.

    A header may repeat a business id as a key, so objects are collected while it is parsed.
    """
    found: list[dict[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        if any(name in _PERCENTS for name, _ in pairs):
            found.append(dict(pairs))

    try:
        json.loads(header or "null", object_pairs_hook=keep)
    except (ValueError, RecursionError):
        return []
    return found


def _highest(objects: list[dict[str, Any]]) -> int:
    return int(max((_number(one.get(name)) for one in objects for name in _PERCENTS), default=0))


def _number(value: Any) -> float:
    """A number between 0 and a million; anything else counts as 0."""
    return float(value) if isinstance(value, (int, float)) and 0 < value < 1e6 else 0.0
