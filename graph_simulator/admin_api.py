"""What no real API has, under /_simulator/: the truth, the calls, new messages, live traffic,
faults."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from graph_simulator.faults import Faults, UnknownFault
from graph_simulator.ledger import Ledger
from graph_simulator.live import Live, WrongOrder
from graph_simulator.page import FIELDS, SimulatedPage
from graph_simulator.wire import Refused
from graph_simulator.world import World


class Backstage:
    def __init__(self, world: World, ledger: Ledger, faults: Faults, live: Live) -> None:
        self._world = world
        self._ledger = ledger
        self._faults = faults
        self._live = live

    def routes(self) -> Mount:
        routes = [
            Route("/pages", self.show_pages),
            Route("/truth", self.show_truth),
            Route("/calls", self.show_calls),
            Route("/messages", self.add_message, methods=["POST"]),
            Route("/live", self.order_live, methods=["POST"]),
            Route("/live", self.show_live),
            Route("/faults", self.order_fault, methods=["POST"]),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
            Route("/faults", self.show_faults),
            Route("/pages/{page_id}/token", self.set_token, methods=["POST"]),
            Route("/pages/{page_id}/subscription", self.set_subscription, methods=["POST"]),
        ]
        return Mount("/_simulator", routes=routes)

    async def show_pages(self, request: Request) -> Response:
        return JSONResponse(
            [
                {
                    "id": page.id,
                    "name": page.name,
                    "token": page.token,
                    "conversations": len(page.lengths) - len(page.deleted),
                    "messages": sum(
                        page.length(number)
                        for number in range(len(page.lengths))
                        if number not in page.deleted
                    ),
                }
                for page in self._world.pages.values()
            ]
        )

    async def show_truth(self, request: Request) -> Response:
        """?page=: every message that can be stored, a JSON object a line; with newest=20 of each
        thread the newest 20; with deleted=1 those of deleted threads; with unusable=1 those that
        cannot be stored because of how odd their records are. With events=other instead what
        webhooks alone told of contacts: reactions, edits, unsends, reads and so on."""
        query = request.query_params
        page = self._page(query.get("page", ""))
        rows = (
            iter([*page.events])
            if query.get("events") == "other"
            else self._world.truth(
                page,
                newest=int(query["newest"]) if "newest" in query else None,
                deleted=query.get("deleted") == "1",
                unusable=query.get("unusable") == "1",
            )
        )

        async def lines() -> AsyncIterator[str]:
            for row in rows:
                yield json.dumps(row) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def show_calls(self, request: Request) -> Response:
        """How many of each page and when, in monotonic seconds; path and cursor of each; and how
        many came although a fault allowed none."""
        return JSONResponse(self._ledger.told())

    async def add_message(self, request: Request) -> Response:
        """{page, thread?, text?, by_page?}: a new message; without a thread, in a new one."""
        asked = await request.json()
        page = self._page(str(asked["page"]))
        number = self._thread(page, asked["thread"]) if asked.get("thread") else None
        message = self._world.inject(
            page,
            number,
            asked.get("text", "A new message"),
            datetime.now(UTC),
            by_page=bool(asked.get("by_page")),
        )
        return JSONResponse(message, status_code=201)

    async def order_live(self, request: Request) -> Response:
        """{per_second, webhook_url?, seed?, repeats?, disorder?}: let things happen at this rate,
        and be told; of the deliveries the shares `repeats` and `disorder` come twice and late.
        At a rate of 0 what is not acknowledged yet is delivered even so."""
        try:
            self._live.order(await request.json())
        except WrongOrder as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=400)
        except json.JSONDecodeError:
            return JSONResponse({"error": {"message": "This is no JSON."}}, status_code=400)
        return JSONResponse(self._live.told())

    async def show_live(self, request: Request) -> Response:
        """The rate, how much happened, and what became of the deliveries."""
        return JSONResponse(self._live.told())

    async def order_fault(self, request: Request) -> Response:
        """{name, page?, edge?, after?, times?, …}: let a fault happen; see GET for the names."""
        try:
            asked: Any = await request.json()
            if not isinstance(asked, dict):
                raise UnknownFault("A fault is ordered by an object with its name.")
            return JSONResponse(self._faults.order(asked), status_code=201)
        except UnknownFault as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=400)
        except json.JSONDecodeError:
            return JSONResponse({"error": {"message": "This is no JSON."}}, status_code=400)

    async def show_faults(self, request: Request) -> Response:
        """Those that are known, with their parameters; those that were ordered, and what came of
        them."""
        return JSONResponse(self._faults.told())

    async def clear_faults(self, request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def set_token(self, request: Request) -> Response:
        """{state?, expires_at?, data_access_expires_at?}: valid, expired (the token is dead) or
        revoked (a permission is missing); and until when, in seconds since 1970, 0 for ever. A
        token that expires dies at that time by itself; of the access to data it is only told."""
        page = self._page(request.path_params["page_id"])
        asked = await request.json()
        page.access = asked.get("state", page.access)
        for name in ("expires_at", "data_access_expires_at"):
            setattr(page, name, int(asked.get(name, getattr(page, name))))
        told = {
            "expires_at": page.expires_at,
            "data_access_expires_at": page.data_access_expires_at,
        }
        return JSONResponse({"id": page.id, "state": page.access, **told})

    async def set_subscription(self, request: Request) -> Response:
        """{subscribed, fields?}: whether the app is subscribed to the page's webhooks, and to which
        fields: all, if they are not given. Only GET …/subscribed_apps tells of it: live traffic is
        delivered as it was ordered."""
        page = self._page(request.path_params["page_id"])
        asked = await request.json()
        fields = asked.get("fields", [*FIELDS])
        page.subscribed_fields = [str(one) for one in fields] if asked["subscribed"] else None
        told = {"subscribed": page.subscribed_fields is not None, "fields": page.subscribed_fields}
        return JSONResponse({"id": page.id, **told})

    def _page(self, page_id: str) -> SimulatedPage:
        try:
            return self._world.pages[page_id]
        except KeyError:
            raise Refused(404, 100, f"no simulated page {page_id}") from None

    def _thread(self, page: SimulatedPage, thread_id: str) -> int:
        found = self._world.find_thread(thread_id)
        if found is None or found[0] is not page:
            raise Refused(404, 100, f"page {page.id} has no thread {thread_id}")
        return found[1]
