"""The queries of the replaced application's guides, verbatim, with the answers that they expect."""

import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault
from tests.conftest import Simulated
from tests.guides import headings, statements
from tests.walking import Connect, Simulate, walk
from tools.replaced_application import OfWorld, Shape, build

MIGRATION = Path(__file__).parents[1] / "docs" / "migration.md"
NOW = datetime.now(UTC)


class Editor:
    """A SQL editor: the answers of the statements under a heading, in their order."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self.run: set[tuple[str, str]] = set()

    def ask(self, guide: str, heading: str, placeholder: str = "", value: str = "") -> list[Any]:
        self.run.add((guide, heading))
        texts = statements(guide, heading)
        if placeholder:
            texts = [text.replace(placeholder, value) for text in texts]
        return [self.sql(text) for text in texts]

    def sql(self, text: str, parameters: list[Any] | None = None) -> Any:
        cursor = self._connection.execute(text, parameters)
        return cursor.fetchall() if cursor.description else cursor.rowcount

    def close(self) -> None:
        self._connection.close()


def exact_duplicates() -> str:
    """The query that docs/migration.md sets beside the guide's."""
    [found] = re.findall(
        r"```sql\n(-- Events that are stored twice\.\n.*?)```", MIGRATION.read_text(), re.DOTALL
    )
    return str(found)


def verify_the_migration(editor: Editor) -> None:
    version, indexes, tables, functions = editor.ask(
        "migration_guide", "Step 1.2: Verify Migration"
    )
    assert version == [("version", "integer", "0")]
    assert sorted(name for name, _ in indexes) == [
        "idx_unique_event_by_message", "idx_unique_event_by_timestamp",
    ]  # fmt: skip
    assert sorted(tables) == [("sync_locks",), ("sync_state",)]
    assert sorted(functions) == [
        ("acquire_sync_lock",), ("bulk_upsert_conversations_with_events",),
        ("release_sync_lock",), ("upsert_conversation_with_events",),
    ]  # fmt: skip
    assert editor.ask("migration_guide", "Step 1.3: Handle Migration Errors") == [
        [("Version column already exists",)]
    ]
    assert editor.ask("migration_guide", "Issue: RPC function not found") == [
        [("upsert_conversation_with_events",)]
    ]


def verify_the_rows(editor: Editor, simulated: Simulated) -> None:
    page = simulated.page
    threads = len(page.lengths)
    (conversations,) = editor.ask("migration_guide", "Step 5.4: Verify Data Consistency")
    assert conversations
    assert all(events > 0 for _, _, events, _ in conversations)
    ((without, total),) = editor.ask("quick_start", "Test 3: Atomic Event Creation")[0]
    assert without == 0
    assert total
    assert editor.ask("migration_guide", "Issue: Duplicate conversations after migration") == [[]]
    (versions,) = editor.ask("quick_start", "Test 5: Version Increments")
    assert any(version > 0 for _, version, _, _ in versions)
    assert editor.ask("sync_optimized", "Step 1: Check Conversation Count") == [
        [(page.id, threads, threads)]
    ]
    ((events, with_events),) = editor.ask("sync_optimized", "Step 2: Check Events Created")[0]
    assert events >= with_events
    assert with_events > 0


def verify_the_duplicates(editor: Editor) -> None:
    """Two real messages of one second are counted by the guide's query, not by the exact one."""
    (counted,) = editor.ask("quick_start", "Test 4: No Duplicate Events")
    assert {row[-1] for row in counted} == {2}
    assert editor.sql(exact_duplicates()) == []
    editor.sql(
        "drop index idx_unique_event_by_message, idx_unique_event_by_timestamp cascade;"
        "insert into contact_interaction_events (conversation_id, page_id, event_type,"
        " event_timestamp, message_id, discriminator, as_of, metadata) select conversation_id,"
        " page_id, event_type, event_timestamp, message_id, discriminator, as_of, metadata"
        " from contact_interaction_events order by event_timestamp limit 3"
    )
    assert len(editor.sql(exact_duplicates())) == 3


