"""What a message says: Slack's JSON, of which only that much is used that Mattermost and Discord
(at …/slack) understand as well: a text, and an attachment for its colour and details.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from messenger_pipeline.db.alerts import ToSend

_MOST = 1_800  # characters of a text: Discord takes 2,000
_NAMED = 10  # pages that a message for many names
_COLORS = {"error": "danger", "warning": "warning"}
_HEADS = {"error": "Error", "warning": "Warning"}


def message_for(told: Sequence[ToSend]) -> dict[str, Any]:
    """The message for one alert, or for several of one kind and phase."""
    text = _one(told[0]) if len(told) == 1 else _many(told)
    severity = "error" if any(one.severity == "error" for one in told) else "warning"
    color = "good" if told[0].phase == "closed" else _COLORS[severity]
    return {
        "text": text,
        "attachments": [{"fallback": told[0].kind, "color": color, "fields": _fields(told)}],
    }


def _one(alert: ToSend) -> str:
    head = _HEADS[alert.severity]
    summary = _defused(alert.summary)
    match alert.phase:
        case "opened":
            return f"*{head}*: {summary}"
        case "closed":
            return f"*Over* since {_time(alert.closed_at)}: {summary}"
        case "passed":
            return f"*{head}, over by now*: {summary}"


def _many(told: Sequence[ToSend]) -> str:
    """One message for many: how many, which pages, and the first one's words."""
    first = told[0]
    head = {"opened": _HEADS[first.severity], "closed": "Over"}.get(
        first.phase, f"{_HEADS[first.severity]}, over by now"
    )
    pages = [one.page_id for one in told if one.page_id]
    more = f" and {len(pages) - _NAMED} more" if len(pages) > _NAMED else ""
    named = _defused(", ".join(pages[:_NAMED]))
    return (
        f"*{head}*: {len(told)} × `{first.kind}`. Pages {named}{more}.\n"
        f"The first: {_defused(first.summary)}\n`messenger-pipeline alerts --all` shows them all."
    )


def _fields(told: Sequence[ToSend]) -> list[dict[str, Any]]:
    opened = min(one.opened_at for one in told)
    facts = {"Kind": told[0].kind, "Since": _time(opened)}
    closed = [one.closed_at for one in told if one.closed_at]
    if closed:
        facts["Until"] = _time(max(closed))
    return [{"title": name, "value": value, "short": True} for name, value in facts.items()]


def _defused(text: str) -> str:
    """Text from elsewhere, such as a page's name, which can call nobody: neither <!channel> nor
    @everyone is left in it."""
    text = text.replace("<", "‹").replace(">", "›")
    text = re.sub(r"@(?=\w)", "@\u2060", text)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}" if at else ""
