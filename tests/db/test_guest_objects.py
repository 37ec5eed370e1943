"""What the owner does to our objects: dropped and made again, altered, given options and comments,
restored without privileges."""

import logging
from typing import Any

import psycopg
import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import SchemaError, UpgradeRefused
from tests.db.test_guest import create_role, execute
from tests.db.test_load import conversation, event, query, upsert
from tests.db.test_migrate import described

LOCK = (
    "create function acquire_sync_lock(p_page_id text, p_locked_by text, p_duration integer"
    " default 300) returns boolean language sql as 'select false'"
)


@pytest.fixture
def made(empty_url: str) -> str:
    """A database that was upgraded where it is: the oids on record are true in it."""
    migrate.upgrade(empty_url, "public")
    return empty_url


def altered(url: str) -> None:
    """The owner changes the body of a function of ours in place."""
    execute(url, LOCK.replace("create", "create or replace"))


# -- Dropped, and made again by the owner -------------------------------------------------------


@pytest.mark.parametrize(
    ("owners", "named"),
    [
        ("drop view active_syncs; create view active_syncs as select 1 as one",
         r"the view public\.active_syncs is there already.* Rename or drop it"),
        ("drop view active_syncs; create table active_syncs (one integer)",
         r"the view public\.active_syncs is there already"),
        (f"drop function acquire_sync_lock; {LOCK}",
         r"the function public\.acquire_sync_lock\(text,text,integer\) is there already"),
        ("drop function acquire_sync_lock; create function acquire_sync_lock(uuid) returns text"
         " language sql as $$select ''$$",
         r"the function public\.acquire_sync_lock\(uuid\) is there already"),
        ("drop view active_syncs; drop table sync_locks; create table sync_locks (mine text)",
         r"others under their names: sync_locks.*Rename them"),
        ("alter table sync_locks rename to saved; create table sync_locks (mine text)",
         r"others under their names: sync_locks"),
    ],
)  # fmt: skip
def test_an_object_that_the_owner_made_in_place_of_ours_is_refused_and_kept(
    made: str, owners: str, named: str
) -> None:
    execute(made, *owners.split("; "))
    before = described(made)
    with pytest.raises(UpgradeRefused, match=named):
        migrate.upgrade(made, "public")
    assert described(made) == before


def test_a_downgrade_drops_no_table_that_the_owner_made_in_place_of_ours(made: str) -> None:
    execute(
        made,
        "drop view active_syncs", "drop table sync_locks", "create table sync_locks (mine text)",
        "insert into sync_locks values ('kept')",
    )  # fmt: skip
    with pytest.raises(UpgradeRefused, match="others under their names: sync_locks"):
        migrate.downgrade(made, "public")
    assert execute(made, "select mine from sync_locks") == [("kept",)]


def test_a_downgrade_leaves_views_and_functions_that_the_owner_made_in_place_of_ours(
    made: str,
) -> None:
    execute(
        made,
        "drop view active_syncs", "create view active_syncs as select 1 as mine",
        "drop function acquire_sync_lock", LOCK,
    )  # fmt: skip
    migrate.downgrade(made, "public")
    assert execute(made, "select mine, acquire_sync_lock('1', 'me') from active_syncs") == [
        (1, False)
    ]
    with pytest.raises(UpgradeRefused, match=r"acquire_sync_lock.* Rename or drop it"):
        migrate.upgrade(made, "public")


def test_tables_that_were_dropped_are_named_with_the_remedy(made: str) -> None:
    execute(made, "drop table messenger_conversations, facebook_pages cascade")
    with pytest.raises(
        UpgradeRefused, match=r"missing.*: facebook_pages, messenger_conversations.*from a backup"
    ):
        migrate.upgrade(made, "public")


def test_a_data_schema_that_was_reset_gets_the_remedy_that_works(made: str) -> None:
    execute(made, "drop schema public cascade", "create schema public")
    with pytest.raises(UpgradeRefused, match='drop the schema "messenger_pipeline" too'):
        migrate.upgrade(made, "public")
    execute(made, "drop schema messenger_pipeline cascade")
    assert migrate.upgrade(made, "public")


