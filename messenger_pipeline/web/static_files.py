"""The status page's files, from the folder static/ of this package."""

import mimetypes
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles

_HEADERS = {
    # Only what we serve may run: text from Meta that got into the page as HTML would still not.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

# With nosniff a browser runs no script of another type, and the host's table may have another.
mimetypes.add_type("text/javascript", ".js")


class _StatusPageFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_HEADERS)
        return response


def add_static_files(api: FastAPI) -> None:
    """Serve the status page at / and its files under /static."""
    files = _StatusPageFiles(packages=[("messenger_pipeline.web", "static")])
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def index(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    api.include_router(router)
    api.mount("/static", files)
