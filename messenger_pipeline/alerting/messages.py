"""Builds notifications in Slack's JSON, limited to what Mattermost and Discord (at /slack) support
too: a text, and one attachment with a colour and fields.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from messenger_pipeline.db.alerts import ClaimedAlert

_MAX_CHARACTERS = 1_800  # of a text: Discord accepts 2,000
_MAX_PAGES = 10  # page ids in a message for many alerts
_COLORS = {"error": "danger", "warning": "warning"}
_HEADINGS = {"error": "Error", "warning": "Warning"}


def message_for(alerts: Sequence[ClaimedAlert]) -> dict[str, Any]:
    """The message for one alert, or for several of one kind and phase."""
    text = _text_of_one(alerts[0]) if len(alerts) == 1 else _text_of_many(alerts)
    severity = "error" if any(one.severity == "error" for one in alerts) else "warning"
    color = "good" if alerts[0].phase == "closed" else _COLORS[severity]
    return {
        "text": text,
        "attachments": [{"fallback": alerts[0].kind, "color": color, "fields": _fields(alerts)}],
    }


def _text_of_one(alert: ClaimedAlert) -> str:
    heading = _HEADINGS[alert.severity]
    summary = _escape(alert.summary)
    match alert.phase:
        case "opened":
            return f"*{heading}*: {summary}"
        case "closed":
            return f"*Resolved* at {_time(alert.closed_at)}: {summary}"
        case "passed":
            return f"*{heading}, already resolved*: {summary}"


def _text_of_many(alerts: Sequence[ClaimedAlert]) -> str:
    """The number of alerts, the first page ids, and the summary of the first alert."""
    first = alerts[0]
    heading = {"opened": _HEADINGS[first.severity], "closed": "Resolved"}.get(
        first.phase, f"{_HEADINGS[first.severity]}, already resolved"
    )
    pages = [one.page_id for one in alerts if one.page_id]
    more = f" and {len(pages) - _MAX_PAGES:,} more" if len(pages) > _MAX_PAGES else ""
    named = _escape(", ".join(pages[:_MAX_PAGES]))
    return (
        f"*{heading}*: {len(alerts):,} × `{first.kind}`. Pages {named}{more}.\n"
        f"The first: {_escape(first.summary)}\n`messenger-pipeline alerts --all` lists all of them."
    )


def _fields(alerts: Sequence[ClaimedAlert]) -> list[dict[str, Any]]:
    opened = min(one.opened_at for one in alerts)
    facts = {"Kind": alerts[0].kind, "Since": _time(opened)}
    closed = [one.closed_at for one in alerts if one.closed_at]
    if closed:
        facts["Until"] = _time(max(closed))
    return [{"title": name, "value": value, "short": True} for name, value in facts.items()]


def _escape(text: str) -> str:
    """Text from outside, such as a page's name, without mentions: neither <!channel> nor @everyone
    notifies anybody."""
    text = text.replace("<", "‹").replace(">", "›")
    text = re.sub(r"@(?=\w)", "@\u2060", text)
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}" if at else ""
