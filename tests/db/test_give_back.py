"""Rolling an adoption back: the replaced application has its tables as they were, and every row."""

import logging
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from messenger_pipeline.commands.group import cli
from messenger_pipeline.db import adoption, migrate
from messenger_pipeline.db.embedded import BUNDLED_PSQL
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.roles import grant_role
from messenger_pipeline.errors import UpgradeRefused, UsageError
from tests.db.test_guest import create_role, execute
from tests.db.test_load import conversation, event, upsert
from tests.db.test_rollback import roll_back_by_hand
from tools.replaced_application import (
    Generated,
    OldWriter,
    Shape,
    build,
    compare_rows,
    find_unexplained,
    keep_checksums,
)

SMALL = Generated(100, 1_000, 3)
AT = datetime(2024, 7, 1, 12, tzinfo=UTC)
PAGE = "100000000000002"
SHAPES = [
    Shape(age="before", ids="bigint", users="text", constraint="none", page_id="number"),
    Shape(age="after", contested_tags=True),
    Shape(age="after", ids="integer", users="bigint", page_id="reference", shared_pages=True),
]
MORE_SHAPES = [
    Shape(age="before"),
    Shape(age="before", ids="text", users="integer", constraint="none", page_id="reference"),
    Shape(age="before", constraint="contact", message_ids="column"),
    Shape(age="after", constraint="none", message_ids="metadata", locks="uuid"),
    Shape(age="after", constraint="contact", ids="text", locks="varchar"),
    Shape(age="after", ids="bigint", page_id="number", contested_tags=True),
]
TABLES = ("facebook_pages", "messenger_conversations", "contact_interaction_events")


def named(shape: Shape) -> str:
    return f"{shape.age}-{shape.ids}-{shape.constraint}-{shape.page_id}"


def adopt(url: str) -> None:
    migrate.upgrade(url, "public", lambda token: f"encrypted {token}")


def dumped(url: str) -> list[str]:
    """The schema as pg_dump has it, without the marks that are new in every dump."""
    command = [str(BUNDLED_PSQL.parent / "pg_dump"), "--schema-only", "--schema", "public", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [
        line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))
    ]


def verified(url: str) -> dict[str, str | None]:
    with Database(url) as database:
        return migrate.verify(database)


def go_on(url: str, shape: Shape) -> None:
    """Both applications write: a sync of ours, a webhook of theirs."""
    with Database(url) as database:
        # Two messages of one second, and a reaction to one of them.
        upsert(
            database,
            PAGE,
            conversation(
                "6000000000000001",
                event("m_new_1", AT, "one"),
                event("m_new_2", AT, "two"),
                event("m_new_1", AT, event_type="reaction", discriminator="6000000000000001"),
            ),
            conversation("6000000000000999", event("m_new_3", AT, "three")),
        )
        database.call("register_page", page_id="777", name="New", user_id=None,
                      platform="messenger", token_encrypted="encrypted")  # fmt: skip
    with OldWriter(url, shape) as writer:
        known = writer.receive(PAGE, "6000000000000004", "theirs", AT + timedelta(minutes=1))
        writer.add_event(known, "m_theirs", "theirs", AT + timedelta(minutes=1))


def changed_since(url: str, kept: str) -> dict[str, list[str]]:
    found = compare_rows(url, kept=kept)
    return {table: [*one.changed, *one.gone] for table, one in found.items()}


def counted(url: str) -> list[Any]:
    return execute(
        url,
        "select (select count(*) from messenger_conversations),"
        " (select count(*) from contact_interaction_events)",
    )


def give_back_after_work(url: str, shape: Shape, size: Generated) -> None:
    build(url, shape, size)
    keep_checksums(url)
    before = dumped(url)
    adopt(url)
    keep_checksums(url, kept="checksums_adopted")
    go_on(url, shape)
    rows, since = counted(url), changed_since(url, "checksums_adopted")

    migrate.downgrade(url, "public")

    assert dumped(url) == before
    assert counted(url) == rows
    assert find_unexplained(url, since) == {table: [] for table in TABLES}
    compared = compare_rows(url)
    assert all(compared[table].same for table in TABLES)
    assert not compared["notes"].gone
    # The old application works on.
    with OldWriter(url, shape) as writer:
        known = writer.receive(PAGE, "6000000000000004", "again", AT + timedelta(minutes=2))
        writer.add_event(known, "m_again", "again", AT + timedelta(minutes=2))


