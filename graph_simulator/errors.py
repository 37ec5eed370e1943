"""Error responses of the Graph API."""

from typing import Any


class ApiError(Exception):
    """An error response: an HTTP status and Meta's error body."""

    def __init__(
        self,
        status: int,
        code: int | None,
        message: str,
        subcode: int | None = None,
        *,
        transient: bool | None = None,
        kind: str = "OAuthException",
    ) -> None:
        super().__init__(message)
        self.status = status
        error: dict[str, Any] = {"message": message, "type": kind}
        optional = {"code": code, "error_subcode": subcode, "is_transient": transient}
        error |= {name: value for name, value in optional.items() if value is not None}
        self.body = {"error": {**error, "fbtrace_id": "ASimulatedTrace"}}


def not_found(object_id: str) -> ApiError:
    """Meta's answer for an object that is missing or that the token may not read."""
    return ApiError(
        400,
        100,
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded"
        " due to missing permissions, or does not support this operation.",
        33,
    )
