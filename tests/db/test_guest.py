"""A guest in somebody's database: an upgrade touches only what is ours, and what the owner adds
stops nothing."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from messenger_pipeline.db import alerts, checks, inbox, migrate, overview
from messenger_pipeline.db.metrics import SampleReader
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import DatabaseError, SchemaError, UpgradeRefused
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault, new_key
from messenger_pipeline.webhook.drain import drain_batch
from tests.conftest import Simulated, register
from tests.db.test_load import conversation, event, query, upsert
from tests.db.test_migrate import REVISIONS, described
from tests.walking import Connect, Simulate, stored, truth, walk
from tests.webhook.bodies import body, text

TABLES = [
    "facebook_pages", "messenger_conversations", "contact_interaction_events", "sync_state",
    "sync_locks", "page_tokens", "messenger_threads", "thread_gaps", "webhook_inbox",
    "quarantined_records", "graph_api_budget", "sync_requests", "sync_totals", "alerts",
]  # fmt: skip

OUR_WORDS = ["reason", "page", "found", "identity", "locked_by", "expires_at", "kind", "severity",
             "summary", "state", "thread_id", "total", "outcome", "lag", "sessions"]  # fmt: skip
"""Names that our functions give to columns of their own."""


def execute(url: str, *statements: str) -> list[Any]:
    """Run statements, each in a transaction of its own; the rows of the last."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement)
        return found.fetchall() if found.description else []


def create_role(url: str, name: str) -> None:
    execute(
        url,
        f"do $$ begin create role {name}; exception when duplicate_object then null; end $$",
    )


# -- What is the owner's ------------------------------------------------------------------------


def test_the_owners_namesakes_of_our_internals_stay_as_they_are(empty_url: str) -> None:
    execute(
        empty_url,
        "create function get_page(n integer) returns text language sql as $$select 'mine ' || n$$",
        "create function list_alerts(p text) returns text language sql as $$select p$$",
        "create table alerts (id integer)",
        "create view webhook_backlog as select 'mine' as state",
        "create table heartbeats (name text)",
    )
    migrate.upgrade(empty_url, "public")
    assert execute(
        empty_url, "select get_page(7), list_alerts('x'), state, (select count(*) from alerts)"
        " from webhook_backlog"
    ) == [("mine 7", "x", "mine", 0)]  # fmt: skip
    with Database(empty_url) as database:
        upsert(database, "10", conversation("20", event("m_1")))
        assert set(migrate.verify(database).values()) == {None}
    migrate.downgrade(empty_url, "public")
    assert execute(empty_url, "select get_page(7)") == [("mine 7",)]


@pytest.mark.parametrize(
    ("owners", "named"),
    [
        (
            "create function acquire_sync_lock(uuid) returns text language sql as $$select ''$$",
            r"the function public\.acquire_sync_lock\(uuid\)",
        ),
        (
            "create function cleanup_expired_locks() returns int language sql as $$select 1$$",
            r"the function public\.cleanup_expired_locks\(\)",
        ),
        ("create table facebook_pages (id serial primary key)", r"facebook_pages"),
        ("create table sync_locks (page_id text)", r"sync_locks"),
        ("create view active_syncs as select 1 as one", r"the view public\.active_syncs"),
        ("create table sync_statistics (one integer)", r"the view public\.sync_statistics"),
        ("create table idx (i int); create index sync_state_history on idx (i)",
         r"sync_state_history"),
        ("create schema messenger_pipeline create table t (i int)", r"messenger_pipeline"),
        (
            "create table messenger_schema_version (version_num text);"
            "insert into messenger_schema_version values ('0005')",
            r"before the first release",
        ),
    ],
)  # fmt: skip
def test_a_name_that_is_somebody_elses_is_refused_and_nothing_changes(
    empty_url: str, owners: str, named: str
) -> None:
    execute(empty_url, owners)
    everything = (
        "select oid::regclass::text from pg_class where relnamespace >= 16384"
        " or relnamespace = 'public'::regnamespace union all"
        " select oid::regprocedure::text from pg_proc where pronamespace >= 2200"
        " and pronamespace not in (select oid from pg_namespace where nspname in"
        " ('information_schema', 'pg_catalog')) union all select nspname::text from pg_namespace"
        " order by 1"
    )
    before = execute(empty_url, everything)
    with pytest.raises(DatabaseError, match=named):
        migrate.upgrade(empty_url, "public")
    assert execute(empty_url, everything) == before


