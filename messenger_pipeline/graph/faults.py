"""Meta's errors as types. The code and subcode decide, not the HTTP status or the text.

Source: Graph API "Handle Errors" and "Rate Limits"; bodies differ from what those pages promise.
"""

from collections.abc import Mapping
from typing import Any

from messenger_pipeline.errors import (
    CursorRefused,
    GraphConfigurationError,
    GraphError,
    ObjectRefused,
    PageBlocked,
    PermissionMissing,
    RateLimited,
    TokenDead,
    TooMuchData,
    TransientError,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.limits import parse_usage
from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.redaction import redact

_LIMIT_SCOPES = {4: "app", 17: "token", 32: "page", 613: "page"}
_LIMIT_SCOPES |= dict.fromkeys(range(80_000, 80_015), "page")

_KINDS: dict[int, type[GraphError]] = {
    2: TransientError,
    10: PermissionMissing,
    100: ObjectRefused,
    102: TokenDead,
    104: GraphConfigurationError,
    190: TokenDead,
    368: PageBlocked,
    2500: GraphConfigurationError,
}
_KINDS |= dict.fromkeys(range(200, 300), PermissionMissing)


def fault_in(
    status: int, body: bytes, headers: Mapping[str, str], *secrets: str
) -> GraphError | None:
    """The error that an answer tells, or None if it tells none. A 200 may carry an error."""
    told = parse_json(body)
    error = _error_object(told)
    if error is None:
        if status < 400:
            return None
        return _with_seconds(_untold(status, told), headers)
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    message = redact(str(error.get("message") or "no message"), *secrets)
    if "appsecret_proof" in message:
        message += ". Correct MESSENGER_APP_SECRET"
    trace = error.get("fbtrace_id")
    kind = _kind(code, status, message, error.get("is_transient") is True)
    fault = kind(
        message,
        code=code,
        subcode=subcode,
        trace_id=str(trace) if trace else None,
        status=status,
    )
    if isinstance(fault, RateLimited):
        fault.scope = _LIMIT_SCOPES.get(code or 0, "page")
    return _with_seconds(fault, headers)


def _with_seconds(fault: GraphError, headers: Mapping[str, str]) -> GraphError:
    """The fault, with how long to wait where the headers tell."""
    told = _retry_after(headers)
    if isinstance(fault, TransientError):
        fault.seconds = min(told, 60.0) if told else None
    if isinstance(fault, RateLimited):
        fault.seconds = told or parse_usage(headers).regain_seconds or fault.seconds
    return fault


def _kind(code: int | None, status: int, message: str, transient: bool) -> type[GraphError]:
    if code in _LIMIT_SCOPES or (code is None and status == 429):
        return RateLimited
    if code == 1:
        return TooMuchData if "reduce the amount of data" in message.lower() else TransientError
    if code == 100 and "appsecret_proof" in message:
        return GraphConfigurationError
    if code == 100 and "cursor" in message.lower():
        return CursorRefused
    if code in _KINDS:
        return _KINDS[code]
    if transient or status >= 500 or status == 408:
        return TransientError
    return GraphError


def _untold(status: int, told: Any) -> GraphError:
    """An error status without an error body."""
    kind = _kind(None, status, "", False)
    body = "no JSON" if told is None else "no error object"
    if kind is GraphError:
        kind = UnexpectedAnswer
    return kind(f"The Graph API failed; the body is {body}", status=status)


def _error_object(told: Any) -> dict[str, Any] | None:
    """The error in a body, in one shape: Meta's own, or one of the flat ones."""
    if not isinstance(told, dict):
        return None
    error = told.get("error")
    if isinstance(error, dict):
        return error
    flat = {
        "code": told.get("error_code") or (told.get("code") if "error_message" in told else None),
        "message": told.get("error_message") or told.get("error_description"),
    }
    if isinstance(error, str):
        flat["message"] = flat["message"] or error
    return flat if flat["code"] is not None or flat["message"] is not None else None


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Not documented, but honoured."""
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
