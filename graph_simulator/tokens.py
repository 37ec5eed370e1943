"""Faults of tokens and permissions, in the middle of whatever is under way."""

from graph_simulator.call import Call
from graph_simulator.kinds import ALWAYS, fault
from graph_simulator.wire import Refused, gone

_INVALID = "Error validating access token: "

DEADLY = frozenset({"token_expired", "token_checkpoint", "token_password", "app_removed"})
"""Those after which debug_token tells that the token is not valid."""


@fault(ALWAYS)
def token_expired(call: Call) -> None:
    """Code 190, subcode 463: the token has expired."""
    raise Refused(400, 190, f"{_INVALID}Session has expired", 463)


@fault(ALWAYS)
def token_checkpoint(call: Call) -> None:
    """Code 190, subcode 459: the user must log in and pass a checkpoint."""
    raise Refused(400, 190, f"{_INVALID}You cannot access the app till you log in", 459)


@fault(ALWAYS)
def token_password(call: Call) -> None:
    """Code 190, subcode 460: the user changed the password."""
    raise Refused(400, 190, f"{_INVALID}The session has been invalidated", 460)


@fault(ALWAYS)
def app_removed(call: Call) -> None:
    """Code 190, subcode 458: the user removed the app."""
    raise Refused(400, 190, f"{_INVALID}The user has not authorized application", 458)


@fault(ALWAYS)
def permission_revoked(call: Call) -> None:
    """403 with code 230: a permission was taken back."""
    message = "(#230) Requires pages_messaging permission to manage the object"
    raise Refused(403, 230, message)


@fault(ALWAYS)
def permission_missing(call: Call) -> None:
    """403 with code 10: the app has no permission for this."""
    raise Refused(403, 10, "(#10) Application does not have permission for this action")


@fault(ALWAYS)
def blocked(call: Call) -> None:
    """Code 368: temporarily blocked for abuse."""
    message = "The action attempted has been deemed abusive or is otherwise disallowed"
    raise Refused(400, 368, message, 1390008)


@fault(ALWAYS)
def bad_proof(call: Call) -> None:
    """Code 100: the appsecret_proof is found wrong, whatever it is."""
    raise Refused(400, 100, "Invalid appsecret_proof provided in the API argument")


@fault(ALWAYS, ("thread", "messages"))
def thread_permission_lost(call: Call) -> None:
    """Code 100, subcode 33, as if deleted, to every call of a single thread; the list is
    answered."""
    raise gone(call.world.thread_id(call.page, call.number))