@pytest.mark.parametrize("shape", SHAPES, ids=named)
def test_the_application_has_its_schema_back_and_every_row(
    empty_url: str, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    give_back_after_work(empty_url, shape, SMALL)
    assert "rows of messenger_conversations stay merged" in caplog.text
    assert "facebook_pages came since: access_token is empty in them." in caplog.text
    if shape.is_after:
        assert "their times moved by microseconds" in caplog.text
        assert "their message_id is in metadata.about_message_id" in caplog.text


@pytest.mark.large
@pytest.mark.parametrize("shape", MORE_SHAPES, ids=named)
def test_other_shapes_are_given_back_too(empty_url: str, shape: Shape) -> None:
    give_back_after_work(empty_url, shape, Generated(2_000, 20_000, 5))


def test_what_was_given_back_can_be_adopted_again(empty_url: str) -> None:
    shape = Shape(ids="bigint", page_id="reference")
    build(empty_url, shape, SMALL)
    before = dumped(empty_url)
    for _ in range(2):
        adopt(empty_url)
        assert set(verified(empty_url).values()) == {None}
        migrate.downgrade(empty_url, "public")
        assert dumped(empty_url) == before
    assert execute(empty_url, "select count(*) from messenger_pipeline.page_tokens") == [(3,)]


def test_roles_that_may_read_or_sync_may_no_longer_and_the_owners_grants_stay(
    empty_url: str,
) -> None:
    build(empty_url, Shape(ids="bigint", page_id="reference"), SMALL)
    create_role(empty_url, "dashboard")
    execute(
        empty_url,
        "grant select on messenger_conversations to dashboard",
        "grant select (name) on facebook_pages to dashboard",
    )
    before = dumped(empty_url)
    adopt(empty_url)
    with Database(empty_url) as database:
        for purpose in ("reader", "sync", "receiver"):
            grant_role(database, "dashboard", purpose)
    adopt(empty_url)
    migrate.downgrade(empty_url, "public")
    assert dumped(empty_url) == before
    assert execute(
        empty_url, "select has_schema_privilege('dashboard', 'messenger_pipeline', 'usage')"
    ) == [(False,)]


def test_an_adoption_that_was_interrupted_is_rolled_back(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(empty_url, Shape(ids="text", page_id="number"), SMALL)
    keep_checksums(empty_url)
    before = dumped(empty_url)
    with adoption.adopting(empty_url, "public") as begun:
        begun.prepare()
    assert dumped(empty_url) != before
    monkeypatch.setenv("MESSENGER_DATABASE_URL", empty_url)
    undone = CliRunner().invoke(cli, ["db", "downgrade", "--yes"])
    assert undone.output == (
        "Downgraded: what the interrupted upgrade changed.\n"
        "The replaced application has its tables back.\n"
    )
    assert dumped(empty_url) == before
    nothing: dict[str, list[str]] = {table: [] for table in TABLES}
    assert find_unexplained(empty_url, nothing) == nothing


def test_an_owner_who_is_no_superuser_can_adopt_and_roll_back(empty_url: str) -> None:
    """Triggers of the owner's fire for what the adoption changes, and not for the way back."""
    create_role(empty_url, "small_owner")
    create_role(empty_url, "replaced_application")
    execute(
        empty_url,
        "alter schema public owner to small_owner",
        f"grant create on database {conninfo_to_dict(empty_url)['dbname']} to small_owner",
    )
    url = make_conninfo(empty_url, options="-c role=small_owner")
    build(url, Shape(age="after", page_id="number"), SMALL)
    keep_checksums(url)
    before = dumped(empty_url)
    adopt(url)
    migrate.downgrade(url, "public")
    assert dumped(empty_url) == before
    # The trigger set updated_at.
    assert len(compare_rows(url)["messenger_conversations"].changed) > 50
    execute(empty_url, "drop owned by small_owner cascade")


def test_an_adopted_database_goes_back_to_base_only(empty_url: str) -> None:
    build(empty_url, Shape(), SMALL)
    adopt(empty_url)
    with pytest.raises(UsageError, match="goes to base only"):
        migrate.downgrade(empty_url, "public", "0003")
    execute(
        empty_url,
        "insert into messenger_pipeline.webhook_inbox (body) values ('{}')",
    )
    with pytest.raises(UpgradeRefused, match="webhook_inbox holds deliveries"):
        migrate.downgrade(empty_url, "public")


def test_the_guides_rollback_of_an_adopted_database_leaves_it_readable_and_can_be_undone(
    empty_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The old application stores an event three times meanwhile."""
    shape = Shape(age="after", ids="bigint", page_id="reference")
    build(empty_url, shape, SMALL)
    adopt(empty_url)
    rows = execute(empty_url, "select id, page_id, last_message from messenger_conversations"
                   " order by id")  # fmt: skip
    roll_back_by_hand(empty_url)
    assert rows == execute(
        empty_url, "select id, page_id, last_message from messenger_conversations order by id"
    )
    with OldWriter(empty_url, shape) as writer:
        known = writer.receive(PAGE, "6000000000000004", "again", AT)
        for _ in range(3):
            writer.add_event(known, "m_again", "again", AT)
    with caplog.at_level(logging.WARNING):
        adopt(empty_url)
    assert "Made anew, because they had been dropped: sync_locks, sync_state." in caplog.text
    assert set(verified(empty_url).values()) == {None}
    assert execute(
        empty_url,
        "select count(*) from contact_interaction_events where message_id = 'm_again'",
    ) == [(1,)]
    assert migrate.upgrade(empty_url, "public") == []
    # Or it is downgraded, with what was written twice.
    roll_back_by_hand(empty_url)
    with OldWriter(empty_url, shape) as writer:
        writer.add_event(known, "m_again", "again", AT)
    before = counted(empty_url)
    migrate.downgrade(empty_url, "public")
    assert counted(empty_url) == before


def test_what_refers_to_a_message_without_an_id_refers_to_the_one_that_claims_it(
    empty_url: str,
) -> None:
    """A note of the owner's, which would be deleted with it; and columns of the owner's."""
    build(empty_url, Shape(), SMALL)
    adopt(empty_url)
    [(found, sender, page, kind, at, text)] = execute(
        empty_url,
        "select e.id, c.sender_id, c.page_id, e.event_type, e.event_timestamp,"
        " e.metadata ->> 'text' from contact_interaction_events e"
        " join messenger_conversations c on c.id = e.conversation_id"
        " where e.message_id is null and e.user_id is not null and e.metadata ? 'text'"
        " order by e.event_timestamp limit 1",
    )
    with psycopg.connect(empty_url) as connection:
        connection.execute("insert into notes (event_id, body) values (%s, 'mine')", [found])
    with Database(empty_url) as database:
        upsert(database, page, conversation(sender, event("m_brought", at, text, event_type=kind)))
    note: list[Any] = execute(
        empty_url,
        "select e.message_id, m.row_before ->> 'id', m.row_before ->> 'user_id' <> ''"
        " from notes n join contact_interaction_events e on e.id = n.event_id"
        " join messenger_pipeline.merged_rows m on m.survivor_id = e.id::text"
        " where n.body = 'mine'",
    )
    assert note == [("m_brought", str(found), True)]


@pytest.mark.parametrize("shape", [Shape(), Shape(ids="bigint", page_id="number")], ids=named)
def test_what_refers_to_a_conversation_that_becomes_anothers_refers_to_that_one(
    empty_url: str, shape: Shape
) -> None:
    """A thread whose contact has no id at first, and an event before the message that it names."""
    unnamed = [event("", AT, "x"), event("m_1", AT)]
    del unnamed[0]["message_id"], unnamed[0]["metadata"]["message_id"]
    build(empty_url, shape, SMALL)
    adopt(empty_url)
    early = event("m_late", AT, "", event_type="reaction")
    with Database(empty_url) as database:
        upsert(
            database,
            PAGE,
            {**conversation("t_1", *unnamed), "thread_id": "t_1"},
            conversation("77", early),
            conversation("78", unnamed[0]),
        )
        execute(
            empty_url,
            "insert into tags select id, sender_id from messenger_conversations"
            " where sender_id in ('t_1', '77')",
            "insert into notes (event_id, body)"
            " select e.id, 'mine' from contact_interaction_events e"
            " join messenger_conversations c on c.id = e.conversation_id"
            " where c.sender_id = 't_1' and e.message_id is null",
        )
        upsert(
            database,
            PAGE,
            {**conversation("78", event("m_1", AT)), "thread_id": "t_1"},
            conversation("79", event("m_late", AT)),
        )
    found = execute(
        empty_url,
        "select t.name, c.sender_id, m.row_before ->> 'sender_id' from tags t"
        " join messenger_conversations c on c.id = t.conversation_id"
        " join messenger_pipeline.merged_rows m on m.survivor_id = c.id::text"
        " where t.name in ('t_1', '77') order by 1",
    )
    assert found == [("77", "79", "77"), ("t_1", "78", "t_1")]
    assert execute(
        empty_url,
        "select c.sender_id, e.message_id from notes n"
        " join contact_interaction_events e on e.id = n.event_id"
        " join messenger_conversations c on c.id = e.conversation_id where n.body = 'mine'",
    ) == [("78", None)]
