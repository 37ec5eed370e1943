"""The adoption of the replaced application's database, as it was left by years of use."""

import dataclasses
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from messenger_pipeline.commands.group import cli
from messenger_pipeline.db import adoption, migrate
from messenger_pipeline.db.pages import register_page, set_page_status
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import (
    ConfigurationError,
    DatabaseError,
    UpgradeRefused,
    UsageError,
)
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.schema_diff.model import Key
from messenger_pipeline.vault import TokenVault, new_key
from tests.db.test_guest import create_role
from tests.db.test_migrate import REVISIONS
from tests.schema_diff.test_round_trip import planned
from tests.walking import Simulate, stored, truth, walk
from tools.replaced_application import (
    Generated,
    OfWorld,
    OldWriter,
    Shape,
    build,
    compare_rows,
    describe_schema,
    keep_checksums,
)

SHAPES = [
    Shape(age="before", ids="bigint", users="text", page_id="number",
          contested_tags=True),
    Shape(age="after", ids="uuid", shared_pages=True),
    Shape(age="after", ids="integer", users="bigint", page_id="reference", locks="uuid",
          shared_pages=True),
    Shape(age="before", ids="text", users="integer", constraint="none"),
]  # fmt: skip
SET_UPDATED_AT = Key("function", "public", None, "set_updated_at()")
OURS = ("id", "page_id", "conversation_id", "metadata", "as_of")
OF_SHAPES = pytest.mark.parametrize("shape", SHAPES, ids=lambda one: f"{one.age}-{one.ids}")


def query(url: str, statement: str, *arguments: Any) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement, arguments)
        return found.fetchall() if found.description else []


def adopt(url: str) -> None:
    migrate.upgrade(url, "public", lambda token: f"encrypted {token}")


def verified(url: str) -> dict[str, str | None]:
    with Database(url) as database:
        return migrate.verify(database)


@OF_SHAPES
def test_an_adopted_database_is_synced_to_what_meta_has(
    empty_url: str, shape: Shape, simulate: Simulate, vault: TokenVault
) -> None:
    simulated = simulate(conversations=30, pages=2)
    build(empty_url, shape, OfWorld(simulated.world))
    if shape.ids == "integer":
        for table in ("messenger_conversations", "contact_interaction_events"):
            query(empty_url, f"alter table {table} alter id set generated always")
    migrate.upgrade(empty_url, "public", vault.encrypt)
    assert set(verified(empty_url).values()) == {None}
    with Database(empty_url) as database:
        engine = Engine(database, GraphApi(simulated.url, "v26.0"), vault, 10_000)
        for page in simulated.pages:
            # What the replaced application says of its syncs meanwhile does not count either.
            query(empty_url, "update facebook_pages set last_synced_at = now()")
            result = walk(engine, page.id)
            assert (result.mode, result.outcome) == ("full", "completed")
            assert walk(engine, page.id).mode == "incremental"
        assert stored(database) == truth(simulated)
        assert set(migrate.verify(database).values()) == {None}


@OF_SHAPES
def test_what_is_there_twice_is_merged_and_recorded(empty_url: str, shape: Shape) -> None:
    build(empty_url, shape, Generated(200, 2_000))
    before = query(
        empty_url,
        "select count(*), count(distinct (facebook_page_id)) from facebook_pages",
    )[0]
    keep_checksums(empty_url)
    adopt(empty_url)
    assert set(verified(empty_url).values()) == {None}
    merged = dict(
        query(
            empty_url, "select table_name, count(*) from messenger_pipeline.merged_rows group by 1"
        )
    )
    compared = compare_rows(empty_url)
    for table in ("facebook_pages", "messenger_conversations", "contact_interaction_events"):
        # Nothing else is gone, and nothing is new.
        gone = query(
            empty_url,
            "select merged_id from messenger_pipeline.merged_rows where table_name = %s order by 1",
            table,
        )
        assert sorted(one for (one,) in gone) == sorted(compared[table].gone)
        assert compared[table].new == []
    assert before[0] - before[1] == merged.get("facebook_pages", 0)
    assert query(
        empty_url,
        "select count(*), count(distinct (page_id, sender_id)) from messenger_conversations",
    ) == [(200, 200)]
    # Of each contact the newest stays, and every message once.
    assert query(
        empty_url,
        "select r.merged_id from messenger_pipeline.merged_rows r"
        " join messenger_conversations c on c.id::text = r.survivor_id"
        " where r.table_name = 'messenger_conversations'"
        " and c.last_message_time < (r.row_before ->> 'last_message_time')::timestamptz",
    ) == []  # fmt: skip
    assert query(
        empty_url,
        "select count(distinct metadata ->> 'message_id') = count(*)"
        " from contact_interaction_events where message_id is not null",
    ) == [(True,)]
    # What refers to merged rows follows.
    assert query(empty_url, "select count(*) from notes n where not exists (select from"
                 " contact_interaction_events e where e.id = n.event_id)") == [(0,)]  # fmt: skip
    assert query(empty_url, "select from tags t where not exists (select from"
                 " messenger_conversations c where c.id = t.conversation_id)") == []  # fmt: skip
    if shape.contested_tags:
        assert merged["tags"] == 12


