"""The header Retry-After. Meta documents none; one that is sent is respected."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DAY = 24 * 3600.0
"""Seconds. No pause longer than a day is believed."""


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds until a retry, at most a day. None if the header is missing, or makes no sense.

    The header is a number of seconds or a date. Source: RFC 9110, section 10.2.3.
    """
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value)
    return bounded_pause(seconds)


def bounded_pause(seconds: float) -> float | None:
    """A pause of at most a day; None for one that is not a positive number."""
    return min(seconds, DAY) if seconds > 0 else None


def _seconds_until(date: str) -> float:
    """The seconds until an HTTP date; NaN if it is none."""
    try:
        at = parsedate_to_datetime(date)
        # A date without a zone is UTC, as every HTTP date is.
        return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return math.nan
