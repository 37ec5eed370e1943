"""The steps of an adoption: each is one short transaction, or a sweep over a table in batches."""

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg

from messenger_pipeline.db.adopted_migrations import Parted, part_migrations
from messenger_pipeline.db.adoption_session import LOCK_TIMEOUT, call, patiently, texts
from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.server import Connection
from messenger_pipeline.errors import DatabaseError

TABLES = ("facebook_pages", "messenger_conversations", "contact_interaction_events")
_BATCH = 0.2  # seconds that a batch should take
_ROUNDS = 20  # how often rows that were written twice meanwhile are merged again
_log = logging.getLogger(__name__)


class Adoption:
    """One adoption, on a connection of its own."""

    def __init__(self, connection: Connection, schema: str, types: IdTypes) -> None:
        self._connection = connection
        self._schema = schema
        self.migrations: Parted = part_migrations(schema, types)

    def prepare(self) -> None:
        """Make the tables what the migrations would have made them."""
        for table in TABLES:
            self._once(f"columns of {table}", "adopt_columns", table)
        self._once("triggers", "adopt_triggers")
        self._once("pages", "merge_pages")
        self._sweep("page ids", "convert_page_ids", "messenger_conversations", self._converts())
        self._sweep("events", "fill_events", "contact_interaction_events")
        self._once("replaced indexes", "drop_replaced_indexes")
        self._once("constraints", "add_constraints")
        for table, statement in self.migrations.tables:
            name = hashlib.sha256(statement.encode()).hexdigest()[:8]
            step = f"migration of {table} {name}"
            self._once(step, "change_schema", statement, _undo_of(statement))
        self._without_duplicates(
            partial(self._merge, "conversation"), self._indexes_of("messenger_conversations")
        )
        self._without_duplicates(partial(self._merge, "event"), self._migrated_indexes())
        self._without_duplicates(
            partial(self._run, "merge_pages"), self._indexes_of("facebook_pages")
        )
        for statement in texts(self._connection, "list_invalid_constraints"):
            # What breaks one stays, and the constraint holds for new rows.
            with contextlib.suppress(psycopg.errors.IntegrityError):
                self._outside(statement)
        self._sweep("counts", "recount_adopted", "messenger_conversations")
        self._once("conversion", "finish_conversion")
        self._once("tables", "adopt_tables")
        self._once("last syncs", "adopt_pages")

    def finish(self) -> None:
        """Add the foreign keys of ours on adopted tables."""
        for statement in self.migrations.references:
            self._once(statement.split()[5], "change_schema", statement, "select")
        self._run("finish_adoption")

    def _converts(self) -> bool:
        return bool(self._call("account_column") == "page_id_after")

    def _indexes_of(self, table: str) -> list[tuple[str, str]]:
        rows = self._connection.execute(
            "select index_name, definition from list_unique_indexes() where table_name = %s",
            [table],
        )
        return list(rows.fetchall())

    def _migrated_indexes(self) -> list[tuple[str, str]]:
        converts = self._converts()
        return [
            (name, re.sub(r"\bpage_id\b", "page_id_after", definition)
             if converts and ".messenger_conversations" in definition else definition)
            for name, definition in self.migrations.indexes
        ]  # fmt: skip

    def _once(self, step: str, function: str, *arguments: Any) -> None:
        """Run a step that is one short transaction, unless it is done."""
        if self._position(step) is None:
            return

        def run() -> None:
            with self._connection.transaction():
                self._call(function, *arguments)
                self._call("advance_adoption", step, 0, 0, True)

        patiently(run)

    def _run(self, function: str, *arguments: Any) -> Any:
        def run() -> Any:
            with self._connection.transaction():
                return self._call(function, *arguments)

        return patiently(run)

    def _sweep(self, step: str, function: str, table: str, is_needed: bool = True) -> None:
        """Run a step over a table's blocks, a batch in each transaction."""
        position = self._position(step)
        if position is None or not is_needed:
            return
        size = int(self._call("count_blocks", table))
        blocks, began = 8, time.monotonic()
        while position < size:
            until, batch = min(position + blocks, size), time.monotonic()
            patiently(partial(self._batch, step, function, position, until))
            position = until
            took = time.monotonic() - batch
            blocks = max(1, min(int(blocks * min(2.0, max(0.25, _BATCH / took))), 2_000))
        self._run("advance_adoption", step, size, 0, True)
        _log.info("%s: %d blocks in %.1f s", step, size, time.monotonic() - began)

    def _batch(self, step: str, function: str, position: int, until: int) -> int:
        with self._connection.transaction():
            # The batch and its position commit together, so a crash of the server undoes both.
            self._connection.execute("set local synchronous_commit = off")
            rows = int(self._call(function, position, until))
            self._call("advance_adoption", step, until, rows, False)
        return rows

    def _without_duplicates(
        self, merge: Callable[[], object], indexes: list[tuple[str, str]]
    ) -> None:
        """Merge what is there twice and build the unique indexes, until nothing was written twice
        meanwhile."""
        for _ in range(_ROUNDS):
            if not all(self._call("find_index", name) for name, _ in indexes):
                merge()
            try:
                for name, definition in indexes:
                    self._build(name, definition)
                return
            except psycopg.errors.UniqueViolation:
                _log.info("something was written twice meanwhile, and is merged")
        raise DatabaseError(
            "Rows are written twice faster than they are merged. Switch the replaced application"
            " off, and run `messenger-pipeline db upgrade` again."
        )

    def _merge(self, kind: str) -> None:
        """Find what is there twice and merge it, a batch in each transaction, until there is no
        more."""
        while self._run(f"find_{kind}_merges"):
            limit, done = 50, 1
            while done:
                batch = time.monotonic()
                done = self._run(f"merge_{kind}_batch", limit)
                took = time.monotonic() - batch
                limit = max(5, min(int(limit * min(2.0, max(0.25, _BATCH / took))), 5_000))

    def _build(self, name: str, definition: str) -> None:
        """Build an index beside readers and writers. Of an interrupted attempt an invalid one is
        left."""
        found = self._call("find_index", name)
        if not found:
            table = definition.partition("index ")[2]
            if found is not None:
                self._outside(f'drop index concurrently "{self._schema}".{name}')
            self._outside(
                f"create {definition.partition('index ')[0]}index concurrently {name} on {table}"
            )
        self._run("record_index", name)

    def _outside(self, statement: str) -> None:
        """Run a statement that cannot be in a transaction. It may wait: nobody waits behind it."""
        self._connection.execute("set lock_timeout = 0")
        try:
            self._connection.execute(statement.encode())
        finally:
            self._connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'".encode())

    def _position(self, step: str) -> int | None:
        """Where a step goes on; None: it is done."""
        row = self._connection.execute(
            "select position, finished_at from adoption_steps where step = %s", [step]
        ).fetchone()
        return 0 if row is None else None if row[1] is not None else int(row[0])

    def _value(self, function: str, *arguments: Any) -> Any:
        return self._call(function, *arguments)

    def _call(self, function: str, *arguments: Any) -> Any:
        return call(self._connection, function, *arguments)


def _undo_of(statement: str) -> str:
    """The statement that takes back what a migration adds to a table; `select` does nothing."""
    table = statement.split()[2]
    parts = []
    for line in statement.splitlines():
        words = line.split()
        if "add" in words:
            kind, name = words[words.index("add") + 1 : words.index("add") + 3]
            parts.append(f"drop {kind} {name}")
    return f"alter table {table} {', '.join(parts)}" if parts else "select"