def test_the_plan_says_what_comes_and_changes_nothing(empty_url: str) -> None:
    build(empty_url, Shape(age="after", page_id="number", shared_pages=True))
    query(empty_url, "update sync_locks set expires_at = now() + interval '1 hour'")
    everything = (
        "select nspname::text from pg_namespace union all select oid::regclass::text from pg_class"
        " union all select oid::regprocedure::text from pg_proc order by 1"
    )
    before = query(empty_url, everything), describe_schema(empty_url)
    plan = adoption.plan(empty_url, "public")
    assert (query(empty_url, everything), describe_schema(empty_url)) == before
    assert plan.doubts == []
    text = "\n".join(plan.sentences)
    for sentence in (
        "12 conversations are merged into others of the same page and sender (10 contacts",
        "14 events are stored twice",
        "messenger_conversations.page_id is a number. It becomes the account's id as text",
        "Statements that compare it with what it held before find nothing, or fail",
        "facebook_pages.access_token holds access tokens that stand in the clear",
        "2 rows of facebook_pages are of pages that several owners connected",
        "The table sync_locks of then is kept apart",
        "Page 100000000000001 is locked by a sync of the replaced application until",
        "200 events have no message id",
    ):
        assert sentence in text


@pytest.mark.parametrize(
    ("shape", "change", "named"),
    [
        (Shape(page_id="foreign_key"), "select",
         "the foreign key messenger_conversations_page_id_fkey"),
        (Shape(page_id="number"),
         "create view of_page as select page_id from messenger_conversations",
         "view public.of_page"),
        (Shape(), "alter table messenger_conversations add tenant integer not null default 1;"
         "alter table messenger_conversations alter tenant drop default",
         "messenger_conversations.tenant must be given and has no default"),
        (Shape(), "alter table contact_interaction_events alter metadata drop default,"
         " alter metadata type json using metadata::text::json",
         "contact_interaction_events.metadata is json, not jsonb"),
        (Shape(), "alter table facebook_pages add status text default 'connected'",
         "4 rows have another value"),
        (Shape(), "update facebook_pages set facebook_page_id = '' where facebook_page_id ="
         " '100000000000001'", "1 rows of facebook_pages have no facebook_page_id"),
        (Shape(), "update contact_interaction_events set event_timestamp = 'infinity' where id ="
         " (select min(id::text)::uuid from contact_interaction_events)", "1 events have no type"),
        (Shape(), "create view locked as select * from sync_locks", "view public.locked"),
        (Shape(age="before"), "create function acquire_sync_lock(p uuid) returns text language sql"
         " as 'select null::text'", "acquire_sync_lock(uuid) is not the replaced application's"),
        (Shape(page_id="reference"),
         "update messenger_conversations set page_id = gen_random_uuid() where sender_id ="
         " '6000000000000001'", "1 conversations have a page_id that is the id of no page"),
    ],
)  # fmt: skip
def test_what_an_adoption_cannot_be_sure_of_stops_it(
    empty_url: str, shape: Shape, change: str, named: str
) -> None:
    build(empty_url, shape)
    query(empty_url, change)
    before = describe_schema(empty_url)
    keep_checksums(empty_url)
    assert any(named in doubt for doubt in adoption.plan(empty_url, "public").doubts)
    with pytest.raises(UpgradeRefused) as refused:
        adopt(empty_url)
    assert named in str(refused.value)
    assert describe_schema(empty_url) == before
    assert not query(empty_url, "select from pg_namespace where nspname = 'messenger_pipeline'")
    assert all(not one.changed and not one.gone for one in compare_rows(empty_url).values())


