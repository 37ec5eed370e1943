"""The result of a check as Dagster shows it: a summary, figures, and a table of the worst pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg


def finding(
    *,
    passed: bool,
    error: bool,
    summary: str,
    rows: Sequence[Mapping[str, Any]] = (),
    **figures: float,
) -> dg.AssetCheckResult:
    """A check's result. If it has not passed, it is an error if `error`, else a warning. `rows` are
    the pages to look at, worst first. Dagster plots the figures over time."""
    metadata: dict[str, Any] = dict(figures)
    if rows:
        metadata["worst"] = dg.MetadataValue.table(
            [dg.TableRecord({name: _shown(value) for name, value in row.items()}) for row in rows]
        )
    severity = dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=passed, severity=severity, description=summary, metadata=metadata
    )


def duration(seconds: float) -> str:
    """A duration for people: 45 s, 12 min, 3.5 h, 2.1 d."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3_600:.1f} h"
    return f"{seconds / 86_400:.1f} d"


def _shown(value: Any) -> str | int | float | bool:
    """A value for a table: None becomes an empty text, a time is cut to the second."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, (int, str)):
        return value
    return "" if value is None else str(value)
