"""The Graph API over HTTP: what GET answers, how it pages, how it refuses.

Beside it, under /_simulator/, stands what no real API has: the truth, new messages, dead tokens.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from messenger_pipeline.simulator.wire import (
    Fields,
    Refused,
    cursor_of,
    gone,
    key_in,
    limit_in,
    ordinal_in,
    parse_fields,
    show_message,
    time_of,
)
from messenger_pipeline.simulator.world import SimulatedPage, ThreadKey, World

_MAX_THREADS = 200  # cut silently, as Meta does
_MAX_MESSAGES = 100
_USAGE_AFTER = 5  # calls of a page before usage headers come
_PROOF_SECONDS = 300


def create_app(world: World, *, latency: float = 0.0, app_secret: str | None = None) -> Starlette:
    """The API of a world. `latency` is seconds per call; with `app_secret` proofs are required."""
    api = _Api(world, latency, app_secret)
    return Starlette(
        routes=[
            Route("/_simulator/pages", api.show_pages),
            Route("/_simulator/truth", api.show_truth),
            Route("/_simulator/calls", api.show_calls),
            Route("/_simulator/messages", api.add_message, methods=["POST"]),
            Route("/_simulator/pages/{page_id}/token", api.set_token, methods=["POST"]),
            Route("/{version}/debug_token", api.answer_debug_token),
            Route("/{version}/{object_id}", api.answer_object),
            Route("/{version}/{object_id}/{edge}", api.answer_edge),
        ],
        exception_handlers={Refused: _refuse},
    )


class _Api:
    def __init__(self, world: World, latency: float, app_secret: str | None) -> None:
        self._world = world
        self._latency = latency
        self._secret = app_secret
        self._calls: Counter[str] = Counter()
        self._log: list[str] = []

    # -- The Graph API ------------------------------------------------------------------------

    async def answer_object(self, request: Request) -> Response:
        page = await self._called(request)
        object_id = request.path_params["object_id"]
        fields = parse_fields(request.query_params.get("fields", "id,name"))
        if object_id in (page.id, "me"):
            about = {"id": page.id, "name": page.name, "category": "Shopping/retail"}
            return self._answer(page, {name: about[name] for name in fields if name in about})
        number = self._thread_of(page, object_id)
        if number is not None:
            key = self._world.key(page, number)
            return self._answer(page, self._thread(request, page, key, fields))
        raise gone(object_id)

    async def answer_edge(self, request: Request) -> Response:
        page = await self._called(request)
        object_id, edge = request.path_params["object_id"], request.path_params["edge"]
        if edge == "subscribed_apps" and object_id == page.id:
            return self._answer(page, {"data": []})
        if edge == "conversations":
            if object_id not in (page.id, "me"):
                raise Refused(403, 200, f"(#200) The token gives no permission on page {object_id}")
            return self._answer(page, self._list(request, page))
        number = self._thread_of(page, object_id) if edge == "messages" else None
        if number is None:
            raise gone(object_id)
        fields = parse_fields(request.query_params.get("fields", "id,created_time"))
        limit = limit_in(request.query_params.get("limit"), _MAX_MESSAGES)
        after = request.query_params.get("after")
        below = ordinal_in(after) if after else None
        return self._answer(page, self._messages(request, page, number, fields, limit, below))

    async def answer_debug_token(self, request: Request) -> Response:
        asked = request.query_params.get("input_token", "")
        page = next((p for p in self._world.pages.values() if p.token == asked), None)
        valid = page is not None and page.access == "valid"
        data: dict[str, Any] = {"is_valid": valid, "type": "PAGE", "expires_at": 0}
        if page:
            data |= {"profile_id": page.id, "scopes": ["pages_messaging", "pages_show_list"]}
        return JSONResponse({"data": data})

    async def _called(self, request: Request) -> SimulatedPage:
        """The page whose token the call has, once it is sure that the call may be answered."""
        if self._latency:
            await asyncio.sleep(self._latency)
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") if header.startswith("Bearer ") else None
        token = token or request.query_params.get("access_token")
        if not token:
            raise Refused(400, 104, "An access token is required to request this resource.")
        page = next((p for p in self._world.pages.values() if p.token == token), None)
        if page is None:
            raise Refused(400, 190, "Invalid OAuth access token - Cannot parse access token")
        self._calls[page.id] += 1
        self._log.append(f"{request.url.path}?{request.query_params.get('after', '')}")
        if page.access == "expired":
            raise Refused(400, 190, "Error validating access token: Session has expired", 463)
        if page.access == "revoked":
            raise Refused(
                403, 230, "(#230) Requires pages_messaging permission to manage the object"
            )
        if self._secret:
            self._check_proof(request, token)
        return page

    def _check_proof(self, request: Request, token: str) -> None:
        query = request.query_params
        made = query.get("appsecret_time", "")
        text = f"{token}|{made}".encode()
        proof = hmac.new((self._secret or "").encode(), text, hashlib.sha256).hexdigest()
        fresh = made.isdigit() and abs(time.time() - int(made)) < _PROOF_SECONDS
        if not fresh or not hmac.compare_digest(proof, query.get("appsecret_proof", "")):
            raise Refused(400, 100, "Invalid appsecret_proof provided in the API argument")

    def _answer(self, page: SimulatedPage, body: dict[str, Any]) -> Response:
        calls = self._calls[page.id]
        headers = {"facebook-api-version": "v26.0"}
        if calls > _USAGE_AFTER:
            percent = min(99, calls // 500)
            usage = {
                "call_count": percent,
                "total_time": percent // 2,
                "total_cputime": percent // 3,
            }
            business = {"type": "messenger", **usage, "estimated_time_to_regain_access": 0}
            headers["X-App-Usage"] = json.dumps(usage)
            headers["X-Business-Use-Case-Usage"] = json.dumps({page.id: [business]})
        return Response(
            json.dumps(body, ensure_ascii=True), media_type="application/json", headers=headers
        )

    def _thread_of(self, page: SimulatedPage, thread_id: str) -> int | None:
        found = self._world.find_thread(thread_id)
        return found[1] if found and found[0] is page else None

    def _list(self, request: Request, page: SimulatedPage) -> dict[str, Any]:
        query = request.query_params
        fields = parse_fields(query.get("fields", "id,updated_time"))
        limit = limit_in(query.get("limit"), _MAX_THREADS)
        after = query.get("after")
        keys, more = self._world.threads(page, key_in(after) if after else None, limit)
        body: dict[str, Any] = {"data": [self._thread(request, page, key, fields) for key in keys]}
        if keys:
            first, last = cursor_of(keys[0]), cursor_of(keys[-1])
            body["paging"] = self._paging(
                request, f"{page.id}/conversations", page, first, last, more
            )
        return body

    def _thread(
        self, request: Request, page: SimulatedPage, key: ThreadKey, fields: Fields
    ) -> dict[str, Any]:
        number, thread_id = key.number, self._world.thread_id(page, key.number)
        thread: dict[str, Any] = {"id": thread_id}
        for name, (limit, nested) in fields.items():
            if name == "updated_time":
                thread[name] = time_of(key)
            elif name in ("participants", "senders"):
                us = {"name": page.name, "email": f"{page.id}@facebook.com", "id": page.id}
                thread[name] = {"data": [self._world.contact(page, number), us]}
            elif name == "message_count":
                thread[name] = self._world.length(page, number)
            elif name == "messages":
                thread[name] = self._messages(
                    request, page, number, nested or {"id": (None, None)},
                    min(limit or 25, _MAX_MESSAGES), None)  # fmt: skip
            elif name == "unread_count":
                thread[name] = 0
            elif name not in ("id", "snippet", "can_reply", "link", "name", "tags"):
                raise Refused(400, 100, f"(#100) Tried accessing nonexisting field ({name})")
        return thread

    def _messages(
        self,
        request: Request,
        page: SimulatedPage,
        number: int,
        fields: Fields,
        limit: int,
        below: int | None,
    ) -> dict[str, Any]:
        top = self._world.length(page, number) if below is None else below
        found = self._world.messages(page, number, top, limit)
        thread_id = self._world.thread_id(page, number)
        body: dict[str, Any] = {"data": [show_message(message, fields) for message in found]}
        if found:
            bottom = top - len(found)
            body["paging"] = self._paging(
                request,
                f"{thread_id}/messages",
                page,
                cursor_of(top - 1),
                cursor_of(bottom),
                bottom > 0,
            )
        return body

    def _paging(
        self, request: Request, path: str, page: SimulatedPage, before: str, after: str, more: bool
    ) -> dict[str, Any]:
        paging: dict[str, Any] = {"cursors": {"before": before, "after": after}}
        if more:
            # Meta's links embed the token, whoever asked.
            version = request.path_params["version"]
            paging["next"] = (
                f"{request.base_url}{version}/{path}?access_token={page.token}&limit=25&after={after}"
            )
        return paging

    # -- What no real API has -------------------------------------------------------------------

    async def show_pages(self, request: Request) -> Response:
        return JSONResponse(
            [
                {
                    "id": page.id,
                    "name": page.name,
                    "token": page.token,
                    "conversations": len(page.lengths),
                    "messages": sum(
                        self._world.length(page, number) for number in range(len(page.lengths))
                    ),
                }
                for page in self._world.pages.values()
            ]
        )

    async def show_truth(self, request: Request) -> Response:
        """Every message there is, a JSON object a line."""
        page = self._page(request.query_params.get("page", ""))

        async def lines() -> AsyncIterator[str]:
            for row in self._world.truth(page):
                yield json.dumps(row) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def show_calls(self, request: Request) -> Response:
        return JSONResponse({"by_page": dict(self._calls), "log": self._log})

    async def add_message(self, request: Request) -> Response:
        """{page, thread?, text?, by_page?}: a new message; without a thread, in a new one."""
        asked = await request.json()
        page = self._page(str(asked["page"]))
        number = self._thread_of(page, asked["thread"]) if asked.get("thread") else None
        message = self._world.inject(
            page,
            number,
            asked.get("text", "A new message"),
            datetime.now(UTC),
            by_page=bool(asked.get("by_page")),
        )
        return JSONResponse(message, status_code=201)

    async def set_token(self, request: Request) -> Response:
        """{state}: valid, expired (the token is dead) or revoked (a permission is missing)."""
        page = self._page(request.path_params["page_id"])
        page.access = (await request.json())["state"]
        return JSONResponse({"id": page.id, "state": page.access})

    def _page(self, page_id: str) -> SimulatedPage:
        try:
            return self._world.pages[page_id]
        except KeyError:
            raise Refused(404, 100, f"no simulated page {page_id}") from None


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(error.body, status_code=error.status)
