"""What a run prints: the JSON lines of logs.py instead of Dagster's coloured text.

Dagster hands every line of a run to its console logger: our modules' (dagster.yaml names them),
`context.log`'s and its own events. A collector that reads the process's standard error gets the
same fields as from the receiver, and the run's id.
"""

import logging
import sys
from typing import Any, TextIO

import dagster as dg
from structlog.typing import EventDict

from messenger_pipeline import logs

CONSOLE: dict[str, Any] = {"console": {"config": {}}}
"""Run config that chooses the logger: Dagster prints its own text where none is chosen, as in the
runs of a backfill."""


class _StandardError(logging.StreamHandler[TextIO]):
    """Standard error as it is now: Dagster may have put a file in its place meanwhile."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


@dg.logger(
    config_schema={
        "log_level": dg.Field(
            str, is_required=False, default_value="INFO", description="The least level printed."
        )
    },
    description="One JSON object a line on standard error, without secrets.",
)
def json_console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("dagster", context.logger_config["log_level"])
    handler = _StandardError(sys.stderr)
    handler.setFormatter(logs.json_lines("run", _of_dagster))
    logger.addHandler(handler)
    return logger


def _of_dagster(_logger: object, _method: str, line: EventDict) -> EventDict:
    """What Dagster hangs on a record, as plain facts; its sentence repeats them."""
    told: dict[str, Any] = line.pop("dagster_meta", None) or {}
    event = line.pop("dagster_event", None)
    line.pop("dagster_event_batch_metadata", None)
    if not told:
        return line
    tags = told.get("job_tags") or {}
    facts = {
        "run_id": told.get("run_id"),
        "job": told.get("job_name"),
        "step": told.get("step_key"),
        "page_id": tags.get("dagster/partition"),
        "session_id": tags.get("messenger/session"),
        "cause": tags.get("messenger/cause"),
        "dagster_event": event.event_type_value if event else None,
    }
    line.update({name: one for name, one in facts.items() if one and name not in line})
    line["_event"] = told["orig_message"]
    error = getattr(event.event_specific_data, "error", None) if event else None
    if error is not None:
        line["exception"] = error.to_string()
    return line
