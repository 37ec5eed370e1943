"""Times as deliveries tell them."""

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)


def parse_time(value: Any) -> datetime | None:
    """A time told in nano-, micro-, milliseconds or seconds, as number or text, or as ISO 8601.
    None where it is 0, missing or none."""
    if isinstance(value, str):
        return _parse_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = _EPOCH + timedelta(microseconds=_microseconds(value))
    except (OverflowError, ValueError):
        return None
    return found if _EPOCH < found < _LAST else None


def is_plain(value: Any) -> bool:
    """Whether a time is told as documented: in milliseconds."""
    return isinstance(value, int) and 10**11 <= value < 10**14


def _microseconds(value: int | float) -> int:
    """By how great it is: the seconds of today have ten digits. In whole numbers, as a float has
    not the digits for microseconds of today."""
    if value >= 10**17:
        return int(value) // 1_000
    if value >= 10**14:
        return int(value)
    return round(value * (1_000 if value >= 10**11 else 1_000_000))


def _parse_text(text: str) -> datetime | None:
    if text.isascii() and text.isdecimal() and len(text) < 25:
        return parse_time(int(text))
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if _EPOCH < found < _LAST else None
