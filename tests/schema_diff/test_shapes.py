"""Shapes that a catalog has, and that a plan must not trip over."""

import pytest

from tests.db.test_guest import execute
from tests.schema_diff.conftest import Clone
from tests.schema_diff.test_round_trip import check_round_trip, planned


def test_an_index_whose_build_failed_here_is_built_again(clone: Clone) -> None:
    here, there = clone(), clone()
    execute(
        here,
        "update pg_index set indisvalid = false"
        " where indexrelid = 'idx_chat_messages_reply_to'::regclass",
    )
    script = planned(here, there)[2]
    assert 'reindex index concurrently "public"."idx_chat_messages_reply_to";' in script
    assert check_round_trip(here, there)
    assert planned(here, there)[0] == []


def test_an_index_that_is_invalid_there_is_not_copied(clone: Clone) -> None:
    here, there = clone(), clone()
    execute(
        there,
        "create index broken on chats (title)",
        "update pg_index set indisvalid = false where indexrelid = 'broken'::regclass",
    )
    assert "-- create index chats.broken: it is invalid there" in planned(here, there)[2]
    check_round_trip(here, there)


def test_what_an_extension_owns_is_left_out(clone: Clone) -> None:
    here, there = clone(), clone()
    execute(
        there,
        "create function extra(n int) returns int language sql as 'select n'",
        "create table extra_table (id int primary key, note text)",
        "create type extra_type as enum ('a')", "create view extra_view as select 1 as one",
        "create sequence extra_sequence", "grant select on extra_table to align_web",
        "alter extension plpgsql add function extra(int)",
        "alter extension plpgsql add table extra_table",
        "alter extension plpgsql add type extra_type",
        "alter extension plpgsql add view extra_view",
        "alter extension plpgsql add sequence extra_sequence",
    )  # fmt: skip
    assert planned(here, there)[0] == []


def test_a_function_that_others_are_built_on_is_not_dropped(clone: Clone) -> None:
    here, there = clone(), clone()
    one, two = (
        f"create function tag() returns {kind} language sql immutable as 'select 1::{kind}'"
        for kind in ("integer", "bigint")
    )
    execute(here, one, "create index on chats ((seq + tag()))", "create view tags as select tag()")
    execute(there, two, "create index on chats ((seq + tag()))", "create view tags as select tag()")
    script = planned(here, there)[2]
    assert "built on it: index chats_expr_idx, rule _RETURN on view tags" in script.replace(
        "public.", ""
    )
    assert "\ndrop function" not in script
    check_round_trip(here, there)


def test_the_privileges_of_a_function_survive_its_replacement(clone: Clone) -> None:
    here, there = clone(), clone()
    grant = (
        "revoke all on function stamp2() from public",
        "grant execute on function stamp2() to align_web with grant option",
        "comment on function stamp2() is 'one'",
    )
    replaced = "create function stamp2() returns text language sql as $$ select 'one' $$"
    execute(
        here, "grant create on schema public to align_admin", *grant,
        "alter function stamp2() owner to align_admin",
    )  # fmt: skip
    execute(
        there, "grant create on schema public to align_admin", "drop function stamp2()", replaced,
        *grant,
    )  # fmt: skip
    check_round_trip(here, there)
    assert planned(here, there)[0] == []
    owner = "select proowner::regrole::text from pg_proc where proname = 'stamp2'"
    assert execute(here, owner) == [("align_admin",)]


def test_policies_and_privileges_of_owners_with_other_names_are_equal(clone: Clone) -> None:
    here, there = clone(), clone()
    for url, owner in ((here, "align_admin"), (there, "align_web")):
        execute(
            url, "create table owned (a int)", f"alter table owned owner to {owner}",
            "alter table owned enable row level security",
            f"create policy owners on owned to {owner} using (true)",
        )  # fmt: skip
    assert planned(here, there)[0] == []
    execute(here, "drop policy owners on owned")
    policy = 'create policy "owners" on "public"."owned" for all to "align_admin"'
    assert policy in planned(here, there)[2]
    execute(here, "grant select on owned to align_web")  # who owns it there
    execute(there, "drop policy owners on owned")
    assert planned(here, there)[0] == []


def test_a_not_null_that_is_not_validated_yet_is_validated(clone: Clone) -> None:
    """From PostgreSQL 18 on; before, the column is nullable until then."""
    here, there = clone(), clone()
    [(version,)] = execute(here, "select current_setting('server_version_num')::integer")
    execute(there, "alter table people alter column name set not null")
    if version >= 180000:
        execute(here, "alter table people add constraint named not null name not valid")
        assert 'validate constraint "named";' in planned(here, there)[2]
    check_round_trip(here, there)
    assert planned(here, there)[0] == []


@pytest.mark.parametrize("default", ["random()", "clock_timestamp()", "gen_random_uuid()"])
def test_a_default_that_differs_by_row_is_not_computed_for_the_rows(
    clone: Clone, default: str
) -> None:
    here, there = clone(), clone()
    execute(there, f"alter table chats add column v text default ({default}::text)")
    check_round_trip(here, there)
    assert execute(here, "select count(v) from chats") == [(0,)]


def test_an_object_whose_name_is_another_ones_here_is_not_made(clone: Clone) -> None:
    here, there = clone(), clone()
    execute(
        here, "create table taken (a int)", "create view taken_too as select 1 as one",
        "alter table chats add constraint titles unique (title)",
        "create table mark (a int)",
    )  # fmt: skip
    execute(
        there, "create view taken as select 1 as one", "create table taken_too (a int)",
        "create unique index titles on chats (title)", "create type mark as enum ('a')",
    )  # fmt: skip
    script = planned(here, there)[2]
    assert "-- create view taken: here table taken has its name" in script
    assert "-- create table taken_too: here view taken_too has its name" in script
    assert "-- create index chats.titles: here constraint chats.titles has its name" in script
    assert "-- create type mark: here table mark has its name" in script
    check_round_trip(here, there)


def test_an_index_waits_for_running_transactions_without_a_limit(clone: Clone) -> None:
    here, there = clone(), clone()
    execute(there, "create index waits on chats (title)")
    script = planned(here, there)[2]
    build = "create index concurrently waits on public.chats USING btree (title);"
    assert f"set lock_timeout = 0;\n{build}\nset lock_timeout = '5s';" in script


def test_a_function_with_a_long_signature_keeps_its_grants(clone: Clone) -> None:
    here, there = clone(), clone()
    execute(there, "create role align_caller")
    try:
        for url, result in ((here, "integer"), (there, "bigint")):
            execute(
                url,
                "create function of_two_moments(a timestamp with time zone,"
                f" b timestamp with time zone) returns {result} language sql as 'select 1'",
                "grant execute on function of_two_moments to align_caller",
            )
        check_round_trip(here, there)
        assert execute(
            here,
            "select has_function_privilege('align_caller', oid, 'execute') and pronargs = 2"
            " from pg_proc where proname = 'of_two_moments'",
        ) == [(True,)]
    finally:
        for url in (here, there):
            execute(url, "drop owned by align_caller")
        execute(there, "drop role align_caller")
