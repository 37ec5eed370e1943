"""What a live page tells: deliveries of webhooks, and answers of the API at some moments of it. And
the telling of it to a database, under another page's id each time."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from graph_simulator import World
from graph_simulator.activity import Happening, Happenings
from graph_simulator.deliveries import write_body
from graph_simulator.history import page_as_party, wire_time
from graph_simulator.world import END
from messenger_pipeline.db import inbox, load, sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.graph.models import Thread
from messenger_pipeline.graph.reading import parse_threads
from messenger_pipeline.sync.plan import Page, plan_threads
from messenger_pipeline.webhook.drain import drain_batch
from tests.convergence.asking import asked
from tests.happened import Happened, stored_of

_LATER = (1, 40, 900, 1700)  # milliseconds between two things


@dataclass(frozen=True)
class Answer:
    """Threads as the API lists them, and the time in its header: whole seconds, cut."""

    date: datetime
    body: bytes


Told = bytes | Answer
"""A delivery's body, or an answer."""


def tell(seed: int, things: int) -> tuple[World, list[Told]]:
    """A page's world in which so many things happened, and all that is told of them."""
    chance = Random(seed)
    world = World(seed, pages=1, conversations=3)
    happenings, now = Happenings(world, seed), END + timedelta(days=1)
    told: list[Told] = []
    untold: list[Happening] = []
    answered_at: datetime | None = None
    for _ in range(things):
        now += timedelta(milliseconds=chance.choice(_LATER))
        untold.append(happenings.happen(now))
        if chance.random() < 0.6:
            told.append(write_body(untold))
            untold = []
        date = now.replace(microsecond=0)
        # One answer of a second: of two that say the same of a message, the times decide.
        if chance.random() < 0.15 and date != answered_at:
            answered_at = date
            told.append(_answer(world, date, chance.choice((2, 5, 25))))
    if untold:
        told.append(write_body(untold))
    told.append(_answer(world, now.replace(microsecond=0) + timedelta(seconds=2), 100))
    return world, told


def _answer(world: World, date: datetime, limit: int) -> Answer:
    [page] = world.pages.values()
    threads = [
        {
            "id": world.thread_id(page, key.number),
            "updated_time": wire_time(END - timedelta(seconds=page.age(key.number))),
            "message_count": page.length(key.number),
            "participants": {"data": [world.contact(page, key.number), page_as_party(page)]},
            "messages": {"data": world.messages(page, key.number, None, limit)},
        }
        for key in page.order
    ]
    return Answer(date, json.dumps({"data": threads}).encode())


class Hearing:
    """A page of a database that is told."""

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

    def hear(self, told: Sequence[Told], chance: Random) -> None:
        """In this order; deliveries drained as many at a time as chance has it."""
        waiting: list[bytes] = []
        for one in told:
            if isinstance(one, bytes):
                waiting.append(self._as_mine(one))
                if chance.random() < 0.5:
                    self._drain(waiting, chance)
                    waiting = []
            else:
                if chance.random() < 0.5:
                    self._drain(waiting, chance)
                    waiting = []
                self._load(one)
        self._drain(waiting, chance)

    def _as_mine(self, body: bytes) -> bytes:
        return body.replace(self._page.id.encode(), self._id.encode())

    def _drain(self, bodies: list[bytes], chance: Random) -> None:
        if bodies:
            inbox.receive(self._database, bodies)
        while drain_batch(self._database, chance.choice((1, 2, 200))).deliveries:
            pass

    def _load(self, answer: Answer) -> None:
        threads: list[Thread] = parse_threads(self._as_mine(answer.body)).records
        plan = plan_threads(threads, {}, Page(self._id, "initial_sync"), answer.date)
        response = {
            "load_id": f"{self._id}:{self._step}",
            "conversations": plan.conversations,
            "threads": plan.threads,
            "gaps_opened": [],
            "fetched": len(threads),
            "api_calls": 1,
        }
        encoded = load.encoded_response(response)
        load.load_response(self._database, *self._session, self._step, encoded)
        self._step += 1

    # -- What became of it ----------------------------------------------------------------------

    def events(self) -> list[Any]:
        return asked(
            self._database,
            "select sender_id, event_type, event_timestamp, message_id, discriminator, content"
            " from event_facts where page_id = %s order by 4, 2, 5, 3, 1, 6",
            self._id,
        )

    def conversations(self) -> list[Any]:
        return asked(
            self._database,
            "select sender_id, sender_name, last_message, last_message_time, message_count,"
            " conversation_status from conversation_facts where page_id = %s order by 1",
            self._id,
        )

    def happened(self, world: World) -> Happened:
        """What happened live, as the world's truth has it."""
        found = stored_of(self._database, world, self._id)
        return Counter({(self._page.id, *row[1:]): times for row, times in found.items()})
