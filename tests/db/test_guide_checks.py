"""The checks of the replaced application's guides, as `db verify` prints them."""

import psycopg
import pytest

from messenger_pipeline.db.checks import GuideCheck, check_guides
from messenger_pipeline.db.pool import Database
from tests.db.test_guest import create_role, execute
from tests.db.test_load import conversation, event, upsert
from tests.schema_diff.connect import PRODUCTION, ROWS, SHARED, STAGING
from tests.test_cli import Run, ended, environment, run

__all__ = ["environment", "run"]  # fixtures


def found(database: Database) -> dict[str, GuideCheck]:
    return {one.name: one for one in check_guides(database)}


def failing(database: Database) -> dict[str, str]:
    return {one.name: one.shown for one in check_guides(database) if one.violations}


@pytest.mark.parametrize(
    ("damage", "failed"),
    [
        ("alter table messenger_conversations alter column version drop default",
         {"version_column": "0 of 1"}),
        ("drop index idx_unique_event_by_timestamp", {"unique_event_indexes": "1 of 2"}),
        ("update pg_index set indisvalid = false"
         " where indexrelid = 'idx_unique_event_by_message'::regclass",
         {"unique_event_indexes": "1 of 2"}),
        ("drop function extend_sync_lock", {"sync_functions": "5 of 6"}),
        ("drop view sync_statistics", {"sync_views": "1 of 2"}),
        ("alter table messenger_conversations"
         " drop constraint messenger_conversations_contact_unique;"
         " insert into messenger_conversations (page_id, sender_id) values ('10', '20')",
         {"duplicate_conversations": "2 of 2"}),
        ("alter table messenger_conversations alter column sender_id drop not null;"
         " insert into messenger_conversations (page_id) values ('10')",
         {"conversation_keys": "1 of 2"}),
        ("update messenger_conversations set version = -1", {"conversation_versions": "1 of 1"}),
        ("alter table contact_interaction_events alter column event_type drop not null;"
         " update contact_interaction_events set event_type = null", {"event_keys": "1 of 1"}),
        ("alter table contact_interaction_events"
         " drop constraint contact_interaction_events_conversation_fkey;"
         " delete from messenger_conversations", {"event_conversations": "1 of 1"}),
        ("insert into sync_locks values ('10', 'me', now() - interval '1 day',"
         " now() - interval '23 hours', 1)", {"stuck_locks": "1 of 1"}),
        ("alter table messenger_conversations drop column version cascade",
         {"version_column": "0 of 1", "check_guide_rows": "failed"}),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_is_for(
    database: Database, url: str, damage: str, failed: dict[str, str]
) -> None:
    upsert(database, "10", conversation("20", event("mid.1")))
    assert failing(database) == {}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(damage.encode())
    assert failing(database) == failed


def test_chats_are_checked_where_there_are_any(database: Database, url: str) -> None:
    assert not [name for name in found(database) if name.startswith("chat")]
    create_role(url, "align_web")
    execute(url, SHARED, PRODUCTION, ROWS)
    assert failing(database) == {
        "chat_participant_columns": "0 of 2",
        "chat_message_indexes": "1 of 2",
    }
    assert found(database)["chat_message_seq"].shown == "0 of 183"
    execute(url, "insert into chat_participants values (null, gen_random_uuid())")
    assert failing(database)["chat_participant_keys"] == "1 of 4"


def test_a_function_that_returns_nothing_is_found(database: Database, url: str) -> None:
    create_role(url, "align_web")
    execute(url, SHARED, STAGING)
    assert failing(database) == {"chat_message_indexes": "1 of 2", "chat_functions": "0 of 2"}


def test_each_check_is_printed_with_its_mark_and_count(
    run: Run, url: str, database: Database
) -> None:
    upsert(database, "10", conversation("20", event("mid.1")))
    ended(
        run("db", "verify"), 0, "✓ version_column 1 of 1", "✓ duplicate_conversations 0 of 1",
        "✓ events_are_unique 0 violations",
    )  # fmt: skip
    execute(url, "delete from contact_interaction_events", "drop function release_sync_lock")
    ended(
        run("db", "verify"), 1, "✗ sync_functions 5 of 6",
        "✗ conversations_have_events 1 conversation without events", "4 of 16 checks failed",
    )  # fmt: skip
