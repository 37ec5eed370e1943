"""What a command prints and keeps of an error that nobody foresaw.

Imports nothing but the standard library and what does, so that it works where an import failed.
"""

import logging
import os
import platform
import re
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from messenger_pipeline.redaction import redact_known

_KEPT = 100  # files: a command that fails each minute must not fill the disk
_LONGEST = 300  # characters of an error's text in the sentence
_NAME = "error-*.log"
_log = logging.getLogger(__name__)


def report_crash(error: BaseException, what: str = "This command") -> str:
    """Write the error's details to a file. Returns a sentence that names the error and the file."""
    shown = f"{what} ended with an unexpected error: {_summary(error)}."
    try:
        path = _write(_details(error))
    except Exception as failure:  # noqa: BLE001 - a full disk must not hide the error
        return f"{shown} Its details could not be written: {_summary(failure)}."
    return f"{shown} The details are in {path}; please report them."


def prepare_reports() -> None:
    """Report errors in threads and at exit in the same way, and log lines without tracebacks."""
    # It logs each attempt to connect; the error at the end is enough.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    threading.excepthook = _report_thread
    sys.unraisablehook = _report_unraisable
    logging.raiseExceptions = False  # of a handler whose stream is closed
    logging.lastResort = logging.StreamHandler()
    logging.lastResort.setLevel(logging.WARNING)
    logging.lastResort.setFormatter(_Plain())


class _Plain(logging.Formatter):
    """A log line for people: `Warning: …`, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            text += f": {_summary(record.exc_info[1])}"
        return f"{record.levelname.capitalize()}: {_clean(text)}"


def _report_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(
        ended.exc_value, KeyboardInterrupt | SystemExit
    ):
        name = ended.thread.name if ended.thread else "a thread"
        _log.warning("%s", report_crash(ended.exc_value, f"A part of this command ({name})"))


def _report_unraisable(ended: Any) -> None:
    """Keep an error that ends nothing, such as one in a finalizer. A closed pipe is none."""
    if ended.exc_value is None or isinstance(ended.exc_value, BrokenPipeError | KeyboardInterrupt):
        return
    if logging.getLogger().handlers:
        facts = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        _log.error("an error was ignored", exc_info=facts)
        return
    with suppress(Exception):
        _write(_details(ended.exc_value))


def _summary(error: BaseException) -> str:
    """The error's type and text, on one line."""
    try:
        text = _clean(str(error))
    except Exception:  # noqa: BLE001 - its own __str__ may fail
        text = ""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"{type(error).__name__}: {text}".rstrip(".: ")


def _details(error: BaseException) -> str:
    lines = [
        f"time: {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        f"command: {_command()}",
        f"messenger-pipeline: {_version()}",
        f"python: {platform.python_version()} on {platform.platform()}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    return _redacted("\n".join(lines))


def _command() -> str:
    """The command's words. What follows them, such as an option's value, may be a secret."""
    words = []
    for word in sys.argv[1:3]:
        if not re.fullmatch(r"[a-z][a-z-]{1,20}", word):
            break
        words.append(word)
    return " ".join(words)


def _version() -> str:
    try:
        return metadata.version("messenger-pipeline")
    except metadata.PackageNotFoundError:
        return "unknown"


def _write(details: str) -> Path:
    """Write a file that only its owner can read; in the temporary directory where the home cannot
    be used. Raises OSError."""
    name = f"error-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}.log"
    try:
        return _write_in(_home_logs(), name, details)
    except Exception:  # noqa: BLE001 - whatever is wrong with the home or its setting
        return _write_in(Path(tempfile.gettempdir()), f"messenger-pipeline-{name}", details)


def _write_in(folder: Path, name: str, details: str) -> Path:
    path = folder / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(details)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _home_logs() -> Path:
    """The folder of the logs under MESSENGER_HOME. Raises if there is no home yet."""
    from messenger_pipeline.settings import read_home  # the import may be what failed

    home = read_home().resolve(strict=True)
    logs = home / "logs"
    logs.mkdir(exist_ok=True)
    for old in sorted(logs.glob(_NAME))[: 1 - _KEPT]:
        old.unlink(missing_ok=True)
    return logs


def _clean(text: str) -> str:
    return _redacted(" ".join(text.split()))


def _redacted(text: str) -> str:
    return re.sub(r"://[^@\s/]*@", "://***@", redact_known(text))
