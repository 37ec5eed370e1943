"""What is told of a world, and the telling of it to a database, with its accidents."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any, Literal

from pydantic_core import to_json

from messenger_pipeline.db import load
from messenger_pipeline.db.pool import Connection, Database, call
from messenger_pipeline.rows import ConversationRow
from tests.convergence.asking import PAGE, asked, open_session

Accident = Literal["none", "answer lost", "rolled back"]


@dataclass(frozen=True)
class Telling:
    """A call: an answer's load, a webhook's upsert, or a mark that a thread is gone."""

    as_of: datetime
    rows: list[ConversationRow] = field(default_factory=list)
    threads: list[Any] | None = None
    """Of an answer; None for a webhook, which goes without a session and a fence."""
    gone: str | None = None
    after: frozenset[int] = frozenset()
    """The tellings, by number, without which this one is impossible."""

    @property
    def is_answer(self) -> bool:
        return self.threads is not None


class _RolledBack(Exception):
    """A transaction that is lost on purpose."""


class Listener:
    """A database that is told; it counts what it was said to have done."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.step = 0
        self.loads = 0
        self.done: Counter[str] = Counter()
        for table in (
            "messenger_threads",
            "messenger_conversations",
            "sync_state",
            "sync_locks",
            "facebook_pages",
        ):
            asked(database, f"delete from {table} returning 1")
        self.session, self.fence = open_session(database)

    def hear(self, telling: Telling, accident: Accident) -> None:
        if telling.gone is not None:
            self._attempt(self._gone(telling), accident)
        elif telling.is_answer:
            self.loads += 1
            [loaded] = self._attempt(self._answer(telling, self.loads), accident)
            self.step += 1
            self.done += Counter(
                inserted=loaded[0], updated=loaded[1], events=loaded[3], refused=loaded[4]
            )
        else:
            for _, _, inserted, updated, _, events in self._attempt(self._push(telling), accident):
                self.done += Counter(inserted=inserted, updated=updated, events=events)

    def _attempt(self, make: Callable[[Connection], list[Any]], accident: Accident) -> list[Any]:
        if accident == "rolled back":
            try:
                with self.database.transaction() as connection:
                    make(connection)
                    raise _RolledBack
            except _RolledBack:
                pass
        with self.database.transaction() as connection:
            done = make(connection)
        if accident == "answer lost":
            with self.database.transaction() as connection:
                again = make(connection)
            if len(done) == 1 and len(done[0]) == 5:  # a load: it answers as it did
                assert again == done
            else:  # an upsert: there was nothing left to do
                assert not any(row[2] or row[3] or row[5] for row in again)
        return done

    def _answer(self, telling: Telling, number: int) -> Callable[[Connection], list[Any]]:
        response = {
            "load_id": str(number),
            "threads": telling.threads,
            "gaps_opened": [],
            "fetched": len(telling.rows),
            "api_calls": 1,
        }
        return lambda connection: call(
            connection,
            "load_sync_response",
            session=self.session,
            fence=self.fence,
            step=self.step,
            conversations=load.encoded(telling.rows),
            response=load.encoded(response),
        )

    def _push(self, telling: Telling) -> Callable[[Connection], list[Any]]:
        return lambda connection: call(
            connection,
            "bulk_upsert_conversations_with_events",
            page_id=PAGE,
            conversations=to_json(telling.rows).decode(),
        )

    def _gone(self, telling: Telling) -> Callable[[Connection], list[Any]]:
        def mark(connection: Connection) -> list[Any]:
            call(
                connection,
                "mark_threads_gone",
                session=self.session,
                fence=self.fence,
                thread_ids=[telling.gone],
                gone_at=[telling.as_of],
            )
            return []

        return mark


def reordered(tellings: list[Telling], chance: Random) -> list[Telling]:
    """The tellings in another order, some twice, each behind those that it needs."""
    again = [n for n, one in enumerate(tellings) if one.gone is None and chance.random() < 0.2]
    waiting = dict(enumerate([*tellings, *(_behind(tellings[n], n) for n in again)]))
    told: list[Telling] = []
    heard: set[int] = set()
    while waiting:
        ready = [number for number, one in waiting.items() if one.after <= heard]
        number = chance.choice(ready)
        told.append(waiting.pop(number))
        heard.add(number)
    return told


def _behind(telling: Telling, number: int) -> Telling:
    return replace(telling, after=telling.after | {number})