def test_a_table_that_was_restored_from_a_backup_is_ours(made: str) -> None:
    execute(
        made,
        "create table backup (like sync_locks including all, mine text)",
        "drop view active_syncs, sync_statistics",
        "drop table sync_locks",
        "alter table backup rename to sync_locks",
    )
    migrate.upgrade(made, "public")
    assert execute(made, "select acquire_sync_lock('10', 'me')") == [(True,)]


def test_a_kept_table_that_the_owner_drops_after_a_downgrade_is_made_again_as_at_first(
    made: str,
) -> None:
    whole = described(made)
    migrate.downgrade(made, "public")
    execute(made, "drop table contact_interaction_events, messenger_conversations")
    migrate.upgrade(made, "public")
    assert described(made) == whole
    with Database(made) as database:
        assert set(migrate.verify(database).values()) == {None}


def test_a_clone_or_restore_is_upgraded_though_its_objects_have_other_oids(url: str) -> None:
    execute(
        url,
        "update messenger_pipeline.owned_objects set object_oid = 1 where object_oid is not null",
    )
    assert migrate.upgrade(url, "public") == []
    assert execute(
        url, "select count(*) from messenger_pipeline.owned_objects where object_oid = 1"
        " and in_schema = 'data'"
    ) == [(0,)]  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        ("drop function messenger_pipeline.message_key cascade", "message_key"),
        ("alter table sync_state drop column warning cascade", "warning"),
        ("drop table messenger_pipeline.thread_gaps cascade", "thread_gaps"),
    ],
)
def test_a_missing_object_in_an_upgrade_is_not_answered_with_the_advice_to_upgrade(
    made: str, loss: str, named: str
) -> None:
    execute(
        made, loss, "update messenger_pipeline.owned_objects set definition_digest = 'former'"
        " where kind <> 'table'",
    )  # fmt: skip
    with pytest.raises(SchemaError, match=rf"{named}.* does not exist") as caught:
        migrate.upgrade(made, "public")
    assert "Nothing was changed" in str(caught.value)
    assert "db upgrade" not in str(caught.value)


# -- Altered ------------------------------------------------------------------------------------


