"""Log-in to the status page: the API key once, then a session cookie."""

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
    return _with_cookie(request, auth, auth.new_cookie(), SESSION_SECONDS)


@login_routes.post("/logout", status_code=204, summary="Delete the status page's session cookie")
def log_out(request: Request, auth: AuthDependency) -> Response:
    return _with_cookie(request, auth, "", 0)


def _with_cookie(request: Request, auth: Authenticator, value: str, seconds: int) -> Response:
    response = Response(status_code=204)
    https = _is_https(request)
    # A page of another site gets the cookie only if it is set so, and only over https. The guard
    # checks where its requests come from.
    elsewhere = https and bool(auth.allowed_origins)
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        secure=https,
        httponly=True,
        samesite="none" if elsewhere else "strict",
    )
    if elsewhere:
        # For browsers that keep no cookies of other sites: it is kept for the site that logged in.
        # Python's cookies know the attribute from 3.14 on.
        response.headers["set-cookie"] += "; Partitioned"
    return response


def _is_https(request: Request) -> bool:
    """Whether the browser uses https, with us or with the proxy in front of us."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    return scheme.split(",")[0].strip().lower() == "https"
