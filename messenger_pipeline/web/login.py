"""Log-in to the status page: the API key once, then a session cookie."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from messenger_pipeline.web.auth import COOKIE, KEY_NOT_SET, SESSION_SECONDS, Authenticator
from messenger_pipeline.web.dependencies import AuthDependency
from messenger_pipeline.web.errors import error_response, error_responses

login_routes = APIRouter(tags=["status page"])


class Login(BaseModel):
    """The API key."""

    key: str = Field(max_length=1000)


@login_routes.post(
    "/login",
    status_code=204,
    summary="Exchange the API key for the status page's session cookie",
    responses=error_responses(
        _400="The body cannot be read.",
        _401="The key is wrong, or MESSENGER_API_KEY is not set.",
        _413="The body is too large.",
        _422="The body is invalid.",
    ),
)
def log_in(given: Login, request: Request, auth: AuthDependency) -> Response:
    if not auth.is_key(given.key.encode("utf-8", "replace")):
        return error_response(401, "The API key is wrong." if auth.has_key else KEY_NOT_SET)
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE, auth.new_cookie(), max_age=SESSION_SECONDS, **_attributes(request, auth)
    )
    return response


@login_routes.post("/logout", status_code=204, summary="Delete the status page's session cookie")
def log_out(request: Request, auth: AuthDependency) -> Response:
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, **_attributes(request, auth))
    return response


def _attributes(request: Request, auth: Authenticator) -> dict[str, Any]:
    """The cookie's. A page at another site gets it only with SameSite=None, which browsers take
    only over https; the guard then checks where a request comes from."""
    https = _is_https(request)
    same_site = "none" if auth.allowed_origins and https else "strict"
    return {"secure": https, "httponly": True, "samesite": same_site}


def _is_https(request: Request) -> bool:
    """Whether the browser uses https, with us or with the proxy in front of us."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    return scheme.split(",")[0].strip().lower() == "https"