def test_an_altered_function_is_left_by_a_downgrade_and_replaced_by_the_next_upgrade(
    made: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = described(made)
    altered(made)
    with caplog.at_level(logging.WARNING):
        migrate.downgrade(made, "public")
    assert "function public.acquire_sync_lock(text,text,integer) was altered" in caplog.text
    assert execute(made, "select acquire_sync_lock('1', 'me')") == [(False,)]
    migrate.upgrade(made, "public")
    assert described(made) == whole


def test_an_altered_function_that_the_owner_drops_after_a_downgrade_is_made_again(
    made: str,
) -> None:
    altered(made)
    migrate.downgrade(made, "public")
    execute(made, "drop function acquire_sync_lock")
    migrate.upgrade(made, "public")
    assert execute(made, "select acquire_sync_lock('1', 'me')") == [(True,)]


def test_an_aggregate_of_the_owners_beside_a_function_of_ours_stops_nothing(made: str) -> None:
    execute(
        made,
        "create aggregate cleanup_expired_locks(integer) (sfunc = int4pl, stype = integer)",
        "update messenger_pipeline.owned_objects set definition_digest = 'former'",
    )
    migrate.upgrade(made, "public")
    migrate.downgrade(made, "public")
    assert execute(made, "select cleanup_expired_locks(i) from generate_series(1, 3) i") == [(6,)]


# -- Options and comments -----------------------------------------------------------------------

ADDITIONS: list[Any] = [
    ("alter view sync_statistics set (security_invoker = true, security_barrier)",
     "select reloptions from pg_class where oid = 'sync_statistics'::regclass"),
    ("comment on view sync_statistics is '100 % ours: it''s %s'",
     "select obj_description('sync_statistics'::regclass, 'pg_class')"),
    ("comment on column sync_statistics.page_id is 'Meta''s %'",
     "select col_description('sync_statistics'::regclass, attnum) from pg_attribute"
     " where attrelid = 'sync_statistics'::regclass and attname = 'page_id'"),
    ("comment on function acquire_sync_lock is 'ask Ann'",
     "select obj_description('acquire_sync_lock'::regproc, 'pg_proc')"),
]  # fmt: skip


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize(("addition", "read"), ADDITIONS)
def test_options_and_comments_of_the_owners_survive_a_replacement(
    made: str, addition: str, read: str, in_place: bool
) -> None:
    if not in_place:
        # As an earlier release made them: with columns and a return type of other types.
        execute(
            made,
            "drop view sync_statistics",
            "create view sync_statistics as select 1 as former, facebook_page_id as page_id"
            " from facebook_pages",
            "drop function acquire_sync_lock",
            LOCK.replace("boolean", "integer").replace("false", "1"),
            "update messenger_pipeline.owned_objects set object_oid = null"
            " where name in ('sync_statistics', 'acquire_sync_lock')",
        )
    execute(
        made, addition, "update messenger_pipeline.owned_objects set definition_digest = 'former'"
    )
    before = execute(made, read)
    migrate.upgrade(made, "public")
    assert execute(made, read) == before != [(None,)]
    assert execute(made, "select sessions from sync_statistics") == []


# -- Names of other kinds -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "owners",
    [
        "create type facebook_pages as enum ('one')",
        "create domain sync_locks as text",
        "create type active_syncs as enum ('one')",
        "create table idx (i int); create index sync_state_history on idx (i)",
        "create sequence messenger_conversations",
    ],
)
def test_a_type_or_index_with_a_name_that_we_need_is_refused_with_the_remedy(
    empty_url: str, owners: str
) -> None:
    execute(empty_url, *owners.split("; "))
    with pytest.raises(
        UpgradeRefused, match=r"Rename.* or choose another MESSENGER_DATABASE_SCHEMA"
    ):
        migrate.upgrade(empty_url, "public")
    assert migrate.status(empty_url, "public").current is None


def test_a_schema_name_of_the_greatest_length_works(empty_url: str) -> None:
    name = "s" * 50
    execute(empty_url, f"create schema {name}")
    migrate.upgrade(empty_url, name)
    with Database(empty_url, schema=name) as database:
        upsert(database, "10", conversation("20", event("m_1")))
        assert set(migrate.verify(database).values()) == {None}


# -- Restored without privileges ----------------------------------------------------------------


def restored_without_privileges(url: str) -> None:
    """What pg_restore --no-acl leaves on a hosted server: the defaults' grants on everything."""
    execute(
        url,
        "update pg_proc set proacl = null where pronamespace = 'public'::regnamespace",
        "grant execute on all functions in schema public to public, anon",
        "grant all on all tables in schema public to anon",
        "alter default privileges grant usage on schemas to anon",
        "grant usage on schema messenger_pipeline to anon, public",
        "alter default privileges in schema public grant all on tables to anon",
        "alter default privileges in schema public grant execute on functions to anon",
        "update messenger_pipeline.owned_objects set installed_digest = 'elsewhere'"
        " where kind = 'schema'",
    )


OPEN = (
    "select c.oid::regclass::text from pg_class c where relnamespace = 'public'::regnamespace"
    " and relkind in ('r', 'v') and has_table_privilege('anon', oid, 'select, insert, truncate')"
    " union all select p.oid::regprocedure::text from pg_proc p where pronamespace ="
    " 'public'::regnamespace and has_function_privilege('anon', oid, 'execute')"
    " union all select nspname::text from pg_namespace where nspname = 'messenger_pipeline'"
    " and has_schema_privilege('anon', oid, 'usage')"
)


