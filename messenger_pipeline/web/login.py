"""Logging in to the status page: the key once, then a cookie that stands for it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from messenger_pipeline.web.access import COOKIE, MISSING, SESSION_SECONDS, Access
from messenger_pipeline.web.failures import described, failure


class Login(BaseModel):
    """The API key, once."""

    key: str = Field(max_length=1000)


def login_routes(access: Access) -> APIRouter:
    router = APIRouter(tags=["status page"])

    @router.post(
        "/login",
        status_code=204,
        summary="Exchange the API key for the status page's cookie",
        responses=described(
            _401="The key is wrong, or none is set.", _413="The body is too large.",
            _400="The body cannot be read.", _422="The body is wrong.",
        ),
    )  # fmt: skip
    def log_in(given: Login, request: Request) -> Response:
        if not access.is_key(given.key.encode("utf-8", "replace")):
            return failure(401, "The API key is wrong." if access.is_set else MISSING)
        answer = Response(status_code=204)
        answer.set_cookie(
            COOKIE,
            access.new_cookie(),
            max_age=SESSION_SECONDS,
            secure=_is_https(request),
            httponly=True,
            samesite="strict",
        )
        return answer

    @router.post("/logout", status_code=204, summary="Forget the status page's cookie")
    def log_out() -> Response:
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router


def _is_https(request: Request) -> bool:
    """Whether the browser speaks https, to us or to the proxy before us."""
    told = request.headers.get("x-forwarded-proto", request.url.scheme)
    return told.split(",")[0].strip().lower() == "https"
