"""The status page's files, as they are in this package."""

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import Response

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "status.js": "text/javascript; charset=utf-8",
    "status.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    # Nothing but what we serve: text from Meta that got into the page as HTML would still not run.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def static_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    folder = files("messenger_pipeline.web") / "static"
    kept = {name: (folder / name).read_bytes() for name in _TYPES}

    def answer(name: str, request: Request) -> Response:
        tag = f'"{hashlib.sha256(kept[name]).hexdigest()[:16]}"'
        headers = {**_HEADERS, "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(kept[name], media_type=_TYPES[name], headers=headers)

    @router.get("/")
    async def index(request: Request) -> Response:
        return answer("index.html", request)

    @router.get("/static/{name}")
    async def file(name: str, request: Request) -> Response:
        if name not in kept:
            return Response(status_code=404)
        return answer(name, request)

    return router
