"""The schema's upgrades and downgrades, on a real database with rows in it."""

from typing import Any

import psycopg
import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sql_files import SQL
from messenger_pipeline.errors import DatabaseError, SchemaError, UpgradeRefused, UsageError
from tests.db.test_load import conversation, event, query, upsert

REVISIONS = sorted(path.stem[:4] for path in (SQL / "migrations").glob("*.py"))


def described(url: str) -> Any:
    """Tables with columns, indexes, constraints, functions, views, policies and grants of both
    schemas."""
    ours = "('public', 'messenger_pipeline')"
    oids = f"(select oid from pg_namespace where nspname in {ours})"
    queries = (
        "select table_schema, table_name, column_name, data_type, is_nullable, column_default,"
        " generation_expression from information_schema.columns"
        f" where table_schema in {ours} order by 1, 2, 3",
        f"select schemaname, indexname, indexdef from pg_indexes where schemaname in {ours}"
        " order by 1, 2",
        "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint"
        f" where connamespace in {oids} order by 1, 2",
        "select oid::regprocedure::text, pg_get_functiondef(oid), proacl::text from pg_proc"
        f" where pronamespace in {oids} order by 1",
        f"select schemaname, viewname, definition from pg_views where schemaname in {ours}"
        " order by 1, 2",
        "select tablename, policyname, roles, qual from pg_policies order by 1, 2",
        f"select oid::regclass::text, relacl::text from pg_class where relnamespace in {oids}"
        " order by 1",
        "select in_schema, kind, name, definition_digest, replaced_oid from"
        " messenger_pipeline.owned_objects order by 1, 2, 3",
    )
    with psycopg.connect(url) as connection:
        return [connection.execute(query).fetchall() for query in queries]


def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    assert migrate.upgrade(empty_url, "public") == REVISIONS
    before = described(empty_url)
    assert migrate.upgrade(empty_url, "public") == []
    assert described(empty_url) == before


def test_down_and_up_again_keeps_conversations_events_and_pages(url: str) -> None:
    whole = described(url)
    with Database(url) as database:
        upsert(database, "10", conversation("20", event("m_1"), event("m_2")))
        database.call("register_page", page_id="10", name="P", user_id=None,
                      platform="messenger", token_encrypted="X")  # fmt: skip
        facts = query(database, "select * from event_facts order by message_id")
        query(
            database,
            "update facebook_pages set last_synced_at = now(), watermark = now() returning 1",
        )

    assert migrate.downgrade(url, "public") == list(reversed(REVISIONS))
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select table_schema::text, table_name::text from information_schema.tables"
            " where table_schema in ('public', 'messenger_pipeline') order by 1 desc, 2"
        ).fetchall()
        functions = connection.execute(
            "select oid::regproc::text from pg_proc where pronamespace in"
            " ('public'::regnamespace, 'messenger_pipeline'::regnamespace) order by 1"
        ).fetchall()
    assert tables == [
        ("public", "contact_interaction_events"),
        ("public", "facebook_pages"),
        ("public", "messenger_conversations"),
        ("messenger_pipeline", "owned_objects"),
        ("messenger_pipeline", "page_tokens"),
        ("messenger_pipeline", "quarantined_records"),
    ]
    # What the indexes of the events call.
    assert functions == [("messenger_pipeline.event_kind",), ("messenger_pipeline.message_key",)]

    migrate.upgrade(url, "public")
    assert described(url) == whole
    with Database(url) as database:
        assert query(database, "select * from event_facts order by message_id") == facts
        # What the walk knew is gone: the next sync has to be a full one.
        assert query(
            database,
            "select token_encrypted, last_synced_at, watermark from facebook_pages"
            " join page_tokens on page_id = facebook_page_id",
        ) == [("X", None, None)]
        assert set(migrate.verify(database).values()) == {None}


def test_a_downgrade_does_not_lose_deliveries(url: str) -> None:
    with Database(url) as database:
        query(database, "insert into webhook_inbox (body) values ('{}') returning id")
    with pytest.raises(DatabaseError, match="a downgrade would lose them"):
        migrate.downgrade(url, "public")
    assert migrate.status(url, "public").current == REVISIONS[-1]


def test_the_printed_script_makes_the_same_schema(empty_url: str, url: str) -> None:
    script = migrate.script_of_upgrade("public")
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(script)
    assert described(empty_url) == described(url)
    assert migrate.status(empty_url, "public").pending == []
    with (
        psycopg.connect(empty_url, autocommit=True) as connection,
        pytest.raises(psycopg.Error, match="this script upgrades from base"),
    ):
        connection.execute(script)


