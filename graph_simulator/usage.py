"""Usage headers: how much of a quota has been used, in percent."""

import json
from math import ceil
from typing import Literal

Scope = Literal["app", "page", "business"]

_HEADERS = {
    "app": "X-App-Usage",
    "page": "X-Page-Usage",
    "business": "X-Business-Use-Case-Usage",
}


def usage_header(
    scope: Scope, page_id: str, percent: int, *, kind: str = "messenger", regain_seconds: float = 0
) -> dict[str, str]:
    """The usage header of a scope. Only the business header states when access returns, rounded up
    to minutes."""
    usage = {"call_count": percent, "total_time": percent // 2, "total_cputime": percent // 3}
    if scope != "business":
        return {_HEADERS[scope]: json.dumps(usage)}
    regain = {"estimated_time_to_regain_access": ceil(regain_seconds / 60)}
    return {_HEADERS[scope]: json.dumps({page_id: [{"type": kind, **usage, **regain}]})}


def repeated_usage_header(page_id: str, kind: str, minutes: int) -> dict[str, str]:
    """The business header of a business whose id stands twice as a key: with a use case that is
    used up, and with messenger, which is not."""
    used = {"type": kind, "call_count": 100, "estimated_time_to_regain_access": minutes}
    ours = {"type": "messenger", "call_count": 1, "estimated_time_to_regain_access": 0}
    key = json.dumps(page_id)
    return {_HEADERS["business"]: f"{{{key}: [{json.dumps(used)}], {key}: [{json.dumps(ours)}]}}"}