def test_an_upgrade_closes_what_a_restore_without_privileges_opened(made: str) -> None:
    create_role(made, "anon")
    restored_without_privileges(made)
    assert len(execute(made, OPEN)) > 10
    with Database(made) as database:
        assert "everybody may execute" in str(migrate.run_check(database, "schema_is_whole"))
    assert migrate.upgrade(made, "public") == []
    assert execute(made, OPEN) == []
    with Database(made) as database:
        assert set(migrate.verify(database).values()) == {None}
    execute(made, "drop owned by anon")


def test_an_upgrade_keeps_grants_that_the_owner_made(made: str) -> None:
    create_role(made, "anon")
    create_role(made, "viewer")
    grants = (
        "grant select on messenger_conversations to anon",
        "grant select (page_id) on sync_statistics to viewer",
        "grant execute on function acquire_sync_lock to viewer",
    )
    execute(made, *grants)
    before = described(made)
    for restored in (False, True):
        if restored:  # with its privileges
            execute(
                made,
                "update messenger_pipeline.owned_objects set installed_digest = 'elsewhere'"
                " where kind = 'schema'",
            )
        migrate.upgrade(made, "public")
        assert described(made) == before
        assert execute(
            made, "select has_column_privilege('viewer', 'sync_statistics', 'page_id', 'select')"
        ) == [(True,)]
    execute(made, "drop owned by anon, viewer")


# -- Names in the data schema -------------------------------------------------------------------


def test_an_operator_in_the_data_schema_shadows_no_operator_on_plain_values(
    made: str,
) -> None:
    """PostgreSQL looks at its own schema first, and takes an exact match there."""
    types = ("text", "integer", "bigint", "timestamptz", "jsonb", "uuid", "boolean")
    execute(
        made,
        *(
            f"create function never({one}, {one}) returns boolean language sql as 'select 1 = 1/0'"
            for one in types
        ),
        *(
            f"create operator {name} (leftarg = {one}, rightarg = {one}, function = never)"
            for one in types
            for name in ("=", "<>", "<", ">", "<=", ">=")
        ),
    )
    with Database(made) as database:
        assert upsert(database, "10", conversation("20", event("m_1"))) == [
            ("20", True, False, 0, 1)
        ]
        assert query(database, "select acquire_sync_lock('10', 'me')") == [(True,)]
        assert set(migrate.verify(database).values()) == {None}


def test_an_operator_on_an_array_type_in_the_data_schema_shadows_postgresqls(made: str) -> None:
    """The limit that docs/settings.md describes: on arrays PostgreSQL's operators are polymorphic,
    and a namesake with the very types matches better."""
    execute(
        made,
        "create function never(text[], text[]) returns boolean language sql as 'select 1 = 1/0'",
        "create operator = (leftarg = text[], rightarg = text[], function = never)",
    )
    with psycopg.connect(made) as connection:
        connection.execute("set search_path = messenger_pipeline, public, pg_temp")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("select array['a'] = array['a']")


def test_a_trigger_of_the_owners_that_would_meet_a_name_of_ours_is_reported_with_the_remedy(
    made: str, caplog: pytest.LogCaptureFixture
) -> None:
    execute(
        made,
        "create table alerts (contact text)",
        "create table visits (contact text)",
        "create function audit() returns trigger language plpgsql as"
        " $$begin insert into alerts values (new.sender_id); return new; end$$",
        "create function count_visits() returns trigger language plpgsql as"
        " $$begin insert into visits values (new.sender_id); return new; end$$",
        "create trigger audit after insert on messenger_conversations"
        " for each row execute function audit()",
        "create trigger visits after insert on messenger_conversations"
        " for each row execute function count_visits()",
    )
    migrate.upgrade(made, "public")
    [warning] = [record.getMessage() for record in caplog.records]
    assert "The function public.audit() of a trigger on messenger_conversations" in warning
    assert "uses the name alerts without a schema" in warning
    execute(made, warning.partition("run: ")[2])
    caplog.clear()
    migrate.upgrade(made, "public")
    assert caplog.records == []
    with Database(made) as database:
        upsert(database, "10", conversation("20", event("m_1")))
    assert execute(made, "select a.contact, v.contact from public.alerts a, visits v") == [
        ("20", "20")
    ]
