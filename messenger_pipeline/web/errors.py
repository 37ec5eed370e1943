"""The one shape of every error response: {"error": "what is wrong, and the remedy"}."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from messenger_pipeline.errors import (
    DatabaseError,
    DatabaseUnavailable,
    SchemaError,
    UnknownPage,
)

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
"""Of a request to any route but the webhook."""

TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES:,} bytes."
RETRY_SECONDS = 5


class ErrorBody(BaseModel):
    """What is wrong, and the remedy."""

    error: str


def error_responses(**statuses: str) -> dict[int | str, dict[str, Any]]:
    """Errors in a route's description: error_responses(_404="No such page.")."""
    return {
        int(status[1:]): {"model": ErrorBody, "description": text}
        for status, text in statuses.items()
    }


def error_response(status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": error}, status, headers)


def handle_errors(api: FastAPI) -> None:
    """Turn what the routes raise into error responses."""
    api.exception_handler(HTTPException)(_http_error)
    api.exception_handler(RequestValidationError)(_invalid_request)
    api.exception_handler(UnknownPage)(_unknown_page)
    api.exception_handler(DatabaseError)(_database_error)


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers or {})
    operations = request.app.openapi()["paths"].get(request.url.path)
    if error.status_code == 405 and operations:
        # Starlette names the methods of the path's first route only.
        headers["Allow"] = ", ".join(sorted(method.upper() for method in operations))
    text = TOO_LARGE if error.status_code == 413 else str(error.detail)
    return error_response(error.status_code, text, headers)


async def _invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
    return error_response(422, " ".join(_explain(one) for one in error.errors()[:5]))


async def _unknown_page(_: Request, error: UnknownPage) -> JSONResponse:
    return error_response(404, str(error))


async def _database_error(_: Request, error: DatabaseError) -> JSONResponse:
    _log.warning("a request failed because of the database: %s", error)
    if isinstance(error, DatabaseUnavailable):
        text = "The database cannot be reached; try again in a moment."
    elif isinstance(error, SchemaError):
        text = "The database schema is of another version; run `messenger-pipeline db upgrade`."
    else:
        text = "The database refused the request; the receiver's log has the reason."
    return error_response(503, text, {"Retry-After": str(RETRY_SECONDS)})


def _explain(fault: Any) -> str:
    """One validation error as a sentence: which field, and what is valid.

    The field's value is not repeated: it may be long, or secret.
    """
    if fault["type"] == "json_invalid":
        return 'The body is not JSON; send an object such as {"pageId": "112233445566"}.'
    if fault["type"] == "model_attributes_type":
        return "The body must be a JSON object."
    field = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    if fault["type"] == "extra_forbidden":
        return f"{field[:60]} is not a field of this request; see /docs."
    if fault["type"] == "missing" and field == "body":
        return "The body is missing; send a JSON object."
    # The text of an error that our own validators raise is a sentence.
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{field}: {message[:300]}."
