"""`gaps list` and `gaps retry`."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from messenger_pipeline.commands.group import cli
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import UnknownPage, UsageError


@pytest.fixture
def gaps(database: Database) -> None:
    """A gap that was put off, an unreadable one, one not tried yet, and a list gap."""
    with database.transaction() as connection:
        connection.execute(
            "insert into facebook_pages (facebook_page_id, next_sync_at)"
            " values ('10', now() + interval '1 hour');"
            "insert into messenger_threads (page_id, thread_id, updated_time, answered_at)"
            " select '10', 't_' || n, now(), now() from generate_series(1, 3) n;"
            "insert into thread_gaps (page_id, thread_id, newest_time, attempts, last_error,"
            " not_before, unreadable, first_failed_at) values"
            " ('10', 't_1', now(), 2, 'service trouble', now() + interval '10 minutes', false,"
            "  now()),"
            " ('10', 't_2', now(), 1, '(#10) denied', now() + interval '1 day', true, now()),"
            " ('10', 't_3', now(), 0, null, now(), false, null);"
            "insert into list_gaps (page_id, newest_time, attempts, last_error, not_before)"
            " values ('10', now(), 1, 'cursor refused', now() + interval '5 minutes')"
        )


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MESSENGER_DATABASE_URL", url)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["gaps", *arguments])

    return invoke


def test_the_list_shows_what_failed_and_with_all_what_is_read_as_usual(
    gaps: None, run: Any
) -> None:
    found = [json.loads(line) for line in run("list", "--json").output.splitlines()]
    assert [(one["kind"], one["thread_id"], one["state"]) for one in found] == [
        ("list", None, "put_off"),
        ("thread", "t_1", "put_off"),
        ("thread", "t_2", "unreadable"),
    ]
    assert found[2]["last_error"] == "(#10) denied"
    assert len(run("list", "--all", "--json").output.splitlines()) == 4
    assert isinstance(run("list", "--page", "11").exception, UnknownPage)
    assert "service trouble" in run("list").output


def test_a_retry_makes_the_gap_and_its_page_due(gaps: None, run: Any, database: Database) -> None:
    [gap] = [one for one in map(json.loads, run("list", "--json").output.splitlines())
             if one["state"] == "unreadable"]  # fmt: skip
    assert run("retry", gap["id"]).output == "1 gap will be read by the next sync.\n"
    with database.transaction() as connection:
        due = connection.execute(
            "select p.next_sync_at <= now(), g.unreadable from facebook_pages p, thread_gaps g"
            " where g.thread_id = 't_2'"
        ).fetchall()
    assert due == [(True, False)]
    assert run("retry", "--page", "10").output == "4 gaps will be read by the next sync.\n"


def test_a_retry_names_what_is_wrong(gaps: None, run: Any) -> None:
    assert isinstance(run("retry").exception, UsageError)
    assert "None of these ids" in str(run("retry", "list-99").exception)
