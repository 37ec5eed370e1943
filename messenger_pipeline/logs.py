"""Logging: one JSON object per line, with the page, session and run it concerns, without secrets.

Our modules use the standard library's logging: the message describes the event, and facts are in
`extra`. A long-lived process calls `configure` once. Dagster's runs have a console logger of their
own, defs/console.py, which prints the same lines.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, Processor

from messenger_pipeline.redaction import SECRET_NAMES, redact_known

OURS = "messenger_pipeline"
_FIRST = ("time", "level", "process", "logger", "event", "page_id", "session_id", "run_id")
_log = logging.getLogger(__name__)
_CHATTY = ("urllib3", "psycopg.pool", "asyncio")

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def configure(process: str, level: int = logging.INFO) -> None:
    """Log everything, including libraries, to standard error as one JSON object per line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_lines(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda ended: _log_uncaught(
        ended.exc_type, ended.exc_value, ended.exc_traceback
    )
    for name in _CHATTY:
        # They log each attempt; our modules log the result.
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


def log_context(**facts: object) -> AbstractContextManager[None]:
    """Add facts such as page_id, session_id and run_id to every line within the context.

    They apply to this thread; `in_log_context` applies them to another.
    """
    return bound_contextvars(**{name: one for name, one in facts.items() if one is not None})


def in_log_context(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """`function` for another thread, with the facts that are bound in this one.

    A new thread has no facts: `Thread(target=in_log_context(work))`,
    `executor.submit(in_log_context(work), …)`.
    """
    facts = get_contextvars()

    def call(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
        with bound_contextvars(**facts):
            return function(*args, **options)

    return call


def json_lines(process: str, *more: Processor) -> logging.Formatter:
    """A formatter that prints records as JSON lines; `more` are further processors."""
    return ProcessorFormatter(
        foreign_pre_chain=[_origin, merge_contextvars, ExtraAdder(), _own, *more],
        processors=[
            _named(process),
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _redacted,
            _ordered,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )


class OurRecord(logging.LogRecord):
    """A record of our modules, redacted before any handler gets it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Dagster logs the record again, by a logger of its own.
        self.origin = self.name
        if self.exc_info and self.exc_info[0]:
            # Formatters use this text instead of formatting exc_info.
            self.exc_text = redact_known("".join(traceback.format_exception(*self.exc_info)))[:-1]

    def getMessage(self) -> str:  # noqa: N802 - the standard library's name
        return redact_known(super().getMessage())


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Log an uncaught exception as one line instead of a traceback of many."""
    if error is None or issubclass(kind, KeyboardInterrupt):
        return
    thread = threading.current_thread().name
    _log.critical("%s ended by %s", thread, kind.__name__, exc_info=(kind, error, trace))


def _record(name: str | None, *args: Any, **options: Any) -> logging.LogRecord:
    ours = name is not None and name.partition(".")[0] == OURS
    return (OurRecord if ours else logging.LogRecord)(name, *args, **options)  # type: ignore[arg-type]


def _origin(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Set the message apart while facts are added: a fact named `event` must not replace it."""
    line["_event"] = line.pop("event")
    return line


def _own(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Remove the attributes that another handler's formatter set on the record."""
    line.pop("message", None)
    line.pop("asctime", None)
    return line


def _named(process: str) -> Processor:
    def name(_logger: object, _method: str, line: EventDict) -> EventDict:
        record: logging.LogRecord = line["_record"]
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line.update(
            {
                "time": when.replace("+00:00", "Z"),
                "level": record.levelname.lower(),
                "process": process,
                "logger": line.pop("origin", record.name),
                "event": line.pop("_event"),
            }
        )
        return line

    return name


def _redacted(_logger: object, _method: str, line: EventDict) -> EventDict:
    return _clean_facts(line)


def _clean_facts(facts: Mapping[Any, object]) -> dict[str, object]:
    """Redact secrets, including every value under a secret name."""
    return {
        redact_known(str(name)): "***" if str(name).lower() in SECRET_NAMES else _clean(value)
        for name, value in facts.items()
    }


def _clean(value: object) -> object:
    """A value for JSON, without secrets."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return _clean_facts(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return redact_known(value.decode(errors="replace"))
    return redact_known(str(value))


def _ordered(_logger: object, _method: str, line: EventDict) -> EventDict:
    first = {name: line[name] for name in _FIRST if name in line}
    return {**first, **line}


# At import, so that it applies to every handler, including Dagster's for the run's record.
logging.setLogRecordFactory(_record)
