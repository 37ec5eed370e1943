"""The admin API under /_simulator/, which the Graph API does not have.

It returns what the world contains and which calls came, and controls messages, live traffic,
faults, tokens and subscriptions.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from graph_simulator.call_log import CallLog
from graph_simulator.errors import ApiError
from graph_simulator.faults.injector import FaultInjector, InvalidFault
from graph_simulator.live.traffic import InvalidLiveSettings, LiveTraffic
from graph_simulator.page import WEBHOOK_FIELDS, SimulatedPage
from graph_simulator.world import World


class AdminApi:
    def __init__(
        self, world: World, log: CallLog, injector: FaultInjector, traffic: LiveTraffic
    ) -> None:
        self._world = world
        self._log = log
        self._injector = injector
        self._traffic = traffic

    def routes(self) -> Mount:
        routes = [
            Route("/pages", self.list_pages),
            Route("/truth", self.stream_truth),
            Route("/calls", self.get_calls),
            Route("/messages", self.add_message, methods=["POST"]),
            Route("/live", self.configure_live, methods=["POST"]),
            Route("/live", self.get_live),
            Route("/faults", self.add_fault, methods=["POST"]),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
            Route("/faults", self.list_faults),
            Route("/pages/{page_id}/token", self.set_token, methods=["POST"]),
            Route("/pages/{page_id}/subscription", self.set_subscription, methods=["POST"]),
        ]
        return Mount("/_simulator", routes=routes)

    async def list_pages(self, request: Request) -> Response:
        """GET /pages: each page with its token, and its number of conversations and messages."""
        return JSONResponse(
            [
                {
                    "id": page.id,
                    "name": page.name,
                    "token": page.token,
                    "platform": "instagram" if page.is_instagram else "messenger",
                    "graph_id": page.graph_id or page.id,
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

    async def stream_truth(self, request: Request) -> Response:
        """GET /truth?page=: each message that a sync must store, one JSON object per line.

        `newest=20` returns only the newest 20 of each thread, `deleted=1` those of deleted threads,
        `unusable=1` those whose malformed records cannot be stored. `events=other` returns the
        events that only webhooks report: reactions, edits, unsends, reads and others.
        """
        query = request.query_params
        page = self._page(query.get("page", ""))
        rows = (
            iter([*page.live_events])
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

    async def get_calls(self, request: Request) -> Response:
        """GET /calls: the calls of each page, and the violations (see CallLog.as_json)."""
        return JSONResponse(self._log.as_json())

    async def add_message(self, request: Request) -> Response:
        """POST /messages {page, thread?, text?, by_page?}: add a message, to a new thread unless
        one is given."""
        body = await request.json()
        page = self._page(str(body["page"]))
        number = self._thread(page, body["thread"]) if body.get("thread") else None
        message = self._world.inject(
            page,
            number,
            body.get("text", "A new message"),
            datetime.now(UTC),
            by_page=bool(body.get("by_page")),
        )
        return JSONResponse(message, status_code=201)

    async def configure_live(self, request: Request) -> Response:
        """POST /live {per_second, webhook_url?, seed?, repeats?, delays?, changes?, echoes?,
        covered_contacts?}: generate events at this rate and deliver them.

        `repeats`, `delays` and `changes` are the shares of the deliveries that are sent twice,
        late, and with their items as `changes`. Without `echoes` the page's own messages are not
        delivered; with `covered_contacts` only the events of the first threads are, as for an app
        without Advanced Access. A rate of 0 stops the events; pending deliveries are still sent.
        """
        try:
            self._traffic.configure(await request.json())
        except InvalidLiveSettings as error:
            return _bad_request(str(error))
        except json.JSONDecodeError:
            return _bad_request("The body is not JSON.")
        return JSONResponse(self._traffic.status())

    async def get_live(self, request: Request) -> Response:
        """GET /live: the rate, the number of events, and the deliveries by outcome."""
        return JSONResponse(self._traffic.status())

    async def add_fault(self, request: Request) -> Response:
        """POST /faults {name, page?, edge?, after?, times?, …}: apply a fault."""
        try:
            body: Any = await request.json()
            if not isinstance(body, dict):
                raise InvalidFault("A fault is an object with a name.")
            return JSONResponse(self._injector.add(body), status_code=201)
        except InvalidFault as error:
            return _bad_request(str(error))
        except json.JSONDecodeError:
            return _bad_request("The body is not JSON.")

    async def list_faults(self, request: Request) -> Response:
        """GET /faults: the known faults with their parameters, and the requested ones with their
        hits."""
        return JSONResponse(self._injector.status())

    async def clear_faults(self, request: Request) -> Response:
        self._injector.clear()
        return Response(status_code=204)

    async def set_token(self, request: Request) -> Response:
        """POST /pages/ID/token {state?, expires_at?, data_access_expires_at?}: change a token.

        The state is `valid`, `expired` (the token is dead) or `revoked` (a permission is missing).
        Times are seconds since 1970; 0 means never. A token dies at `expires_at`. Only debug_token
        uses `data_access_expires_at`.
        """
        page = self._page(request.path_params["page_id"])
        body = await request.json()
        page.access = body.get("state", page.access)
        for name in ("expires_at", "data_access_expires_at"):
            setattr(page, name, int(body.get(name, getattr(page, name))))
        times = {
            "expires_at": page.expires_at,
            "data_access_expires_at": page.data_access_expires_at,
        }
        return JSONResponse({"id": page.id, "state": page.access, **times})

    async def set_subscription(self, request: Request) -> Response:
        """POST /pages/ID/subscription {subscribed, fields?}: subscribe the app to these webhook
        fields, by default to all. Only GET …/subscribed_apps uses it: live traffic is delivered
        either way."""
        page = self._page(request.path_params["page_id"])
        body = await request.json()
        fields = body.get("fields", [*WEBHOOK_FIELDS])
        page.subscribed_fields = [str(one) for one in fields] if body["subscribed"] else None
        return JSONResponse(
            {
                "id": page.id,
                "subscribed": page.subscribed_fields is not None,
                "fields": page.subscribed_fields,
            }
        )

    def _page(self, page_id: str) -> SimulatedPage:
        try:
            return self._world.pages[page_id]
        except KeyError:
            raise ApiError(404, 100, f"no simulated page {page_id}") from None

    def _thread(self, page: SimulatedPage, thread_id: str) -> int:
        found = self._world.find_thread(thread_id)
        if found is None or found[0] is not page:
            raise ApiError(404, 100, f"page {page.id} has no thread {thread_id}")
        return found[1]


def _bad_request(message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=400)
