"""Every error of these routes in one shape: {"error": "what is wrong, and what to do"}."""

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

RETRY_SECONDS = 5


class Failure(BaseModel):
    """What is wrong, and what to do about it."""

    error: str


def described(**statuses: str) -> dict[int | str, dict[str, Any]]:
    """Errors for a route's description: described(_404="No such page.")."""
    return {
        int(status[1:]): {"model": Failure, "description": text}
        for status, text in statuses.items()
    }


def failure(status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": error}, status, headers)


def handle_failures(api: FastAPI) -> None:
    @api.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405 and (known := api.openapi()["paths"].get(request.url.path)):
            # Starlette names those of one of the path's routes only.
            headers["allow"] = ", ".join(sorted(method.upper() for method in known))
        return failure(error.status_code, str(error.detail), headers)

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return failure(422, " ".join(_explain(one) for one in error.errors()[:5]))

    @api.exception_handler(UnknownPage)
    async def unknown(_: Request, error: UnknownPage) -> JSONResponse:
        return failure(404, str(error))

    @api.exception_handler(DatabaseError)
    async def away(_: Request, error: DatabaseError) -> JSONResponse:
        _log.warning("a request could not be answered: %s", error)
        if isinstance(error, DatabaseUnavailable):
            told = "The database cannot be reached; ask again in a moment."
        elif isinstance(error, SchemaError):
            told = "The schema is another than this program's: `messenger-pipeline db upgrade`."
        else:
            told = "The database refused it; the receiver's log says why."
        return failure(503, told, {"Retry-After": str(RETRY_SECONDS)})


def _explain(fault: Any) -> str:
    """One thing that is wrong with a request: where, and what is right. Its value, which may be
    long or secret, is not repeated."""
    if fault["type"] == "json_invalid":
        return 'The body is no JSON; send an object such as {"pageId": "112233445566"}.'
    if fault["type"] == "model_attributes_type":
        return "The body must be a JSON object."
    where = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    if fault["type"] == "extra_forbidden":
        return f"{where[:60]} is no field of this request; see /docs."
    if fault["type"] == "missing" and where == "body":
        return "The body is missing; send a JSON object."
    # A text that a validator of ours raised is a sentence.
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[:300]}."
