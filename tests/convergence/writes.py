"""Writes to a database: loads, upserts and deletion marks, with failures, in any valid order."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any, Literal

from pydantic_core import to_json

from messenger_pipeline.db import load
from messenger_pipeline.db.pool import Database, call
from messenger_pipeline.db.server import Connection
from messenger_pipeline.rows import ConversationRow
from tests.convergence.sql_calls import PAGE, open_session, query

Failure = Literal["none", "result_lost", "rolled_back"]
"""`result_lost`: the write commits, but its result is lost, so that it is repeated.
`rolled_back`: the write is rolled back, then repeated."""


@dataclass(frozen=True)
class Write:
    """The load of a response, the upsert of a webhook, or the mark that a thread is gone."""

    as_of: datetime
    rows: list[ConversationRow] = field(default_factory=list)
    threads: list[Any] | None = None
    """The threads of a response; None for a webhook, which needs no session and no fence."""
    gone: str | None = None
    after: frozenset[int] = frozenset()
    """The numbers of the writes that must precede this one."""

    @property
    def is_load(self) -> bool:
        return self.threads is not None


class _RolledBack(Exception):
    """Raised to roll a transaction back."""


class Writer:
    """Applies writes to a database, and counts what the database reports."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.step = 0
        self.loads = 0
        self.counts: Counter[str] = Counter()
        for table in (
            "messenger_threads",
            "messenger_conversations",
            "sync_state",
            "sync_locks",
            "facebook_pages",
        ):
            query(database, f"delete from {table} returning 1")
        self.session, self.fence = open_session(database)

    def apply(self, write: Write, failure: Failure) -> None:
        if write.gone is not None:
            self._attempt(self._mark_gone(write), failure)
        elif write.is_load:
            self.loads += 1
            [loaded] = self._attempt(self._load(write, self.loads), failure)
            self.step += 1
            self.counts += Counter(
                inserted=loaded[0], updated=loaded[1], events=loaded[3], refused=loaded[4]
            )
        else:
            for _, _, inserted, updated, _, events in self._attempt(self._upsert(write), failure):
                self.counts += Counter(inserted=inserted, updated=updated, events=events)

    def _attempt(self, make: Callable[[Connection], list[Any]], failure: Failure) -> list[Any]:
        if failure == "rolled_back":
            try:
                with self.database.transaction() as connection:
                    make(connection)
                    raise _RolledBack
            except _RolledBack:
                pass
        with self.database.transaction() as connection:
            result = make(connection)
        if failure == "result_lost":
            with self.database.transaction() as connection:
                repeated = make(connection)
            if len(result) == 1 and len(result[0]) == 5:  # a load returns its first result
                assert repeated == result
            else:  # an upsert changes nothing
                assert not any(row[2] or row[3] or row[5] for row in repeated)
        return result

    def _load(self, write: Write, number: int) -> Callable[[Connection], list[Any]]:
        response = {
            "load_id": str(number),
            "threads": write.threads,
            "gaps_opened": [],
            "fetched": len(write.rows),
            "api_calls": 1,
        }
        return lambda connection: call(
            connection,
            "load_sync_response",
            session=self.session,
            fence=self.fence,
            step=self.step,
            conversations=load.encode(write.rows),
            response=load.encode(response),
        )

    def _upsert(self, write: Write) -> Callable[[Connection], list[Any]]:
        return lambda connection: call(
            connection,
            "bulk_upsert_conversations_with_events",
            page_id=PAGE,
            conversations=to_json(write.rows).decode(),
        )

    def _mark_gone(self, write: Write) -> Callable[[Connection], list[Any]]:
        def mark(connection: Connection) -> list[Any]:
            call(
                connection,
                "mark_threads_gone",
                session=self.session,
                fence=self.fence,
                thread_ids=[write.gone],
                gone_at=[write.as_of],
            )
            return []

        return mark


def reordered(writes: list[Write], chance: Random) -> list[Write]:
    """The writes in another order, some twice, each after those that must precede it."""
    repeats = [n for n, one in enumerate(writes) if one.gone is None and chance.random() < 0.2]
    pending = dict(enumerate([*writes, *(_repeated(writes[n], n) for n in repeats)]))
    ordered: list[Write] = []
    done: set[int] = set()
    while pending:
        ready = [number for number, one in pending.items() if one.after <= done]
        number = chance.choice(ready)
        ordered.append(pending.pop(number))
        done.add(number)
    return ordered


def _repeated(write: Write, number: int) -> Write:
    return replace(write, after=write.after | {number})