@OF_SHAPES
def test_the_replaced_application_goes_on_writing(empty_url: str, shape: Shape) -> None:
    """Its upserts find their conversation, its events get our columns, and only what it writes
    twice is refused."""
    build(empty_url, shape)
    adopt(empty_url)
    at = query(empty_url, "select now()")[0][0]
    # An index of the old names may be what its upserts infer: one of each of its columns is there.
    with OldWriter(empty_url, shape) as writer:
        new = writer.receive("100000000000002", "new", "Hello", at)
        assert writer.receive("100000000000002", "new", "Again", at) == new
        writer.add_event(new, "m_new", "Hello", at)
        writer.add_event(new, None, "Without an id", at)
        with pytest.raises(psycopg.errors.UniqueViolation):
            writer.add_event(new, "m_new", "Hello", at)
        merged = query(
            empty_url,
            "select r.merged_id from messenger_pipeline.merged_rows r"
            " where table_name = 'messenger_conversations' limit 1",
        )
        if merged:
            writer.add_event(merged[0][0], "m_late", "It still knows the old conversation", at)
    assert query(
        empty_url,
        "select c.page_id, e.page_id, e.message_id, e.as_of = e.event_timestamp, e.discriminator"
        " from contact_interaction_events e join messenger_conversations c on"
        " c.id = e.conversation_id where c.sender_id = 'new' order by e.message_id",
    ) == [
        ("100000000000002", "100000000000002", "m_new", True, ""),
        ("100000000000002", "100000000000002", None, True, ""),
    ]  # fmt: skip
    assert query(
        empty_url,
        "select count(*) from contact_interaction_events e join messenger_conversations c on"
        " c.id = e.conversation_id where e.message_id = 'm_late'",
    ) == [(len(merged),)]
    assert set(verified(empty_url).values()) == {None}


def test_functions_views_and_locks_are_taken_over_with_their_grants(empty_url: str) -> None:
    build(empty_url, Shape(age="after", page_id="reference", locks="varchar"))
    query(empty_url, "update sync_locks set expires_at = now() + interval '1 hour'")
    adopt(empty_url)
    functions = query(
        empty_url,
        "select p.proname::text, count(*), bool_and(has_function_privilege('replaced_application',"
        " p.oid, 'execute')), bool_or(p.proacl::text like '%%=X/%%' and p.proacl::text ~ '[{,]=X')"
        " from pg_proc p where pronamespace = 'public'::regnamespace"
        " and proname ~ 'sync_lock|with_events'"
        " group by 1 order by 1",
    )
    assert functions == [
        (name, 1, True, False)
        for name in (
            "acquire_sync_lock", "bulk_upsert_conversations_with_events", "extend_sync_lock",
            "release_sync_lock", "upsert_conversation_with_events",
        )
    ]  # fmt: skip
    assert query(empty_url, "select has_table_privilege('replaced_application', 'active_syncs',"
                 " 'select'), has_table_privilege('replaced_application', 'sync_statistics',"
                 " 'select')") == [(True, True)]  # fmt: skip
    # The lock of its running sync holds until it expires.
    assert query(
        empty_url,
        "select acquire_sync_lock('100000000000001', 'ours', 60),"
        " acquire_sync_lock('100000000000002', 'ours', 60)",
    ) == [(False, True)]
    assert query(empty_url, "select count(*) from messenger_pipeline.replaced_sync_state") == [(4,)]


