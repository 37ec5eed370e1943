"""The rollback of the replaced application's guide: its statements, run on our database by hand."""

import logging
from typing import Any

import psycopg
import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import UpgradeRefused
from tests.conftest import Simulated
from tests.db.test_guest import create_role, execute
from tests.db.test_migrate import described
from tests.guides import statements
from tests.walking import Connect, Simulate, stored, truth, walk

ROLLBACK = statements("migration_guide", "Step 2: Remove Database Changes (CAUTION!)")


def roll_back_by_hand(url: str) -> None:
    """As in a SQL editor: each statement on its own."""
    execute(url, *ROLLBACK)


def facts(url: str) -> list[Any]:
    return execute(url, "select * from messenger_pipeline.event_facts order by 1, 2, 3, 4, 5, 6")


def lines(url: str) -> list[str]:
    """What is in both schemas, in an order in which a column that is made anew is where it was.
    PostgreSQL prints its own text of a condition with other parentheses when it reads it again."""
    return sorted(
        str(line).replace("(", "").replace(")", "") for part in described(url) for line in part
    )


@pytest.fixture
def upgraded(empty_url: str) -> str:
    migrate.upgrade(empty_url, "public")
    return empty_url


def test_the_guides_rollback_keeps_conversations_and_the_next_upgrade_makes_the_rest_anew(
    upgraded: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = lines(upgraded)
    assert len(ROLLBACK) == 10
    roll_back_by_hand(upgraded)
    assert execute(upgraded, "select count(*) from messenger_conversations") == [(0,)]
    with caplog.at_level(logging.WARNING):
        assert migrate.upgrade(upgraded, "public") == []
    assert "had been dropped: sync_locks, sync_state, version." in caplog.text
    for index in ("idx_unique_event_by_message", "idx_unique_event_by_timestamp"):
        assert f"{index} of public.contact_interaction_events was missing" in caplog.text
    assert set(lines(upgraded)) ^ set(before) == set()
    with Database(upgraded) as database:
        assert set(migrate.verify(database).values()) == {None}


def test_the_printed_script_makes_it_anew_too(upgraded: str) -> None:
    before = lines(upgraded)
    roll_back_by_hand(upgraded)
    with psycopg.connect(upgraded, autocommit=True) as connection:
        newest = migrate.status(upgraded, "public").newest
        connection.execute(migrate.script_of_upgrade("public", newest))
    assert set(lines(upgraded)) ^ set(before) == set()


def test_a_sync_goes_on_after_a_rollback_and_an_upgrade_and_misses_nothing(
    database: Database, url: str, simulate: Simulate, connect: Connect
) -> None:
    simulated: Simulated = simulate(conversations=12)
    engine = connect(simulated)
    # The walk is interrupted: some gaps are open.
    walk(engine, simulated.page.id, max_conversations=3)
    before = execute(url, "select id, page_id, sender_id, last_message from messenger_conversations"
                     " order by id")  # fmt: skip
    events = facts(url)
    roll_back_by_hand(url)
    assert before
    assert before == execute(
        url, "select id, page_id, sender_id, last_message from messenger_conversations order by id"
    )
    assert facts(url) == events
    migrate.upgrade(url, "public")
    assert facts(url) == events
    while walk(engine, simulated.page.id).has_more:
        pass
    assert stored(database) == truth(simulated)
    assert set(migrate.verify(database).values()) == {None}


def test_a_downgrade_after_a_rollback_by_hand_works(upgraded: str) -> None:
    roll_back_by_hand(upgraded)
    migrate.downgrade(upgraded, "public")
    migrate.upgrade(upgraded, "public")
    with Database(upgraded) as database:
        assert set(migrate.verify(database).values()) == {None}


def test_grants_policies_and_comments_come_back_unless_their_role_is_gone(upgraded: str) -> None:
    create_role(upgraded, "watcher")
    create_role(upgraded, "leaver")
    execute(
        upgraded,
        "grant select on sync_state, sync_locks to watcher",
        "grant select (page_id) on sync_locks to leaver",
        "create policy watching on sync_locks for select to watcher using (page_id <> 'x')",
        "comment on table sync_locks is 'ours to watch'",
    )
    migrate.upgrade(upgraded, "public")  # records it
    before = lines(upgraded)
    roll_back_by_hand(upgraded)
    execute(upgraded, "drop role leaver")
    migrate.upgrade(upgraded, "public")
    after = lines(upgraded)
    assert [one for one in after if one not in before] == []
    assert execute(upgraded, "select obj_description('sync_locks'::regclass)") == [
        ("ours to watch",)
    ]
    execute(upgraded, "drop owned by watcher", "drop role watcher")


@pytest.mark.parametrize("table", ["facebook_pages", "messenger_conversations"])
def test_a_table_of_the_conversations_that_is_gone_is_not_made_anew(
    upgraded: str, table: str
) -> None:
    execute(upgraded, f"drop table {table} cascade")
    with pytest.raises(UpgradeRefused, match=rf"missing.*: {table}.*from a backup"):
        migrate.upgrade(upgraded, "public")
