"""Meta's errors as types. The code and subcode decide, not the HTTP status or the text.

Source: Graph API "Handle Errors" and "Rate Limits"; real bodies differ from those pages.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from messenger_pipeline.errors import (
    ContactTermsNotAccepted,
    CursorRefused,
    GraphConfigurationError,
    GraphError,
    ObjectRefused,
    PageBlocked,
    PermissionMissing,
    RateLimited,
    RequestUnsupported,
    SendingRestricted,
    TokenDead,
    TooMuchData,
    TransientError,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.limits import parse_usage
from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.graph.retry_after import parse_retry_after
from messenger_pipeline.redaction import redact

_LIMIT_SCOPES = {4: "app", 341: "app", 17: "token", 32: "page", 613: "page"}
_LIMIT_SCOPES |= dict.fromkeys(range(80_000, 80_015), "page")

_KINDS: dict[int, type[GraphError]] = {
    3: PermissionMissing,
    10: PermissionMissing,
    100: ObjectRefused,
    102: TokenDead,
    104: GraphConfigurationError,
    190: TokenDead,
    368: PageBlocked,
    551: ObjectRefused,
    2500: GraphConfigurationError,
    9010: ObjectRefused,
}
_KINDS |= dict.fromkeys(range(200, 300), PermissionMissing)
"""The errors that a retry does not mend. All other codes, also those that nobody has seen yet, are
temporary until they last."""

_SUBCODES: dict[tuple[int, int], type[GraphError]] = {
    (2, 2018344): ContactTermsNotAccepted,
    (10, 1893063): SendingRestricted,
}
"""Subcodes that change the meaning of their code."""

_LIMIT = re.compile(r"\blimit\b", re.IGNORECASE)
_UNSUPPORTED = re.compile(r"unsupported request\W+method type", re.IGNORECASE)


def parse_error(
    status: int, body: bytes, headers: Mapping[str, str], *secrets: str
) -> GraphError | None:
    """The error in an answer, or None. An answer with status 200 may contain one.

    Removes `secrets` from its message.
    """
    content = parse_json(body)
    error = _error_object(content)
    if error is None:
        if status < 400:
            return None
        return _with_seconds(_unstated_error(status, content), headers)
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    message = redact(str(error.get("message") or "no message"), *secrets)
    trace = error.get("fbtrace_id")
    kind = _kind(code, subcode, status, message, error.get("is_transient") is True)
    parsed = kind(
        message + _hint(code, subcode, message),
        code=code,
        subcode=subcode,
        trace_id=str(trace) if trace else None,
        status=status,
    )
    if isinstance(parsed, RateLimited):
        parsed.scope = _LIMIT_SCOPES.get(code or 0, "page")
    return _with_seconds(parsed, headers)


def _with_seconds(error: GraphError, headers: Mapping[str, str]) -> GraphError:
    """The error, with the seconds to wait if the headers state them."""
    stated = parse_retry_after(headers)
    if isinstance(error, TransientError):
        error.seconds = min(stated, 60.0) if stated else None
    if isinstance(error, RateLimited):
        error.seconds = stated or parse_usage(headers).regain_seconds or error.seconds
    return error


def _kind(
    code: int | None, subcode: int | None, status: int, message: str, transient: bool
) -> type[GraphError]:
    if code in _LIMIT_SCOPES or (status == 429 and code not in _KINDS):
        return RateLimited
    if (code or 0, subcode or 0) in _SUBCODES:
        return _SUBCODES[code or 0, subcode or 0]
    if code == 1 and "reduce the amount of data" in message.lower():
        return TooMuchData
    if code == 100 and "appsecret_proof" in message:
        return GraphConfigurationError
    if transient:
        return TransientError
    if code == 100:
        return _kind_of_parameter(message)
    return TransientError if code is None else _KINDS.get(code, TransientError)


def _kind_of_parameter(message: str) -> type[GraphError]:
    """The type of a code 100, which means a wrong parameter as well as a missing object."""
    if _UNSUPPORTED.search(message):
        return RequestUnsupported
    if "cursor" in message.lower():
        return CursorRefused
    # "The 'limit' parameter should not exceed 100": some edges refuse what others cut silently.
    return TooMuchData if _LIMIT.search(message) else ObjectRefused


def _hint(code: int | None, subcode: int | None, message: str) -> str:
    """What to do about an error whose own text does not name it."""
    if "appsecret_proof" in message:
        return ". Correct MESSENGER_APP_SECRET"
    if (code, subcode) == (1, 99):
        return ". If it lasts, a permission or Advanced Access may be missing"
    return ""


def _unstated_error(status: int, content: Any) -> GraphError:
    """The error for an error status whose body states none."""
    kind: type[GraphError] = UnexpectedAnswer
    if status == 429:
        kind = RateLimited
    elif status >= 500 or status == 408:
        kind = TransientError
    body = "is not JSON" if content is None else "has no error object"
    return kind(f"The Graph API failed, and the body {body}", status=status)


def _error_object(content: Any) -> dict[str, Any] | None:
    """The error object of a body; the flat shapes that Meta also uses become Meta's main one."""
    if not isinstance(content, dict):
        return None
    error = content.get("error")
    if isinstance(error, dict):
        return error
    flat = {
        "code": content.get("error_code")
        or (content.get("code") if "error_message" in content else None),
        "message": content.get("error_message") or content.get("error_description"),
    }
    if isinstance(error, str):
        flat["message"] = flat["message"] or error
    return flat if flat["code"] is not None or flat["message"] is not None else None


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def error_key(error: GraphError) -> str:
    """The key that an error is counted under."""
    if error.code is not None:
        return str(error.code)
    return f"HTTP {error.status}" if error.status else "no answer"


def answer_date(headers: Mapping[str, str]) -> datetime:
    """The time of an answer; now, if it does not state one."""
    try:
        return parsedate_to_datetime(headers.get("Date") or "").astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)