def test_the_schema_can_live_apart_from_public(empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute("create schema apart")
    migrate.upgrade(empty_url, "apart")
    with psycopg.connect(empty_url) as connection:
        found = connection.execute(
            "select distinct table_schema::text from information_schema.tables"
            " where table_schema not in ('pg_catalog', 'information_schema') order by 1"
        ).fetchall()
        # Functions find their tables whatever the caller's search path is.
        rows = connection.execute("select apart.acquire_sync_lock('10', 'me', 5)").fetchall()
    assert found == [("apart",), ("apart_pipeline",)]
    assert rows == [(True,)]
    with Database(empty_url, schema="apart") as database:
        migrate.require_current(database)
        assert upsert(database, "10", conversation("20", event("m_1"))) == [
            ("20", True, False, 0, 1)
        ]
        assert set(migrate.verify(database).values()) == {None}
    assert migrate.downgrade(empty_url, "apart") == list(reversed(REVISIONS))


def test_a_database_without_the_schema_gets_the_remedy(empty_url: str) -> None:
    with Database(empty_url) as database:
        with pytest.raises(SchemaError, match="db upgrade"):
            migrate.require_current(database)
        with pytest.raises(SchemaError, match="db upgrade"):
            database.call("list_pages")
        migrate.upgrade(empty_url, "public")
        migrate.require_current(database)


def test_quarantined_records_survive_a_downgrade(url: str, database: Database) -> None:
    query(
        database,
        "insert into quarantined_records (page_id, source, identity, reason, record)"
        " values ('10', 'sync', 'm_1', 'bad', '{}') returning 1",
    )
    migrate.downgrade(url, "public")
    migrate.upgrade(url, "public")
    assert query(database, "select count(*) from quarantined_records") == [(1,)]


def test_events_without_an_id_in_both_directions_are_no_duplicates(database: Database) -> None:
    one = event("")
    one["message_id"] = None
    upsert(database, "10", conversation("20", one, {**one, "event_type": "message_sent"}))
    assert set(migrate.verify(database).values()) == {None}


def test_an_unknown_revision_is_a_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError, match="There is no schema revision 9999"):
        migrate.downgrade(url, "public", "9999")
    with pytest.raises(UsageError, match="There is no schema revision 9999"):
        migrate.script_of_upgrade("public", "9999")


def test_a_schema_of_a_newer_version_is_refused(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "update messenger_pipeline.messenger_schema_version set version_num = '9999'"
        )
    with pytest.raises(SchemaError, match="made by another version"):
        migrate.upgrade(url, "public")


@pytest.mark.parametrize(
    ("damage", "check", "found"),
    [
        (
            "delete from contact_interaction_events",
            "conversations_have_events",
            "1 conversation without events, for example page 10, sender 20",
        ),
        (
            "drop index idx_unique_event_by_message;"
            "insert into contact_interaction_events (conversation_id, page_id, event_type,"
            " event_timestamp, message_id, as_of) select conversation_id, page_id, 'message_sent',"
            " event_timestamp, 'm_mid.1', as_of from contact_interaction_events",
            "events_are_unique",
            "1 event is stored more than once, for example page 10, message mid.1",
        ),
        (
            "update messenger_conversations set message_count = 7",
            "message_counts_are_true",
            "1 conversation has a count or last message",
        ),
        (
            "drop index idx_unique_event_by_timestamp",
            "schema_is_whole",
            "idx_unique_event_by_timestamp",
        ),
        ("alter table sync_locks disable row level security", "schema_is_whole", "sync_locks"),
        ("drop function cleanup_expired_locks", "schema_is_whole", "cleanup_expired_locks"),
    ],
)
def test_each_verification_finds_what_it_is_for(
    database: Database, damage: str, check: str, found: str
) -> None:
    upsert(database, "10", conversation("20", event("mid.1")))
    assert migrate.run_check(database, check) is None
    with database.transaction() as connection:
        connection.execute(damage)
    result = migrate.run_check(database, check)
    assert result is not None
    assert found in result


