"""Faults of the transport: server errors, dropped connections, bodies that are not JSON."""

from collections.abc import Callable
from typing import Literal

from starlette.responses import HTMLResponse, Response

from graph_simulator.call import Call
from graph_simulator.errors import ApiError
from graph_simulator.faults.types import ALWAYS, call_fault
from graph_simulator.responses import CutResponse, ReplaceResponse, wait_for_disconnect

_HTML = "<!DOCTYPE html><html><head><title>Sorry, something went wrong.</title></head></html>"
_GATEWAY = "<html><head><title>504 Gateway Time-out</title></head></html>"
_TOO_MUCH = "Please reduce the amount of data you're asking for, then retry your request"
_UNAVAILABLE = "Service temporarily unavailable"

LargeRequestError = Literal["code_2", "code_1_99", "code_minus_3", "html_504", "stall"]
_LARGE_REQUEST_ERRORS: dict[str, Callable[[], ApiError]] = {
    "code_2": lambda: ApiError(500, 2, _UNAVAILABLE, transient=True),
    "code_1_99": lambda: ApiError(500, 1, "An unknown error occurred", 99),
    "code_minus_3": lambda: ApiError(400, -3, "Too many entities were requested at once"),
    "stall": lambda: ApiError(500, 2, _UNAVAILABLE, transient=True),
}


@call_fault()
def http_500(call: Call) -> None:
    """500 with a JSON error without a code."""
    raise ApiError(500, None, "Internal server error")


@call_fault()
def code_1(call: Call) -> None:
    """500 with code 1, an unknown error marked as not transient."""
    raise ApiError(500, 1, "An unknown error occurred", transient=False)


@call_fault()
def code_2(call: Call) -> None:
    """500 with code 2, service temporarily unavailable."""
    raise ApiError(500, 2, _UNAVAILABLE, transient=True)


@call_fault()
def temporary_code(call: Call, *, code: int = -1) -> None:
    """400 with a code that means "retry later": -1, -2, -3, 1200, or one that nobody knows."""
    raise ApiError(400, code, "An error occurred. Please try again later")


@call_fault()
def marked_transient(call: Call, *, code: int = 100) -> None:
    """400 with a code that is permanent elsewhere, here marked as transient."""
    raise ApiError(400, code, "The request could not be completed", transient=True)


@call_fault()
def error_with_200(call: Call) -> None:
    """200 with an error of code 2 as its body."""
    raise ApiError(200, 2, _UNAVAILABLE, transient=True)


@call_fault()
def html(call: Call) -> None:
    """502 with an HTML page."""
    raise ReplaceResponse(HTMLResponse(_HTML, 502))


@call_fault()
def html_200(call: Call) -> None:
    """200 with an HTML page."""
    raise ReplaceResponse(HTMLResponse(_HTML, 200))


@call_fault()
def connection_dropped(call: Call) -> None:
    """The connection closes before the first byte of the response."""
    raise ReplaceResponse(CutResponse())


@call_fault()
def truncated_body(call: Call) -> None:
    """The connection closes in the middle of the body."""

    def truncate(response: Response) -> Response:
        headers = dict(response.headers)
        half = CutResponse(response.body, response.status_code, headers)
        half.sent = len(half.body) // 2
        return half

    call.transform = truncate


@call_fault()
def truncated_json(call: Call) -> None:
    """A complete HTTP response whose JSON ends in the middle."""

    def truncate(response: Response) -> Response:
        half = response.body[: len(response.body) // 2]
        kept = {k: v for k, v in response.headers.items() if k != "content-length"}
        return Response(half, response.status_code, kept)

    call.transform = truncate


@call_fault()
async def stall(call: Call, *, seconds: float = 30.0) -> None:
    """A normal response after `seconds` without a byte."""
    await wait_for_disconnect(call.request, seconds)


def _is_large(call: Call, weight: int, **_: object) -> bool:
    return call.weight > weight


@call_fault(ALWAYS, ("conversations", "messages", "thread"), _is_large)
async def large_request_fails(
    call: Call, *, weight: int = 1000, style: LargeRequestError = "code_2"
) -> None:
    """An error that does not name the size, for every call that requests more than `weight`
    records (see too_much_data): code_2; code_1_99, an unknown error; code_minus_3; html_504, a
    gateway's page; stall, no answer within 30 seconds."""
    if style == "html_504":
        raise ReplaceResponse(HTMLResponse(_GATEWAY, 504))
    if style == "stall":
        await wait_for_disconnect(call.request, 30.0)
    raise _LARGE_REQUEST_ERRORS[style]()


def _has_a_larger_limit(call: Call, maximum: int) -> bool:
    return call.requested_limit > maximum


@call_fault(ALWAYS, ("conversations", "messages"), _has_a_larger_limit)
def limit_refused(call: Call, *, maximum: int = 100) -> None:
    """Code 100 for a `limit` over `maximum`, instead of a list that is cut silently."""
    raise ApiError(400, 100, f"(#100) The 'limit' parameter should not exceed {maximum}")


@call_fault(
    ALWAYS, ("conversations", "messages", "thread"), lambda call, weight: call.weight > weight
)
def too_much_data(call: Call, *, weight: int = 1000) -> None:
    """500 with code 1, "reduce the amount of data", for every call that requests more than
    `weight` records: threads and their nested messages, or messages."""
    raise ApiError(500, 1, _TOO_MUCH)


@call_fault(ALWAYS, ("conversations",))
def list_refused(call: Call) -> None:
    """500 with code 1, "reduce the amount of data", for the list of threads at any page size.
    Single threads still work."""
    raise ApiError(500, 1, _TOO_MUCH)
