"""Faults of tokens and permissions, which can begin in the middle of a walk."""

from graph_simulator.call import Call
from graph_simulator.errors import ApiError, not_found
from graph_simulator.faults.types import ALWAYS, call_fault

_INVALID = "Error validating access token: "

INVALIDATING = frozenset(
    {"token_expired", "token_checkpoint", "token_password_changed", "app_removed"}
)
"""The faults after which debug_token reports the token as invalid."""


@call_fault(ALWAYS)
def token_expired(call: Call) -> None:
    """Code 190, subcode 463: the token has expired."""
    raise ApiError(400, 190, f"{_INVALID}Session has expired", 463)


@call_fault(ALWAYS)
def token_checkpoint(call: Call) -> None:
    """Code 190, subcode 459: the user must log in and pass a checkpoint."""
    raise ApiError(400, 190, f"{_INVALID}You cannot access the app till you log in", 459)


@call_fault(ALWAYS)
def token_password_changed(call: Call) -> None:
    """Code 190, subcode 460: the user changed the password."""
    raise ApiError(400, 190, f"{_INVALID}The session has been invalidated", 460)


@call_fault(ALWAYS)
def app_removed(call: Call) -> None:
    """Code 190, subcode 458: the user removed the app."""
    raise ApiError(400, 190, f"{_INVALID}The user has not authorized application", 458)


@call_fault(ALWAYS)
def permission_revoked(call: Call) -> None:
    """403 with code 230: a permission was revoked."""
    message = "(#230) Requires pages_messaging permission to manage the object"
    raise ApiError(403, 230, message)


@call_fault(ALWAYS)
def permission_missing(call: Call) -> None:
    """403 with code 10: the app has no permission for this call."""
    raise ApiError(403, 10, "(#10) Application does not have permission for this action")


@call_fault(ALWAYS)
def blocked(call: Call) -> None:
    """Code 368: temporarily blocked for abuse."""
    message = "The action attempted has been deemed abusive or is otherwise disallowed"
    raise ApiError(400, 368, message, 1390008)


@call_fault(ALWAYS)
def bad_proof(call: Call) -> None:
    """Code 100: the appsecret_proof is refused, right or wrong."""
    raise ApiError(400, 100, "Invalid appsecret_proof provided in the API argument")


@call_fault(ALWAYS, ("thread", "messages"))
def thread_permission_lost(call: Call) -> None:
    """Code 100, subcode 33, as if deleted, for every call of a single thread. The list still
    works."""
    raise not_found(call.world.thread_id(call.page, call.number))


@call_fault(ALWAYS)
def sending_restricted(call: Call) -> None:
    """403 with code 10, subcode 1893063: the page is temporarily restricted from sending."""
    message = "(#10) This Page is temporarily restricted from sending messages"
    raise ApiError(403, 10, message, 1893063)


@call_fault(ALWAYS)
def contact_terms(call: Call) -> None:
    """500 with code 2, subcode 2018344: an admin must accept the Page Contact Terms."""
    message = "The Page admin must accept the Page Contact Terms"
    raise ApiError(500, 2, message, 2018344)


@call_fault(ALWAYS)
def request_unsupported(call: Call) -> None:
    """Code 100, "Unsupported request - method type", which has met all accounts of an app at
    once."""
    raise ApiError(400, 100, "Unsupported request - method type: get", kind="IGApiException")