def test_plain_tokens_are_taken_over_and_emptied_when_asked(empty_url: str) -> None:
    shape = Shape(shared_pages=True)
    build(empty_url, shape)
    tokens = "select facebook_page_id, access_token from facebook_pages order by 1"
    plain = query(empty_url, tokens)
    adopt(empty_url)
    encrypted = "select page_id, token_encrypted from messenger_pipeline.page_tokens order by 1"
    newest = {page: token for page, token in plain if not token.endswith("second")}
    assert dict(query(empty_url, encrypted)) == {
        page: f"encrypted {token}" for page, token in newest.items()
    }
    assert dict(query(empty_url, tokens)) == newest
    # In no other row of ours.
    dumped = query(
        empty_url,
        "select count(*) from messenger_pipeline.merged_rows where row_before::text like '%%EAA%%'",
    )
    assert dumped == [(0,)]
    page = min(newest)
    query(
        empty_url,
        "update facebook_pages set access_token = 'EAArenewed', status = 'needs_reauthorization'"
        " where facebook_page_id = %s",
        page,
    )
    assert adoption.blank_tokens(empty_url, "public") == 3, "not the renewed one"
    adopt(empty_url)
    assert dict(query(empty_url, encrypted))[page] == "encrypted EAArenewed"
    status = "select status from facebook_pages where facebook_page_id = %s"
    assert query(empty_url, status, page) == [("active",)]
    assert adoption.blank_tokens(empty_url, "public") == 1
    assert {token for _, token in query(empty_url, tokens)} == {""}
    assert adoption.blank_tokens(empty_url, "public") == 0
    adopt(empty_url)  # changes nothing
    assert set(verified(empty_url).values()) == {None}


def test_what_belongs_to_nothing_stays_as_it_is(empty_url: str) -> None:
    """Events without a conversation, conversations without a sender, times and texts of every
    kind."""
    build(empty_url, dataclasses.replace(SHAPES[1], age="before", shared_pages=False))
    query(
        empty_url,
        "alter table contact_interaction_events drop constraint"
        " contact_interaction_events_conversation_id_fkey",
    )
    query(
        empty_url,
        "insert into contact_interaction_events (conversation_id, event_type, event_timestamp)"
        " values (gen_random_uuid(), 'message_received', now())",
    )
    query(
        empty_url,
        "insert into messenger_conversations (page_id, sender_id) values ('100000000000001', '')",
    )
    query(
        empty_url,
        "with c as (insert into messenger_conversations (page_id, sender_id, last_message,"
        " last_message_time) values ('100000000000001', 'silent', 'No event', now()) returning id)"
        " insert into notes (conversation_id, body) select id, 'x' from c",
    )
    # Two messages of one moment without ids are two; one of them stored twice is one.
    query(
        empty_url,
        "insert into contact_interaction_events (conversation_id, event_type, event_timestamp,"
        " metadata)"
        " select id, 'message_received', '2024-05-05 05:05:05Z', jsonb_build_object('text', t)"
        " from (select id from messenger_conversations where sender_id = '6000000000000001') c,"
        " unnest(array['One', 'Two', 'Two', 'Three', 'Three']) t",
    )
    assert any(
        "1 events are of conversations that do not exist" in one
        for one in adoption.plan(empty_url, "public").sentences
    )
    adopt(empty_url)
    assert set(verified(empty_url).values()) == {None}
    assert query(
        empty_url, "select count(*) from contact_interaction_events where page_id is null"
    ) == [(1,)]
    assert query(
        empty_url,
        "select metadata ->> 'text' from contact_interaction_events"
        " where event_timestamp = '2024-05-05 05:05:05Z' order by 1",
    ) == [("One",), ("Three",), ("Two",)]
    assert query(
        empty_url, "select last_message from messenger_conversations where sender_id = 'silent'"
    ) == [("No event",)]


def test_an_adopted_database_is_upgraded_like_any_other(empty_url: str) -> None:
    build(empty_url, SHAPES[0])
    adopt(empty_url)
    before = describe_schema(empty_url)
    assert not adoption.is_needed(empty_url, "public")
    assert migrate.upgrade(empty_url, "public") == []
    assert describe_schema(empty_url) == before


