"""The console logger of runs: prints the JSON lines of logs.py instead of Dagster's coloured text.

Dagster passes every record of a run to its console logger: those of our modules (dagster.yaml names
them), of `context.log`, and its own events. A log collector gets the same fields as from the
receiver, and the run's id.
"""

import logging
import sys
from typing import Any, TextIO

import dagster as dg
from structlog.typing import EventDict

from messenger_pipeline import logs

CONSOLE: dict[str, Any] = {"console": {"config": {}}}
"""Run config that selects the logger. Without it, as in the runs of a backfill, Dagster prints its
own text."""


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to the current standard error: Dagster may have redirected it to a file."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


@dg.logger(
    config_schema={
        "log_level": dg.Field(
            str,
            is_required=False,
            default_value="INFO",
            description="The lowest level that is printed.",
        )
    },
    description="Prints one JSON object per line on standard error, without secrets.",
)
def json_console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("dagster", context.logger_config["log_level"])
    handler = _StandardError(sys.stderr)
    handler.setFormatter(logs.json_lines("run", _of_dagster))
    logger.addHandler(handler)
    return logger


def _of_dagster(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Dagster's attributes of a record as fields of the line; its message repeats them."""
    attributes: dict[str, Any] = line.pop("dagster_meta", None) or {}
    event = line.pop("dagster_event", None)
    line.pop("dagster_event_batch_metadata", None)
    if not attributes:
        return line
    tags = attributes.get("job_tags") or {}
    facts = {
        "run_id": attributes.get("run_id"),
        "job": attributes.get("job_name"),
        "step": attributes.get("step_key"),
        "page_id": tags.get("dagster/partition"),
        "session_id": tags.get("messenger/session"),
        "cause": tags.get("messenger/cause"),
        "dagster_event": event.event_type_value if event else None,
    }
    line.update({name: one for name, one in facts.items() if one and name not in line})
    line["_event"] = attributes["orig_message"]
    error = getattr(event.event_specific_data, "error", None) if event else None
    if error is not None:
        line["exception"] = error.to_string()
    return line
