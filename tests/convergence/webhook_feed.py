"""The webhook deliveries and list responses of a live page, and a copy of the page that gets them.

Each copy has a page id of its own, so that one database can hold several.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from graph_simulator import World
from graph_simulator.history import page_as_party, updated_time
from graph_simulator.live.activity import Activity, ActivityGenerator
from graph_simulator.live.deliveries import encode_delivery
from graph_simulator.world import END
from messenger_pipeline.db import inbox, load, sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.graph.models import Thread
from messenger_pipeline.graph.reading import parse_threads
from messenger_pipeline.merge import message_key
from messenger_pipeline.sync.plan import Page, plan_threads
from messenger_pipeline.webhook.drain import drain_batch
from tests.activity import Activity as ActivityCounts
from tests.activity import stored_activity
from tests.convergence.sql_calls import query

_INTERVALS = (1, 40, 900, 1700)  # milliseconds between two activities


@dataclass(frozen=True)
class ListResponse:
    """Threads as the API lists them, and the response's `Date` header in whole seconds."""

    date: datetime
    body: bytes


Input = bytes | ListResponse
"""The body of a delivery, or a list response."""


def generate_inputs(seed: int, activities: int) -> tuple[World, list[Input]]:
    """A world with a page and this many activities, and everything that reports them."""
    chance = Random(seed)
    world = World(seed, pages=1, conversations=3)
    generator, now = ActivityGenerator(world, seed), END + timedelta(days=1)
    inputs: list[Input] = []
    undelivered: list[Activity] = []
    listed_at: datetime | None = None
    for _ in range(activities):
        now += timedelta(milliseconds=chance.choice(_INTERVALS))
        undelivered.append(generator.generate(now))
        if chance.random() < 0.6:
            inputs.append(encode_delivery(undelivered))
            undelivered = []
        date = now.replace(microsecond=0)
        # At most one response per second: two with the same date and different content tie.
        if chance.random() < 0.15 and date != listed_at:
            listed_at = date
            inputs.append(_list_response(world, date, chance.choice((2, 5, 25))))
    if undelivered:
        inputs.append(encode_delivery(undelivered))
    inputs.append(_list_response(world, now.replace(microsecond=0) + timedelta(seconds=2), 100))
    return world, inputs


def expected_attachments(world: World) -> dict[str, int]:
    """How many files the API lists for each message that has some."""
    [page] = world.pages.values()
    listed = [one for key in page.order for one in world.messages(page, key.number, None, 100)]
    return {
        message_key(one["id"]): len(one["attachments"]["data"])
        for one in listed
        if "attachments" in one
    }


def _list_response(world: World, date: datetime, limit: int) -> ListResponse:
    [page] = world.pages.values()
    threads = [
        {
            "id": world.thread_id(page, key.number),
            "updated_time": updated_time(page.age(key.number)),
            "message_count": page.length(key.number),
            "participants": {"data": [world.contact(page, key.number), page_as_party(page)]},
            "messages": {"data": world.messages(page, key.number, None, limit)},
        }
        for key in page.order
    ]
    return ListResponse(date, json.dumps({"data": threads}).encode())


class PageCopy:
    """A page of a database that gets the inputs of a simulated page."""

    def __init__(self, database: Database, world: World, page_id: str) -> None:
        self._database = database
        [self._page] = world.pages.values()
        self._id = page_id
        database.call(
            "register_page",
            page_id=page_id, name=None, user_id=None, platform=None, token_encrypted="-",
        )  # fmt: skip
        fence = database.value("take_lease", page_id=page_id, locked_by="run", seconds=3600)
        session = sessions.open_session(database, page_id, fence, "full", "run", None)
        assert session is not None
        self._session, self._step = (session.sync_session_id, fence), 0

    def apply(self, inputs: Sequence[Input], chance: Random) -> None:
        """Load the responses and drain the deliveries in this order, in batches of random size."""
        pending: list[bytes] = []
        for one in inputs:
            if isinstance(one, bytes):
                pending.append(self._renamed(one))
                if chance.random() < 0.5:
                    self._drain(pending, chance)
                    pending = []
            else:
                if chance.random() < 0.5:
                    self._drain(pending, chance)
                    pending = []
                self._load(one)
        self._drain(pending, chance)

    def _renamed(self, body: bytes) -> bytes:
        """The body with this copy's page id."""
        return body.replace(self._page.id.encode(), self._id.encode())

    def _drain(self, bodies: list[bytes], chance: Random) -> None:
        if bodies:
            inbox.receive(self._database, bodies)
        while drain_batch(self._database, chance.choice((1, 2, 200))).deliveries:
            pass

    def _load(self, response: ListResponse) -> None:
        threads: list[Thread] = parse_threads(self._renamed(response.body)).records
        plan = plan_threads(threads, {}, Page(self._id, "initial_sync"), response.date)
        encoded = load.encode_response(
            {
                "load_id": f"{self._id}:{self._step}",
                "conversations": plan.conversations,
                "threads": plan.threads,
                "gaps_opened": [],
                "fetched": len(threads),
                "api_calls": 1,
            }
        )
        load.load_response(self._database, *self._session, self._step, encoded)
        self._step += 1

    # -- Results --------------------------------------------------------------------------------

    def events(self) -> list[Any]:
        return query(
            self._database,
            "select sender_id, event_type, event_timestamp, message_id, discriminator, content"
            " from event_facts where page_id = %s order by 4, 2, 5, 3, 1, 6",
            self._id,
        )

    def conversations(self) -> list[Any]:
        return query(
            self._database,
            "select sender_id, sender_name, last_message, last_message_time, message_count,"
            " conversation_status from conversation_facts where page_id = %s order by 1",
            self._id,
        )

    def attachments(self) -> dict[str, int]:
        """How many attachments each message has. A sticker and a post are one, like a file."""
        return dict(
            query(
                self._database,
                "select message_key(message_id), jsonb_array_length(metadata -> 'attachments')"
                " from contact_interaction_events"
                " where page_id = %s and metadata ? 'attachments'",
                self._id,
            )
        )

    def activity(self, world: World) -> ActivityCounts:
        """The stored live activity, under the simulated page's id."""
        found = stored_activity(self._database, world, self._id)
        return Counter({(self._page.id, *row[1:]): times for row, times in found.items()})