def test_a_role_that_owns_the_tables_is_enough_and_any_schema_does(empty_url: str) -> None:
    """The triggers of the owner's fire then, which the plan says."""
    schema = "apart"
    role = "adopting_owner"
    query(empty_url, f"create schema {schema}")
    build(empty_url, SHAPES[2], Generated(100, 1_000), schema)
    create_role(empty_url, role)
    database = conninfo_to_dict(empty_url)["dbname"]
    query(
        empty_url,
        f"alter role {role} login password 'x'; grant create on database {database} to {role};"
        f" alter schema {schema} owner to {role};"
        " do $$ declare r record; begin"
        f" for r in select oid::regclass as name from pg_class where relnamespace = '{schema}'"
        f"::regnamespace and relkind in ('r', 'v') loop execute format('alter table %%s owner to"
        f" {role}', r.name); end loop;"
        f" for r in select oid::regprocedure as name from pg_proc where pronamespace = '{schema}'"
        f"::regnamespace loop execute format('alter function %%s owner to {role}', r.name);"
        " end loop; end $$",
    )
    url = make_conninfo(empty_url, user=role, password="x")
    named = "The trigger set_updated_at of messenger_conversations fires for each row"
    assert any(named in one for one in adoption.plan(url, schema).sentences)
    migrate.upgrade(url, schema, lambda token: f"encrypted {token}")
    with Database(url, schema=schema) as opened:
        assert set(migrate.verify(opened).values()) == {None}
    query(empty_url, f"drop owned by {role}")
    query(empty_url, f"drop role {role}")


def test_some_of_its_tables_are_not_enough(empty_url: str) -> None:
    build(empty_url, Shape())
    query(empty_url, "drop table contact_interaction_events, notes cascade")
    with pytest.raises(UpgradeRefused, match="contact_interaction_events is not there"):
        adopt(empty_url)


def test_the_command_prints_the_plan_and_refuses_what_it_doubts(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(empty_url, Shape(age="before"))
    monkeypatch.setenv("MESSENGER_DATABASE_URL", empty_url)
    run = CliRunner()
    planned = run.invoke(cli, ["db", "upgrade", "--plan"])
    assert (planned.exit_code, planned.exception) == (0, None)
    assert planned.output.startswith(f"Migrations: {', '.join(REVISIONS)}.\n- The tables of")
    # No key, and tokens to encrypt.
    refused = run.invoke(cli, ["db", "upgrade"])
    assert isinstance(refused.exception, ConfigurationError)
    monkeypatch.setenv("MESSENGER_TOKEN_KEY", new_key())
    assert not query(empty_url, "select from pg_namespace where nspname = 'messenger_pipeline'")
    query(empty_url, "alter table facebook_pages add status text default 'connected'")
    doubted = run.invoke(cli, ["db", "upgrade", "--plan"])
    assert isinstance(doubted.exception, UpgradeRefused)
    query(empty_url, "alter table facebook_pages drop column status")
    assert run.invoke(cli, ["db", "upgrade"]).exit_code == 0
    both = run.invoke(cli, ["db", "upgrade", "--plan", "--blank-plain-tokens"])
    assert isinstance(both.exception, UsageError)
    emptied = run.invoke(cli, ["db", "upgrade", "--blank-plain-tokens", "--yes"])
    assert "Emptied 4 plain tokens." in emptied.output
    assert run.invoke(cli, ["db", "upgrade", "--plan"]).output == "Migrations: nothing to apply.\n"


def test_the_functions_of_an_adopted_database_are_not_aligned_with_another_ones(
    empty_url: str, url: str
) -> None:
    """They fit its ids; the other's would take uuids."""
    build(empty_url, Shape(ids="bigint"), Generated(4, 20, 1))
    adopt(empty_url)
    for here, there in ((empty_url, url), (url, empty_url)):
        done = [step.key for step in planned(here, there)[1] if step.reason is None]
        assert [key for key in done if key.kind == "function"] in ([], [SET_UPDATED_AT])
        assert [key for key in done if key.kind == "column" and key.name in OURS] == []


def test_an_owner_whose_id_is_of_another_type_is_named(empty_url: str) -> None:
    build(empty_url, Shape(users="integer"), Generated(0, 0, 0))
    adopt(empty_url)
    with (
        Database(empty_url) as database,
        pytest.raises(DatabaseError, match=r'cannot be "owner-1".* type integer in this'),
    ):
        register_page(
            database, "10", name=None, user_id="owner-1", platform=None, token_encrypted="x"
        )


def test_the_token_of_a_removed_page_is_not_taken_over_again(empty_url: str) -> None:
    build(empty_url, Shape(), Generated(4, 20, 2))
    adopt(empty_url)
    page = "100000000000001"
    with Database(empty_url) as database:
        set_page_status(database, page, "removed")
    adopt(empty_url)
    tokens = "select page_id from messenger_pipeline.page_tokens"
    assert query(empty_url, tokens) == [("100000000000002",)]
    assert adoption.blank_tokens(empty_url, "public") == 2
