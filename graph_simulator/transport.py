"""Faults of the way between: service trouble, connections cut, answers that are no JSON."""

from starlette.responses import HTMLResponse, Response

from graph_simulator.call import Call
from graph_simulator.kinds import ALWAYS, fault
from graph_simulator.reply import CutResponse, Instead, wait_for_disconnect
from graph_simulator.wire import Refused

_HTML = "<!DOCTYPE html><html><head><title>Sorry, something went wrong.</title></head></html>"
_TOO_MUCH = "Please reduce the amount of data you're asking for, then retry your request"
_UNAVAILABLE = "Service temporarily unavailable"


@fault()
def http_500(call: Call) -> None:
    """500 with JSON that has no code."""
    raise Refused(500, None, "Internal server error")


@fault()
def code_1(call: Call) -> None:
    """500 with code 1, an unknown error that says it is not transient."""
    raise Refused(500, 1, "An unknown error occurred", transient=False)


@fault()
def code_2(call: Call) -> None:
    """500 with code 2, service trouble."""
    raise Refused(500, 2, _UNAVAILABLE, transient=True)


@fault()
def error_under_200(call: Call) -> None:
    """200 with an error of code 2 as its body."""
    raise Refused(200, 2, _UNAVAILABLE, transient=True)


@fault()
def html(call: Call) -> None:
    """502 with a page of HTML."""
    raise Instead(HTMLResponse(_HTML, 502))


@fault()
def html_200(call: Call) -> None:
    """200 with a page of HTML."""
    raise Instead(HTMLResponse(_HTML, 200))


@fault()
def connection_cut(call: Call) -> None:
    """The connection ends without a byte of an answer."""
    raise Instead(CutResponse())


@fault()
def body_cut(call: Call) -> None:
    """The connection ends in the middle of the body."""

    def cut(response: Response) -> Response:
        headers = dict(response.headers)
        half = CutResponse(response.body, response.status_code, headers)
        half.sent = len(half.body) // 2
        return half

    call.spoil = cut


@fault()
def json_cut(call: Call) -> None:
    """Sound HTTP, but the JSON in it ends in the middle."""

    def cut(response: Response) -> Response:
        half = response.body[: len(response.body) // 2]
        kept = {k: v for k, v in response.headers.items() if k != "content-length"}
        return Response(half, response.status_code, kept)

    call.spoil = cut


@fault()
async def stall(call: Call, *, seconds: float = 30.0) -> None:
    """No answer for `seconds`, then a sound one."""
    await wait_for_disconnect(call.request, seconds)


@fault(ALWAYS, ("conversations", "messages", "thread"), lambda call, weight: call.weight > weight)
def too_much_data(call: Call, *, weight: int = 1000) -> None:
    """500 with code 1, "reduce the amount of data", to every call that asks for more than
    `weight` records: threads, each with its nested messages, or messages."""
    raise Refused(500, 1, _TOO_MUCH)


@fault(ALWAYS, ("conversations",))
def list_refused(call: Call) -> None:
    """500 with code 1, "reduce the amount of data", to the list of threads however little is
    asked for; single threads are answered."""
    raise Refused(500, 1, _TOO_MUCH)
