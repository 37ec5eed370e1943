"""Parses the times in deliveries."""

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)


def parse_time(value: Any) -> datetime | None:
    """A time in nano-, micro-, milliseconds or seconds, as a number or string, or in ISO 8601.
    None if it is 0, missing or invalid."""
    if isinstance(value, str):
        return _parse_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        parsed = _EPOCH + timedelta(microseconds=_microseconds(value))
    except (OverflowError, ValueError):
        return None
    return parsed if _EPOCH < parsed < _LAST else None


def is_plain(value: Any) -> bool:
    """Whether a time has the documented form: milliseconds, as an integer."""
    return isinstance(value, int) and 10**11 <= value < 10**14


def _microseconds(value: int | float) -> int:
    """The unit follows from the magnitude: today's time in seconds has ten digits. Integers only,
    because a float lacks the digits for today's microseconds."""
    if value >= 10**17:
        return int(value) // 1_000
    if value >= 10**14:
        return int(value)
    return round(value * (1_000 if value >= 10**11 else 1_000_000))


def _parse_text(text: str) -> datetime | None:
    if text.isascii() and text.isdecimal() and len(text) < 25:
        return parse_time(int(text))
    try:
        parsed = datetime.fromisoformat(text)
        parsed = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return parsed if _EPOCH < parsed < _LAST else None