def monitor_locks(editor: Editor, database: Database, page_id: str) -> None:
    with held_lease(database, page_id, "a-run", seconds=60):
        (locks, cleaned) = editor.ask("migration_guide", "Step 6.2: Monitor Sync Locks")
        assert [(row[0], row[1], row[4]) for row in locks] == [(page_id, "a-run", "ACTIVE")]
        assert cleaned == [(0,)]
        assert editor.ask("quick_start", 'Issue: "Sync always returns 409"') == [[(0,)]]
        editor.sql("update sync_locks set expires_at = now() - interval '1 second'")
        assert editor.ask("migration_guide", "Step 6.2: Monitor Sync Locks")[0][0][4] == "EXPIRED"
        assert editor.sql("select count(*) from sync_locks") == [(0,)]
        editor.sql("select acquire_sync_lock(%s, 'stuck', 300)", [page_id])
        assert editor.ask(
            "migration_guide", "Issue: Sync lock not releasing", "your_page_id", page_id
        ) == [[(0,)], 1]
    assert editor.sql("select count(*) from sync_locks") == [(0,)]


def lock_optimistically(editor: Editor) -> None:
    (pattern,) = statements("flaws", "Optimistic Locking Pattern")
    editor.run.add(("flaws", "Optimistic Locking Pattern"))
    pattern = re.sub(r"\$(\d)", r"%(p\1)s", pattern)
    [(found, version, text)] = editor.sql(
        "select id, version, last_message from messenger_conversations order by id limit 1"
    )
    values = {"p1": text, "p2": found, "p3": version}
    assert editor.sql(pattern, values) == 1  # type: ignore[arg-type]
    assert editor.sql(pattern, values) == 0  # type: ignore[arg-type]


def ask_everything(editor: Editor, engine: Engine, simulated: Simulated) -> None:
    page = simulated.page
    verify_the_migration(editor)
    walk(engine, page.id)
    for text in ("One", "Two"):  # in one second
        simulated.world.inject(page, 0, text, NOW)
    walk(engine, page.id)
    verify_the_rows(editor, simulated)
    active, statistics = editor.ask("migration_guide", "Step 6.1: Monitor Active Syncs")
    assert active == []
    assert len(statistics) == 1
    assert editor.ask("quick_start", "Need Help?") == [active, statistics]
    monitor_locks(editor, engine.database, page.id)
    [(identifier,)] = editor.sql("select id::text from facebook_pages")
    assert editor.ask(
        "sync_optimized", "Issue: Some Conversations Missing", "your-page-id", identifier
    ) == [1]
    assert walk(engine, page.id).mode == "full"
    lock_optimistically(editor)
    verify_the_duplicates(editor)


def test_the_guides_queries_have_the_answers_that_they_expect(
    url: str, simulate: Simulate, connect: Connect
) -> None:
    simulated = simulate(conversations=12)
    with closing(Editor(url)) as editor:
        ask_everything(editor, connect(simulated), simulated)
    rollback = ("migration_guide", "Step 2: Remove Database Changes (CAUTION!)")
    guides = ("migration_guide", "quick_start", "sync_optimized", "flaws")
    assert editor.run | {rollback} == {
        (guide, heading) for guide in guides for heading in headings(guide)
    }


@pytest.mark.parametrize(
    "shape",
    [Shape(age="before", ids="bigint", page_id="reference"), Shape(age="after", constraint="none")],
    ids=lambda shape: str(shape.age),
)
def test_they_have_them_in_an_adopted_database(
    empty_url: str, simulate: Simulate, vault: TokenVault, shape: Shape
) -> None:
    simulated = simulate(conversations=12)
    build(empty_url, shape, OfWorld(simulated.world))
    migrate.upgrade(empty_url, "public", vault.encrypt)
    with Database(empty_url) as database, closing(Editor(empty_url)) as editor:
        engine = Engine(database, GraphApi(simulated.url, "v26.0"), vault, 10_000)
        ask_everything(editor, engine, simulated)
