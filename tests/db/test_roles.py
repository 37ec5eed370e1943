"""Roles of sql/roles.sql: each does its work and nothing else."""

import asyncio
import re
import threading
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from messenger_pipeline.alerting.watch import watch
from messenger_pipeline.db import alerts, inbox, migrate
from messenger_pipeline.db.checks import check_guides
from messenger_pipeline.db.metrics import SampleReader
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.roles import grant_role
from messenger_pipeline.db.sql_files import SQL
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import UpgradeRefused
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.quarantine import retry_due
from messenger_pipeline.vault import TokenVault
from messenger_pipeline.webhook.drain import drain_batch
from messenger_pipeline.webhook.names import find_name
from tests.conftest import register
from tests.db.test_guest import create_role, execute
from tests.db.test_load import query
from tests.walking import Simulate, walk
from tests.web.conftest import serve_receiver
from tests.webhook.bodies import body, text

ROLES = ("messenger_sync", "messenger_receiver", "messenger_reader")
SECRET = "EAAsecrettoken"
RAW = "only-in-the-raw-body"


def make_roles(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set search_path = messenger_pipeline, public")
        connection.execute((SQL / "roles.sql").read_text())


def as_role(url: str, role: str) -> str:
    """The URL of a login of its own that is a member of the role."""
    user = f"{role}_login"
    create_role(url, user)
    execute(url, f"alter role {user} login password 'x'", f"grant {role} to {user}")
    host = conninfo_to_dict(url)
    parts = {**host, "user": user, "password": "x"}
    return make_conninfo(**{name: str(value) for name, value in parts.items()})


@pytest.fixture
def roles(url: str) -> dict[str, str]:
    """A connection string of each role."""
    make_roles(url)
    return {role: as_role(url, role) for role in ROLES}


def test_the_roles_are_made_once(url: str) -> None:
    make_roles(url)
    statement = (
        "select relname::text, relacl::text from pg_class where relnamespace in"
        " ('public'::regnamespace, 'messenger_pipeline'::regnamespace) union all"
        " select proname, proacl::text from pg_proc where pronamespace in"
        " ('public'::regnamespace, 'messenger_pipeline'::regnamespace) union all"
        " select polname, polroles::text from pg_policy order by 1, 2"
    )
    before = execute(url, statement)
    with psycopg.connect(url) as reader:
        # A policy would wait for it.
        reader.execute("select * from messenger_conversations, contact_interaction_events")
        make_roles(url)
        assert migrate.upgrade(url, "public") == []
    assert execute(url, statement) == before


def test_the_sync_role_runs_what_dagster_sync_status_and_alerts_run(
    database: Database, roles: dict[str, str], simulate: Simulate, vault: TokenVault
) -> None:
    simulated = simulate(conversations=40, pages=2)
    register(database, vault, simulated)
    inbox.receive(database, [body(text(1, "m_in", "hi"), page=simulated.page.id)])
    with Database(roles["messenger_sync"], timeout=10) as synced:
        migrate.require_current(synced)
        engine = Engine(synced, GraphApi(simulated.url, "v26.0"), vault, 10_000)
        for page in simulated.pages:
            assert walk(engine, page.id, mode="full").outcome == "completed"
        assert drain_batch(synced).deliveries == 1
        for view in ("active_syncs", "sync_statistics", "webhook_backlog"):
            assert synced.rows(view) or view == "active_syncs"
        assert alerts.list_alerts(synced, True, 10) is not None
        watch(synced, None)
        assert set(migrate.verify(synced).values()) == {None}
        assert [one.name for one in check_guides(synced) if one.violations] == []


def test_the_receiver_role_does_what_serve_does(
    url: str, database: Database, roles: dict[str, str], simulate: Simulate, vault: TokenVault
) -> None:
    simulated = simulate(conversations=10)
    register(database, vault, simulated)
    page = simulated.page
    contact = next(iter(simulated.world.truth(page)))["sender_id"]
    with (
        Database(roles["messenger_receiver"], timeout=10) as serving,
        serve_receiver(roles["messenger_receiver"]) as receiver,
    ):
        migrate.require_current(serving)
        bodies = [
            body(text(1, "m_1", "hi", sender=contact), page=page.id),
            body({"sender": "odd"}, page=page.id),
            b"not JSON",
        ]
        assert [receiver.post(one).status_code for one in bodies] == [200] * 3
        drained = drain_batch(serving)
        assert drained.deliveries == 3
        assert drained.new_contacts
        engine = Engine(serving, GraphApi(simulated.url, "v26.0"), vault, 10_000)
        execute(url, "update messenger_pipeline.quarantined_records set retry_at = now()")
        retry_due(serving)
        find_name(engine, page.id, contact, threading.Event())
        watch(serving, None)
        asked = receiver.request("POST", "/api/conversations/sync", json={"pageId": page.id})
        assert asked.status_code == 202
        paths = [
            "/", "/readyz", "/metrics", "/api/overview", asked.json()["links"]["self"],
            f"/api/conversations/sync?pageId={page.id}", "/api/pages",
        ]  # fmt: skip
        got = {path: receiver.request("GET", path) for path in paths}
        assert {path: answer.status_code for path, answer in got.items()} == dict.fromkeys(
            paths, 200
        )
        assert got["/readyz"].json() == {"status": "ready"}
        assert len(asyncio.run(SampleReader(serving_url(serving), "public").read())) > 3


def serving_url(database: Database) -> str:
    return str(vars(database)["_url"])


@pytest.mark.parametrize("purpose", ["sync", "receiver"])
def test_each_function_of_a_role_needs_no_further_privilege(
    url: str, roles: dict[str, str], purpose: str
) -> None:
    """Each is called without arguments that mean something."""
    functions = execute(
        url,
        "select p.oid::regprocedure::text, p.pronargs, p.prosecdef from pg_proc p"
        f" join unnest(messenger_pipeline.list_role_functions('{purpose}')) n on n = p.proname"
        " where p.pronamespace::regnamespace::text in ('public', 'messenger_pipeline')",
    )
    names = execute(url, f"select cardinality(messenger_pipeline.list_role_functions('{purpose}'))")
    assert [(len(functions),)] == names
    assert {name for name, _, definer in functions if not definer} == {
        "messenger_pipeline.serves_revision(text)"
    }
    refused = []
    with psycopg.connect(roles[f"messenger_{purpose}"], autocommit=True) as connection:
        connection.execute("set search_path = messenger_pipeline, public")
        for name, arguments, _ in functions:
            call = name.partition("(")[0]
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(f"select {call}({', '.join(['null'] * arguments)})")
            except psycopg.errors.InsufficientPrivilege as error:
                refused.append((call, str(error)))
            except psycopg.Error:
                continue
    assert refused == []


def test_each_function_that_a_process_calls_is_a_roles_or_the_owners(url: str) -> None:
    owners = {
        "register_page", "set_page_status", "discard_quarantined", "reopen_webhook_deliveries",
        "get_webhook_deliveries", "resolve_replayed_deliveries", "retry_gaps",
        "list_set_aside_gaps", "grant_role", "describe_blindness",
        "check_chats", "check_guide_objects", "check_guide_rows",
    }  # fmt: skip
    package = Path(migrate.__file__).parent.parent
    text = "\n".join(path.read_text() for path in package.rglob("*.py"))
    called = {
        name
        for (name,) in execute(url, "select name from messenger_pipeline.owned_objects"
                                    " where kind = 'function' and in_schema = 'own'")
        if re.search(rf"\"{name}\"", text)
    }  # fmt: skip
    [(sync, receiver)] = execute(
        url,
        "select messenger_pipeline.list_role_functions('sync'),"
        " messenger_pipeline.list_role_functions('receiver')",
    )
    assert called - {*sync} - {*receiver} == owners


ALTERING = [
    "create table public.mine (i integer)",
    "create table messenger_pipeline.mine (i integer)",
    "create function messenger_pipeline.mine() returns integer language sql as 'select 1'",
    "alter table messenger_conversations add column mine text",
    "alter table messenger_conversations disable row level security",
    "drop view sync_statistics",
    "drop function messenger_pipeline.get_page",
    "alter function messenger_pipeline.get_page owner to current_user",
    "create trigger mine before insert on sync_state execute function tsvector_update_trigger()",
    "create policy mine on messenger_conversations using (true)",
    "truncate messenger_conversations cascade",
    "insert into sync_locks values ('10', 'me', now(), now(), 1)",
    "update facebook_pages set status = 'removed'",
    "delete from messenger_conversations",
    "update messenger_pipeline.messenger_schema_version set version_num = '1'",
    "select nextval('messenger_pipeline.sync_lock_token')",
    "select setval('messenger_pipeline.sync_lock_token', 1)",
    "select * from messenger_pipeline.page_tokens",
    "select * from messenger_pipeline.webhook_inbox",
    "select messenger_pipeline.grant_role(current_user::text, 'sync')",
    "select messenger_pipeline.register_page('1', 'n', 'u', 'messenger', 't')",
    "grant select on messenger_conversations to public",
]


@pytest.mark.parametrize("role", ROLES)
def test_no_role_alters_the_schema_or_writes_a_table(
    database: Database, roles: dict[str, str], role: str
) -> None:
    database.call("register_page", page_id="10", name="P", user_id=None, platform="messenger",
                  token_encrypted=SECRET)  # fmt: skip
    done = []
    with psycopg.connect(roles[role], autocommit=True) as connection:
        for statement in ALTERING:
            try:
                connection.execute(statement)
                done.append(statement)
            except psycopg.errors.InsufficientPrivilege:
                continue
    # "No privileges were granted" is a warning only.
    assert set(done) <= {"grant select on messenger_conversations to public"}
    assert not query(
        database,
        "select from pg_class c cross join aclexplode(c.relacl) a where a.grantee = 0"
        " and c.oid = 'messenger_conversations'::regclass",
    )


def readable(url: str) -> str:
    """Everything that a role can read of all tables and views, as text."""
    found = []
    with psycopg.connect(url, autocommit=True) as connection:
        columns = connection.execute(
            "select c.oid::regclass::text, string_agg(quote_ident(a.attname), ', ')"
            " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
            " where c.relkind in ('r', 'v', 'm', 'S', 'p') and not a.attisdropped"
            " and c.relnamespace::regnamespace::text in ('public', 'messenger_pipeline')"
            " and has_schema_privilege(c.relnamespace, 'usage')"
            " and has_column_privilege(c.oid, a.attnum, 'select') group by 1"
        ).fetchall()
        for table, names in columns:
            found += connection.execute(f"select {names} from {table}").fetchall()
            found.append((table,))
    return "\n".join(map(str, found))


def test_the_reader_reads_rows_but_no_token_and_no_raw_body(
    url: str, database: Database, simulate: Simulate, vault: TokenVault
) -> None:
    """Also of the columns that the owner added, or kept from the replaced application."""
    create_role(url, "analyst")
    execute(
        url,
        f"alter table facebook_pages add column access_token text default '{SECRET}'",
        "create view messenger_pipeline.mine as select * from messenger_pipeline.page_tokens",
    )
    grant_role(database, "analyst", "reader")
    simulated = simulate(conversations=5)
    register(database, vault, simulated)
    inbox.receive(
        database,
        [body(text(1, "m_raw", "hi"), page=simulated.page.id, odd=RAW), RAW.encode()],
    )
    engine = Engine(database, GraphApi(simulated.url, "v26.0"), vault, 10_000)
    walk(engine, simulated.page.id)
    drain_batch(database)
    seen = readable(as_role(url, "analyst"))
    [(encrypted,)] = query(database, "select token_encrypted from page_tokens")
    assert "m_raw" in seen
    assert simulated.page.id in seen
    for secret in (SECRET, RAW, encrypted, simulated.page.token):
        assert secret not in seen
    assert "messenger_pipeline." not in seen
    for role, usage in (("analyst", False), ("analyst_login", False)):
        assert execute(
            url,
            f"select has_schema_privilege('{role}', 'messenger_pipeline', 'usage'), (select"
            " count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where"
            " n.nspname in ('public', 'messenger_pipeline') and p.prosecdef and"
            f" has_function_privilege('{role}', p.oid, 'execute'))",
        ) == [(usage, 0)]


def test_an_upgrade_lets_a_reader_read_what_is_new_unless_somebody_took_that_back(
    url: str, database: Database
) -> None:
    create_role(url, "analyst")
    create_role(url, "former")
    for role in ("analyst", "former"):
        grant_role(database, role, "reader")
    execute(url, "drop owned by former", "revoke select on sync_state from analyst")
    migrate.upgrade(url, "public")
    assert execute(
        url,
        "select has_table_privilege('analyst', 'sync_state', 'select'),"
        " has_table_privilege('former', 'sync_state', 'select'),"
        " array(select role_name from messenger_pipeline.role_grants)",
    ) == [(True, False, ["analyst"])]
    database.call("withdraw_role", role="analyst")
    assert readable(as_role(url, "analyst")) == ""
    assert execute(url, "select polname::text from pg_policy where polname like '%reads'") == []
    with pytest.raises(UpgradeRefused, match=r"there is no role nobody.*create role nobody login"):
        grant_role(database, "nobody", "reader")


SUPABASE = [
    f"alter default privileges in schema public grant all on {kind} to anon, authenticated"
    for kind in ("tables", "sequences", "functions")
] + [
    f"alter default privileges grant all on {kind} to anon, authenticated"
    for kind in ("tables", "sequences", "functions", "schemas")
]


def test_supabases_roles_see_nothing_and_change_nothing(empty_url: str) -> None:
    for role in ("anon", "authenticated"):
        create_role(empty_url, role)
    execute(empty_url, *SUPABASE, "grant usage on schema public to anon, authenticated")
    migrate.upgrade(empty_url, "public")
    make_roles(empty_url)
    migrate.upgrade(empty_url, "public")
    for role in ("anon", "authenticated"):
        assert execute(
            empty_url,
            "select c.oid::regclass::text from pg_class c join pg_namespace n on"
            f" n.oid = c.relnamespace and has_schema_privilege('{role}', n.oid, 'usage')"
            " where n.nspname in ('public', 'messenger_pipeline') and (case when c.relkind = 'S'"
            f" then has_sequence_privilege('{role}', c.oid, 'usage, select, update') when"
            f" c.relkind in ('r', 'v') then has_table_privilege('{role}', c.oid, 'select, insert,"
            " update, delete, truncate, references, trigger') end)"
            " union all select p.oid::regprocedure::text from pg_proc p join pg_namespace n on"
            " n.oid = p.pronamespace where n.nspname in ('public', 'messenger_pipeline')"
            f" and p.prosecdef and has_function_privilege('{role}', p.oid, 'execute')",
        ) == []  # fmt: skip
        assert execute(
            empty_url,
            f"select has_schema_privilege('{role}', 'messenger_pipeline', 'usage, create')",
        ) == [(False,)]