def test_an_upgrade_creates_dropped_indexes_and_constraints_again(
    url: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    before = described(url)
    with database.transaction() as connection:
        connection.execute(
            "drop index idx_unique_event_by_message, sync_state_history;"
            "alter table messenger_conversations"
            " drop constraint messenger_conversations_pkey cascade,"
            " drop constraint messenger_conversations_status;"
            "create index of_the_owners on sync_locks (locked_by)"
        )
    migrate.upgrade(url, "public")
    assert "idx_unique_event_by_message" in caplog.text
    with database.transaction() as connection:
        connection.execute("drop index of_the_owners")
    migrate.upgrade(url, "public")
    assert described(url) == before
    assert migrate.run_check(database, "schema_is_whole") is None


def test_an_index_that_rows_break_is_refused_with_a_query_that_lists_them(
    url: str, database: Database
) -> None:
    upsert(database, "10", conversation("20", event("mid.1")))
    with database.transaction() as connection:
        connection.execute(
            "drop index idx_unique_event_by_message;"
            "insert into contact_interaction_events (conversation_id, page_id, event_type,"
            " event_timestamp, message_id, as_of) select conversation_id, page_id, 'message_sent',"
            " event_timestamp, 'm_mid.1', as_of from contact_interaction_events"
        )
    with pytest.raises(UpgradeRefused, match="idx_unique_event_by_message of") as refused:
        migrate.upgrade(url, "public")
    listed = str(refused.value).partition("To list them: ")[2].partition(". Delete all but")[0]
    with psycopg.connect(url) as connection:
        rows = connection.execute(listed).fetchall()
    assert rows == [("10", "mid.1", "message", "", 2)]


def test_the_old_applications_queries_work(database: Database) -> None:
    """From its migration guide: verification, locks, monitoring."""
    upsert(database, "10", conversation("20", event("m_1")))
    assert query(
        database,
        "SELECT indexname FROM pg_indexes WHERE tablename = 'contact_interaction_events'"
        " AND indexname LIKE 'idx_unique_event%' ORDER BY 1",
    ) == [("idx_unique_event_by_message",), ("idx_unique_event_by_timestamp",)]
    assert query(
        database,
        "SELECT data_type, column_default FROM information_schema.columns"
        " WHERE table_name = 'messenger_conversations' AND column_name = 'version'",
    ) == [("integer", "0")]
    for statement in (
        "SELECT * FROM active_syncs",
        "SELECT * FROM sync_statistics",
        "SELECT page_id, locked_by, locked_at, expires_at,"
        " CASE WHEN expires_at < NOW() THEN 'EXPIRED' ELSE 'ACTIVE' END,"
        " EXTRACT(EPOCH FROM (NOW() - locked_at)) FROM sync_locks ORDER BY locked_at DESC",
        "DELETE FROM sync_locks WHERE page_id = 'your_page_id' RETURNING 1",
        "SELECT sender_id, page_id, COUNT(*) FROM messenger_conversations"
        " GROUP BY sender_id, page_id HAVING COUNT(*) > 1",
        "UPDATE facebook_pages SET last_synced_at = NULL WHERE id::text = 'your-page-id'"
        " RETURNING 1",
    ):
        assert query(database, statement) == []
    assert query(database, "SELECT cleanup_expired_locks()") == [(0,)]
    assert query(
        database,
        "SELECT COUNT(*), COUNT(DISTINCT conversation_id) FROM contact_interaction_events"
        " WHERE metadata->>'source' = 'initial_sync'",
    ) == [(1, 1)]


def test_the_data_schema_holds_the_contract_and_nothing_else(url: str) -> None:
    with psycopg.connect(url) as connection:
        relations = connection.execute(
            "select relname::text from pg_class where relnamespace = 'public'::regnamespace"
            " and relkind not in ('i') order by 1"
        ).fetchall()
        functions = connection.execute(
            "select oid::regprocedure::text from pg_proc"
            " where pronamespace = 'public'::regnamespace order by 1"
        ).fetchall()
    assert [name for (name,) in relations] == [
        "active_syncs", "contact_interaction_events", "facebook_pages", "messenger_conversations",
        "sync_locks", "sync_state", "sync_statistics",
    ]  # fmt: skip
    assert [name for (name,) in functions] == [
        "acquire_sync_lock(text,text,integer)",
        "bulk_upsert_conversations_with_events(text,jsonb,bigint)",
        "cleanup_expired_locks()",
        "extend_sync_lock(text,text,integer)",
        "release_sync_lock(text,text)",
        "upsert_conversation_with_events(text,jsonb,jsonb,integer)",
    ]
