"""A Graph API that sends prepared lists of threads, as fast as they can be sent.

It honors `limit`, `after` and `messages.limit(n)`, and ignores the other fields. `/_replay/MS` sets
the latency of each response, and returns the number of calls since the last time.
"""

import asyncio
import json
import os
import re
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from bench.contestants.program import TOKEN
from bench.payloads import MESSAGES, as_bytes, make_thread

PAGES = "BENCH_PAGES"  # environment variable; JSON: the number of threads by page id
_MOST_THREADS = 200  # greater limits are reduced silently, as Meta does


class Replay:
    """The ASGI application."""

    def __init__(self, pages: dict[str, int]) -> None:
        self._pages = pages
        self._calls = self._latency_ms = 0
        for page in pages.items():
            for nested in (MESSAGES, 1):  # what the contestants request
                render_threads(*page, nested)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        page_id, name = scope["path"].rsplit("/", 2)[1:]
        if page_id == "_replay":
            await respond(send, 200, b"%d" % self._calls)
            self._calls, self._latency_ms = 0, int(name)
            return
        self._calls += 1
        await asyncio.sleep(self._latency_ms / 1000)
        query = dict(parse_qsl(scope["query_string"].decode()))
        assert name == "conversations", scope["path"]
        await respond(send, 200, self.list_threads(page_id, query), b"application/json")

    def list_threads(self, page_id: str, query: dict[str, str]) -> bytes:
        """The response to a query for the threads of a page."""
        nested = re.search(r"messages\.limit\((\d+)\)", query.get("fields", ""))
        count = int(nested[1]) if nested else MESSAGES
        threads = render_threads(page_id, self._pages[page_id], count)
        start, limit = int(query.get("after", 0)), min(int(query["limit"]), _MOST_THREADS)
        paging = as_bytes(_paging(f"{page_id}/conversations", start, limit, len(threads)))
        data = b",".join(threads[start : start + limit])
        return b'{"data":[' + data + b'],"paging":' + paging + b"}"


async def respond(send: Send, status: int, body: bytes, kind: bytes = b"text/plain") -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@cache
def render_threads(page_id: str, count: int, nested: int) -> list[bytes]:
    """The threads of a page, each with so many nested messages."""
    return [as_bytes(_cut(make_thread(page_id, number), nested)) for number in range(count)]


def _cut(thread: dict[str, Any], nested: int) -> dict[str, Any]:
    data = thread["messages"]["data"]
    paging = _paging(f"{thread['id']}/messages", 0, nested, len(data))
    return {**thread, "messages": {"data": data[:nested], "paging": paging}}


def _paging(edge: str, start: int, limit: int, total: int) -> dict[str, Any]:
    after = str(start + limit)
    paging: dict[str, Any] = {"cursors": {"before": str(start), "after": after}}
    if start + limit < total:
        url = f"https://graph.facebook.com/v26.0/{edge}?limit={limit}&access_token={TOKEN}"
        paging["next"] = f"{url}&after={after}"
    return paging


def create_app() -> Replay:
    return Replay(json.loads(os.environ[PAGES]))