def test_a_view_of_the_owners_on_ours_survives_upgrades_with_its_grants(url: str) -> None:
    create_role(url, "viewer")
    execute(
        url,
        "create view report as select page_id, sessions from sync_statistics",
        "grant select on report, active_syncs to viewer",
        "grant select (page_id, messages) on sync_statistics to viewer",
        # As an earlier release made it: with a column less at its end.
        "update messenger_pipeline.owned_objects set definition_digest = 'another'"
        " where kind = 'view'",
    )
    oid = execute(url, "select 'sync_statistics'::regclass::oid")
    before = described(url)
    migrate.upgrade(url, "public")
    assert described(url)[:-1] == before[:-1]
    assert execute(url, "select 'sync_statistics'::regclass::oid") == oid
    assert execute(url, "select * from report") == []
    execute(url, "drop owned by viewer")


def test_a_view_of_ours_with_other_columns_is_made_anew_with_its_grants(url: str) -> None:
    create_role(url, "viewer")
    execute(
        url,
        "drop view sync_statistics",
        "create view sync_statistics as select 1 as former, facebook_page_id as page_id"
        " from facebook_pages",
        "grant select on sync_statistics to viewer with grant option",
        "grant update (page_id, former) on sync_statistics to viewer",
    )
    migrate.upgrade(url, "public")
    assert execute(
        url,
        "select has_table_privilege('viewer', 'sync_statistics', 'select with grant option'),"
        " has_column_privilege('viewer', 'sync_statistics', 'page_id', 'update')",
    ) == [(True, True)]
    assert execute(url, "select sessions from sync_statistics") == []
    execute(url, "drop owned by viewer")


def test_what_is_built_on_a_view_that_must_change_is_named(url: str) -> None:
    execute(
        url,
        "drop view sync_statistics",
        "create view sync_statistics as select 1 as former",
        "create view report as select former from sync_statistics",
    )
    with pytest.raises(UpgradeRefused, match=r"view report depends on view .*sync_statistics"):
        migrate.upgrade(url, "public")
    assert execute(url, "select * from report") == [(1,)]


def test_what_is_built_on_our_tables_is_named_when_a_downgrade_would_drop_it(url: str) -> None:
    execute(url, "create view report as select page_id from sync_state")
    with pytest.raises(UpgradeRefused, match=r"view report depends on table .*sync_state"):
        migrate.downgrade(url, "public")
    assert migrate.status(url, "public").current == REVISIONS[-1]


def test_a_function_of_another_signature_is_replaced(url: str) -> None:
    whole = described(url)
    execute(
        url,
        "set check_function_bodies = off;"
        "drop function messenger_pipeline.reserve_graph_call, acquire_sync_lock;"
        "create function messenger_pipeline.reserve_graph_call(p_scope text)"
        " returns double precision language sql as 'select 0.0::float8';"
        "create function acquire_sync_lock(p_page_id text, p_locked_by text,"
        " p_duration integer default 300) returns text language sql as $$select 'former'$$;"
        "revoke all on function acquire_sync_lock from public",
        "update messenger_pipeline.owned_objects set installed_digest = 'former'"
        " where name in ('reserve_graph_call', 'acquire_sync_lock')",
    )
    migrate.upgrade(url, "public")
    assert described(url) == whole


def test_an_upgrade_with_nothing_to_do_waits_for_no_reader(url: str) -> None:
    with psycopg.connect(url) as reader:
        reader.execute("select * from sync_statistics, active_syncs, contact_interaction_events")
        assert migrate.upgrade(url, "public") == []


def test_an_overload_with_other_arguments_takes_the_grants_along(url: str) -> None:
    create_role(url, "viewer")
    execute(
        url,
        "drop function acquire_sync_lock",
        "create function acquire_sync_lock(p_page_id text, p_locked_by text) returns boolean"
        " language sql as 'select true'",
        "revoke all on function acquire_sync_lock from public",
        "grant execute on function acquire_sync_lock to viewer",
        "update messenger_pipeline.owned_objects set definition_digest = 'former',"
        " installed_digest = messenger_pipeline.digest_object('function',"
        " 'acquire_sync_lock'::regproc) where name = 'acquire_sync_lock'",
    )
    migrate.upgrade(url, "public")
    assert execute(
        url,
        "select oid::regprocedure::text, has_function_privilege('viewer', oid, 'execute'),"
        " has_function_privilege('public', oid, 'execute') from pg_proc"
        " where proname = 'acquire_sync_lock'",
    ) == [("acquire_sync_lock(text,text,integer)", True, False)]
    execute(url, "drop owned by viewer")


def test_an_overload_that_the_owner_made_stays(url: str) -> None:
    execute(
        url, "create function acquire_sync_lock(uuid) returns text language sql as $$select 'x'$$"
    )
    migrate.upgrade(url, "public")
    migrate.downgrade(url, "public")
    assert execute(url, "select acquire_sync_lock(gen_random_uuid())") == [("x",)]


