"""db diff, db align: two databases, as people run the commands."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from messenger_pipeline.db import migrate
from messenger_pipeline.db.embedded import database_url
from tests.conftest import _cloned
from tests.db.test_guest import create_role, execute
from tests.schema_diff.connect import PRODUCTION, ROWS, SHARED, STAGING
from tests.schema_diff.test_round_trip import run_script
from tests.test_cli import Run, ended, environment, run

__all__ = ["environment", "run"]  # fixtures


@pytest.fixture
def other_url(server: str, template: str) -> Iterator[str]:
    """A second database with our schema."""
    with _cloned(server, template) as url:
        yield url


@pytest.fixture
def production(server: str) -> Iterator[str]:
    with _cloned(server, "template1") as url:
        create_role(url, "align_web")
        execute(url, SHARED, PRODUCTION, ROWS)
        yield url


@pytest.fixture
def staging(server: str) -> Iterator[str]:
    with _cloned(server, "template1") as url:
        create_role(url, "align_web")
        execute(url, SHARED, STAGING, ROWS)
        yield url


def test_production_and_staging_are_aligned_by_the_printed_sql(
    run: Run, production: str, staging: str
) -> None:
    here = {"MESSENGER_DATABASE_URL": production}
    there = {"MESSENGER_DATABASE_URL": staging}
    ended(
        run("db", "diff", staging, "--all", **here), 1,
        "column chat_participants.chat_id: nullability: nullable here, not null there",
        "index chat_messages.idx_chat_messages_sender_id: only there",
        "index chat_messages.idx_chat_messages_reply_to: only here",
        "function get_unread_count(uuid, uuid): only here",
        "returns: integer here, void there", "6 differences.",
    )  # fmt: skip

    # First the one whose function is to be replaced: production's is the better one.
    plan = run("db", "align", production, "--all", "--plan", **there)
    ended(plan, 0, "create index concurrently idx_chat_messages_reply_to", "4 to run, 3 not done")
    run_script(staging, plan.stdout)
    plan = run("db", "align", staging, "--all", "--plan", **here)
    ended(plan, 0, "create index concurrently idx_chat_messages_sender_id", "3 to run, 0 not done")
    run_script(production, plan.stdout)

    ended(run("db", "diff", staging, "--all", **here), 0, "No differences.")
    ended(run("db", "diff", production, "--all", **there), 0, "No differences.")
    ended(run("db", "align", production, "--all", "--plan", **there), 0, "Nothing to do")
    unread = "select sum(get_unread_count(id, '00000000-0000-0000-0000-000000000001')) from chats"
    assert execute(staging, unread) == [(183,)]
    allowed = (
        "select has_function_privilege(r, 'mark_messages_as_read(uuid, uuid)', 'execute')"
        " from unnest(array['align_web', 'pg_monitor']) r"
    )
    assert execute(staging, allowed) == [(True,), (False,)]


def test_rows_that_break_a_rule_make_its_step_a_comment_with_their_number(
    run: Run, production: str, staging: str
) -> None:
    here = {"MESSENGER_DATABASE_URL": production}
    execute(
        production,
        "insert into chat_participants values (null, gen_random_uuid()), (null, gen_random_uuid())",
        "update chats set title = 'chat 0' where title = 'chat 1'",
    )
    execute(
        staging,
        "update chat_messages set body = id::text",
        "create unique index one_body on chat_messages (lower(body))",
        "alter table chat_participants add constraint of_chat foreign key (chat_id)"
        " references chats",
        "alter table chats add constraint titled check (title <> 'chat 0')",
        "alter table chats add constraint late check (title <> 'no')",
    )
    plan = run("db", "align", staging, "--all", "--plan", **here)
    ended(
        plan, 0,
        "-- not null for column chat_participants.chat_id: rows without a value: 2; correct them",
        "-- create index chat_messages.one_body: rows that share their values with another: 183",
        "-- add constraint chats.titled: rows that break it: 1",
    )  # fmt: skip
    assert 'validate constraint "late";\n' in plan.stdout
    # No participant refers to a chat that is not there.
    assert (
        '\nalter table "public"."chat_participants" validate constraint "of_chat";' in plan.stdout
    )
    run_script(production, plan.stdout)


def test_our_objects_are_equal_in_two_databases_of_one_release(
    run: Run, url: str, other_url: str
) -> None:
    execute(other_url, "create table theirs (a integer)")
    ended(run("db", "diff", other_url), 0, "No differences.")
    ended(run("db", "diff", other_url, "--all"), 1, "table theirs: only there (with 1 column)")
    found = run("db", "diff", other_url, "--all", "--json")
    ended(found, 1)
    body = json.loads(found.stdout)
    assert body["equal"] is False
    assert [(d["kind"], d["name"], d["change"]) for d in body["differences"]] == [
        ("table", "theirs", "missing"), ("column", "a", "missing"),
    ]  # fmt: skip
    assert json.loads(run("db", "diff", other_url, "--json").stdout)["differences"] == []


def test_what_was_lost_of_ours_is_made_again_and_stays_ours(
    run: Run, url: str, other_url: str
) -> None:
    execute(
        url,
        "drop function cleanup_expired_locks", "drop view sync_statistics",
        "drop index idx_unique_event_by_timestamp", "drop policy sync_locks_pipeline on sync_locks",
        "drop table messenger_pipeline.heartbeats",
        "alter table messenger_conversations alter column version drop not null",
        "create or replace function release_sync_lock(p_page_id text, p_locked_by text)"
        " returns boolean language sql as 'select false'",
    )  # fmt: skip
    ended(run("db", "diff", other_url), 1, "function release_sync_lock(text, text):", "body")
    plan = run("db", "align", other_url, "--plan")
    ended(plan, 0, " 0 not done")
    run_script(url, plan.stdout)
    ended(run("db", "diff", other_url), 0, "No differences.")
    ended(run("db", "upgrade"), 0, "nothing to apply")
    ended(run("db", "verify"), 0, "✓ schema_is_whole")
    ended(run("db", "diff", other_url), 0, "No differences.")


def test_an_older_schema_is_upgraded_and_not_aligned(run: Run, url: str, other_url: str) -> None:
    migrate.downgrade(url, "public", "0003")
    ended(run("db", "diff", other_url), 1)
    plan = run("db", "align", other_url, "--plan")
    ended(plan, 0, "0 to run", "is at 0003 here and at 0004 there", "db upgrade")


def test_data_schemas_may_have_different_names(run: Run, url: str, server: str) -> None:
    with _cloned(server, "template1") as other:
        execute(other, "create schema crm", "grant usage on schema crm to public")
        migrate.upgrade(other, "crm")
        ended(run("db", "diff", other, "--schema", "crm", "--all"), 0, "No differences.")
        execute(other, "create function crm.n() returns bigint language sql set search_path = crm"
                " as $$ select count(*) from crm.sync_locks $$",
                "create view crm.seen as select crm.n() as n from crm.facebook_pages")  # fmt: skip
        ended(run("db", "diff", other, "--schema", "crm", "--all"), 1, "view seen: only there")
        plan = run("db", "align", other, "--schema", "crm", "--all", "--plan")
        run_script(url, plan.stdout)
        ended(run("db", "diff", other, "--schema", "crm", "--all"), 0, "No differences.")
        assert execute(url, "select n() from seen right join sync_state on true") == []
        [(settings, body)] = execute(
            url, "select proconfig, prosrc from pg_proc where proname = 'n'"
        )
        assert (settings, "public" in body, "crm" in body) == (["search_path=public"], True, False)


def test_a_url_with_a_password_is_never_printed(run: Run, url: str) -> None:
    parts = urlsplit("postgresql://somebody:hunter2-canary@127.0.0.1:1/nowhere")
    for command, address in (
        ("diff", urlunsplit(parts)),
        ("align", urlunsplit(parts._replace(query="sslmodee=1"))),
        ("diff", "hunter2-canary"),
        ("diff", "postgresql://a:hunter2-canary%@x/y"),
    ):
        done = run("db", command, address, *(["--plan"] if command == "align" else []))
        assert done.returncode in (1, 2), done.stdout
        assert "canary" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_align_without_plan_is_wrong_usage(run: Run, other_url: str) -> None:
    ended(run("db", "align", other_url), 2, "Add --plan to print it")


def test_databases_without_our_schema_need_all(run: Run, production: str, staging: str) -> None:
    mine = {"MESSENGER_DATABASE_URL": production}
    ended(run("db", "diff", staging, **mine), 2, "With --all the whole data schema is compared")
    ended(run("db", "diff", staging, "--schema", "nowhere", **mine), 2, "has no schema nowhere")
    ended(run("db", "diff", staging, "--schema", "No;", **mine), 2, "--schema: give a name")
    ended(run("db", "diff", production, "--all", **mine), 0, "both are the same database")


def test_a_role_is_told_what_it_may_not_see(
    run: Run, url: str, other_url: str, server: str
) -> None:
    create_role(url, "align_blind")
    execute(url, "alter role align_blind login password 'blind'")
    execute(other_url, "alter table sync_state alter column user_id set not null")
    found = conninfo_to_dict(url)
    blind = (
        f"postgresql://align_blind:blind@/{found['dbname']}?host={found['host']}"
        f"&port={found.get('port', 5432)}"
    )
    mine = {"MESSENGER_DATABASE_URL": blind}
    ended(
        run("db", "diff", other_url, **mine), 1,
        "role align_blind (here) may not read the record of what messenger-pipeline made",
        "may not read the revision", "column sync_state.user_id", "1 difference.",
    )  # fmt: skip
    ended(
        run("db", "align", other_url, "--plan", **mine), 0,
        "role align_blind may not see all rows of sync_state", "0 to run",
    )  # fmt: skip


def test_both_sides_are_read_at_one_moment_and_not_written(
    run: Run, url: str, other_url: str
) -> None:
    """A default that forbids every write of the database stops neither command."""
    for one in (url, other_url):
        name = conninfo_to_dict(one)["dbname"]
        execute(one, f'alter database "{name}" set default_transaction_read_only = on')
    ended(run("db", "diff", other_url), 0, "No differences.")
    ended(run("db", "align", other_url, "--plan"), 0, "Nothing to do")


def test_servers_of_different_versions_show_no_difference(
    run: Run, url: str, newest_server: str
) -> None:
    """With MESSENGER_TEST_DATABASE_URL these are the given server and the embedded one."""
    other = database_url(newest_server, "align_newest")
    migrate.upgrade(other, "public")
    ended(run("db", "diff", other, "--all", "--comments"), 0, "No differences.")
    execute(other, "alter table facebook_pages alter column name set not null")
    ended(run("db", "diff", other), 1, "column facebook_pages.name", "1 difference.")
