"""What a check found, as Dagster shows it: a sentence, figures, a table of the worst."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg


def finding(
    *,
    passed: bool,
    error: bool,
    said: str,
    rows: Sequence[Mapping[str, Any]] = (),
    **figures: float,
) -> dg.AssetCheckResult:
    """`error` is whether it is one, where it is not passed; else it is a warning. `rows` are the
    pages to look at first, in that order; figures are plotted over time."""
    metadata: dict[str, Any] = dict(figures)
    if rows:
        metadata["worst"] = dg.MetadataValue.table(
            [dg.TableRecord({name: _shown(value) for name, value in row.items()}) for row in rows]
        )
    severity = dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=passed, severity=severity, description=said, metadata=metadata
    )


def duration(seconds: float) -> str:
    """A length of time as one reads it: 45 s, 12 min, 3.5 h, 2.1 d."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3_600:.1f} h"
    return f"{seconds / 86_400:.1f} d"


def _shown(value: Any) -> str | int | float | bool:
    """Tables hold plain values: nothing is an empty text, a time is one to the second."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, (int, str)):
        return value
    return "" if value is None else str(value)