def test_a_function_whose_body_does_not_work_fails_the_upgrade(url: str) -> None:
    execute(
        url,
        "set check_function_bodies = off;"
        "create or replace function messenger_pipeline.list_due_pages() returns setof text"
        " language sql as 'select nonsense from nowhere'",
        "update messenger_pipeline.owned_objects set installed_digest ="
        " messenger_pipeline.digest_object('function',"
        " 'messenger_pipeline.list_due_pages'::regproc) where name = 'list_due_pages'",
    )
    with pytest.raises(SchemaError, match="nowhere"):
        migrate.upgrade(url, "public")


def test_two_data_schemas_do_not_share_one_of_ours(empty_url: str) -> None:
    execute(empty_url, "create schema messenger")
    migrate.upgrade(empty_url, "public")
    with pytest.raises(UpgradeRefused, match="belongs to the data schema public"):
        migrate.upgrade(empty_url, "messenger")


def test_namesakes_of_postgresqls_functions_are_not_called(url: str, database: Database) -> None:
    execute(
        url,
        "create function format(text, text) returns text language sql as $$select 'mine'$$",
        "create function array_agg(text) returns text language sql as $$select 'mine'$$",
        "create function jsonb_build_object(text, jsonb) returns jsonb language sql"
        " as $$select '{}'::jsonb$$",
        "update messenger_pipeline.owned_objects set definition_digest = 'former'",
    )
    migrate.upgrade(url, "public")
    upsert(database, "10", conversation("20", event("m_1")))
    assert set(migrate.verify(database).values()) == {None}


# -- What others may do -------------------------------------------------------------------------


def test_the_roles_of_a_hosted_server_see_nothing_and_change_nothing(empty_url: str) -> None:
    create_role(empty_url, "anon")
    execute(
        empty_url,
        "alter default privileges grant all on tables to anon",
        "alter default privileges grant all on sequences to anon",
        "alter default privileges grant all on functions to anon",
        "alter default privileges grant usage, create on schemas to anon",
    )
    migrate.upgrade(empty_url, "public")
    with Database(empty_url) as database:
        upsert(database, "10", conversation("20", event("m_1")))
        # Not in one statement: PostgreSQL may ask for a sequence's privilege of what is none.
        assert query(
            database,
            "select c.oid::regclass::text from pg_class c where c.relnamespace ="
            " 'public'::regnamespace and c.relkind in ('r', 'v') and has_table_privilege('anon',"
            " c.oid, 'select, insert, update, delete, truncate, references, trigger')",
        ) == []  # fmt: skip
        assert query(
            database,
            "select p.oid::regprocedure::text from pg_proc p where p.pronamespace ="
            " 'public'::regnamespace and has_function_privilege('anon', p.oid, 'execute')",
        ) == []  # fmt: skip
        assert query(
            database,
            "select has_schema_privilege('anon', 'messenger_pipeline', 'usage'),"
            " has_schema_privilege('anon', 'messenger_pipeline', 'create')",
        ) == [(False, False)]
        with database.transaction() as connection:
            connection.execute(
                "grant select on messenger_conversations to anon; set local role anon"
            )
            assert connection.execute("select * from messenger_conversations").fetchall() == []
    execute(empty_url, "drop owned by anon")


def test_a_role_with_execute_alone_can_use_the_contracts_functions(url: str) -> None:
    create_role(url, "application")
    execute(
        url,
        "grant execute on function acquire_sync_lock, upsert_conversation_with_events"
        " to application",
    )
    with psycopg.connect(url) as connection:
        connection.execute("set role application")
        assert connection.execute("select acquire_sync_lock('10', 'me')").fetchall() == [(True,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from messenger_pipeline.page_tokens")
    execute(url, "drop owned by application")


def test_a_reader_of_the_contracts_views_needs_no_other_grant(url: str, database: Database) -> None:
    create_role(url, "viewer")
    database.call("register_page", page_id="10", name="P", user_id=None, platform="messenger",
                  token_encrypted="X")  # fmt: skip
    execute(url, "grant select on active_syncs, sync_statistics to viewer")
    with psycopg.connect(url) as connection:
        connection.execute("set role viewer")
        assert connection.execute("select page_id from sync_statistics").fetchall() == [("10",)]
        assert connection.execute("select state from active_syncs").fetchall() == []
    execute(url, "drop owned by viewer")


def test_no_function_of_ours_resolves_names_by_the_callers_search_path(url: str) -> None:
    """Each sets its own, or was parsed when it was made; and there is one of each name."""
    assert execute(
        url,
        "select oid::regprocedure::text from pg_proc where pronamespace in"
        " ('public'::regnamespace, 'messenger_pipeline'::regnamespace) and prosqlbody is null"
        " and not exists (select from unnest(proconfig) as c where c like 'search_path=%')",
    ) == []  # fmt: skip
    assert execute(
        url,
        "select proname from pg_proc where pronamespace in"
        " ('public'::regnamespace, 'messenger_pipeline'::regnamespace)"
        " group by proname having count(*) > 1",
    ) == []  # fmt: skip


def test_a_role_without_create_on_the_database_is_given_our_schema(empty_url: str) -> None:
    create_role(empty_url, "deployer")
    execute(empty_url, "grant usage, create on schema public to deployer")
    deployer = make_conninfo(empty_url, options="-c role=deployer")
    with pytest.raises(DatabaseError, match="permission denied for database"):
        migrate.upgrade(deployer, "public")
    create_role(empty_url, "anon")
    execute(
        empty_url,
        "create schema messenger_pipeline authorization deployer",
        "grant usage, create on schema messenger_pipeline to anon",
        "alter default privileges for role deployer grant all on tables to anon",
    )
    assert migrate.upgrade(deployer, "public") == REVISIONS
    assert execute(
        empty_url,
        "select has_schema_privilege('anon', 'messenger_pipeline', 'usage, create'),"
        " has_table_privilege('anon', 'messenger_pipeline.page_tokens', 'select')",
    ) == [(False, False)]
    with Database(deployer) as database:
        upsert(database, "10", conversation("20", event("m_1")))
        assert set(migrate.verify(database).values()) == {None}


def test_everything_works_in_a_data_schema_of_another_name(
    empty_url: str, simulate: Simulate
) -> None:
    execute(empty_url, 'create schema "user"')
    migrate.upgrade(empty_url, "user")
    simulated, vault = simulate(conversations=20), TokenVault([new_key()])
    with Database(empty_url, schema="user") as database:
        register(database, vault, simulated)
        engine = Engine(database, GraphApi(simulated.url, "v26.0"), vault, 1000.0)
        assert walk(engine, simulated.page.id).outcome == "completed"
        assert stored(database) == truth(simulated)
        inbox.receive(
            database, [body(text(1, "m1", "hello", page=simulated.page.id), page=simulated.page.id)]
        )
        assert drain_batch(database).states == {"done": 1}
        assert set(migrate.verify(database).values()) == {None}
    samples = asyncio.run(SampleReader(empty_url, "user").read())
    assert ("messenger_webhook_deliveries_settled_total", ["done"], 1.0) in [
        (one.metric, one.labels, one.value) for one in samples
    ]
    schemas = "select nspname::text from pg_namespace where nspname ~ 'user|messenger' order by 1"
    assert execute(empty_url, schemas) == [("user",), ("user_pipeline",)]


# -- Columns more -------------------------------------------------------------------------------


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=60)


@pytest.fixture
def engine(small: Simulated, connect: Connect) -> Engine:
    return connect(small)


def test_a_column_that_the_owner_adds_stops_no_sync(
    small: Simulated, engine: Engine, database: Database, url: str
) -> None:
    with database.transaction() as connection:
        for table in TABLES:
            for column in ("app_theme", *OUR_WORDS):
                connection.execute(
                    f"alter table {table} add column if not exists {column} text default 'x'"
                )
    assert walk(engine, small.page.id).outcome == "completed"
    assert stored(database) == truth(small)
    assert alerts.update_alerts(database) is not None
    assert overview.list_page_states(database, search="", status=None, offset=0, limit=9)
    assert checks.list_stuck_leases(database, timedelta(0), timedelta(0)) == []
    migrate.upgrade(url, "public")
    assert walk(engine, small.page.id).outcome == "completed"
    assert set(migrate.verify(database).values()) == {None}


def newer_release(url: str, serves: str) -> None:
    """The schema as a release after this one might leave it."""
    definition = "messenger_pipeline.get_page(text)"
    [(text,)] = execute(url, f"select pg_get_functiondef('{definition}'::regprocedure)")
    execute(
        url,
        "alter table facebook_pages add column inbox text",
        f"drop function {definition}",
        text.replace("failed_starts integer)", "failed_starts integer, inbox text)").replace(
            "p.failed_starts\n", "p.failed_starts, p.inbox\n"
        ),
        "create or replace function messenger_pipeline.serves_revision(p_revision text)"
        f" returns boolean language sql immutable return p_revision in ({serves})",
        "update messenger_pipeline.messenger_schema_version set version_num = '9999'",
    )


def test_a_process_of_the_release_before_goes_on_after_an_upgrade(
    small: Simulated, engine: Engine, database: Database, url: str
) -> None:
    walk(engine, small.page.id, max_conversations=20)
    newer_release(url, serves=f"'{REVISIONS[-1]}', '9999'")
    migrate.require_current(database)
    assert walk(engine, small.page.id).outcome == "completed"
    assert stored(database) == truth(small)


def test_a_process_that_the_schema_no_longer_serves_is_refused(
    database: Database, url: str
) -> None:
    newer_release(url, serves="'9998', '9999'")
    with pytest.raises(SchemaError, match="does not serve this version"):
        migrate.require_current(database)
