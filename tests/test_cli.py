"""The command line as users run it: a process, its output and its exit code."""

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.pool import Database
from messenger_pipeline.vault import new_key
from tests.command_server import run_command
from tests.conftest import Simulated
from tests.db.test_load import conversation, event, query, upsert
from tests.db.test_migrate import REVISIONS
from tests.walking import let_a_minute_pass

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(server: str, url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a user who has a database."""
    return {
        "MESSENGER_DATABASE_URL": url,
        "MESSENGER_TOKEN_KEY": new_key(),
        "MESSENGER_HOME": str(tmp_path / "home"),
        "MESSENGER_CALLS_PER_SECOND": "1000",
        "DAGSTER_PG_URL": database_url(
            server, url.partition("?")[0].rpartition("/")[2] + "_dagster"
        ),
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def run(
        *arguments: str, input: str = "", **settings: str
    ) -> "subprocess.CompletedProcess[str]":
        return run_command(
            *arguments, environment={**os.environ, **environment, **settings}, folder=tmp_path,
            input=input,
        )  # fmt: skip

    return run


def ended(result: "subprocess.CompletedProcess[str]", code: int, *words: str) -> None:
    """The command ended with this code, and printed these words and no traceback."""
    output = result.stdout + result.stderr
    assert result.returncode == code, output
    assert "Traceback" not in output, output
    for word in words:
        assert word in " ".join(output.split()), output


def test_a_page_is_added_synced_continued_and_removed(
    run: Run, simulate: Callable[..., Simulated], environment: dict[str, str]
) -> None:
    simulated = simulate(conversations=230)
    page = simulated.page
    graph = {"MESSENGER_GRAPH_URL": simulated.url}
    ended(run("pages", "add", page.id, input=page.token + "\n", **graph), 0, "its token works")
    ended(run("pages", "list"), 0, page.id, "active")

    cut = run("sync", page.id, "--max-conversations", "60", "--json", **graph)
    ended(cut, 3, "Partial: max_conversations of 60 reached. Run it again to continue.")
    figures = json.loads(cut.stdout)
    assert (figures["success"], figures["has_more"], figures["fetched"]) == (True, True, 60)
    ended(run("status"), 0, "active_syncs: 1", "resumable", "sync_statistics: 1")
    status = json.loads(run("status", "--json").stdout)
    assert status["active_syncs"][0]["total_synced"] == 60

    rest = run("sync", page.id, **graph)
    ended(rest, 0, "full sync complete: 170 conversations read")
    again = json.loads(run("sync", page.id, "--json", **graph).stdout)
    assert {*again} >= {
        "success", "sync_session_id", "mode", "has_more", "fetched", "inserted", "updated",
        "unchanged", "events", "quarantined", "failed_batches", "duration_seconds",
        "conversations_per_second",
    }  # fmt: skip
    assert (again["mode"], again["inserted"], again["updated"], again["events"]) == (
        "incremental", 0, 0, 0,
    )  # fmt: skip
    ended(run("db", "verify"), 0, "✓ conversations_have_events")
    with Database(environment["MESSENGER_DATABASE_URL"]) as database:
        [(token,)] = query(database, "select token_encrypted from page_tokens")
        assert page.token not in token

    page.access = "expired"
    ended(run("sync", page.id, **graph), 5, "Session has expired")
    with Database(environment["MESSENGER_DATABASE_URL"]) as database:
        let_a_minute_pass(database)
    ended(run("sync", page.id, **graph), 5, "Session has expired")
    ended(run("pages", "list"), 0, "needs_reauthorization")
    ended(run("sync", page.id, **graph), 5, "needs re-authorization", f"pages add {page.id}")
    page.access = "valid"
    ended(run("pages", "add", page.id, input=page.token, **graph), 0, "its token works")
    ended(run("pages", "remove", page.id), 0, "its conversations are kept")
    ended(run("pages", "list"), 0, "No page is registered")
    ended(run("sync", page.id, **graph), 2, "is not in the registry")


def test_a_page_that_is_being_walked_is_not_walked_by_a_second_run(
    run: Run, simulate: Callable[..., Simulated], environment: dict[str, str]
) -> None:
    simulated = simulate()
    graph = {"MESSENGER_GRAPH_URL": simulated.url}
    run("pages", "add", simulated.page.id, input=simulated.page.token, **graph)
    with Database(environment["MESSENGER_DATABASE_URL"]) as database:
        database.call("acquire_sync_lock", page_id=simulated.page.id, locked_by="night-run")
    result = run("sync", simulated.page.id, "--json", **graph)
    ended(result, 4, "is being walked by run night-run since 20")
    assert json.loads(result.stdout)["success"] is False


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "words"),
    [
        (["sync", "12345"], {}, 2, ["Page 12345 is not in the registry", "pages add 12345"]),
        (["pages", "remove", "12345"], {}, 2, ["Page 12345 is not in the registry"]),
        (["pages", "add", "12345"], {}, 2, ["No token given"]),
        (["pages", "add", "my-page"], {}, 2, ["digits only"]),
        (["sync"], {}, 2, ["Missing argument 'PAGE_ID'"]),
        (["sync", "1", "--max-conversations", "0"], {}, 2, ["max-conversations"]),
        (["nonsense"], {}, 2, ["No such command"]),
        (["db", "downgrade", "--yes", "--to", "9"], {}, 2, ["There is no schema revision 9"]),
        (["pages", "list"], {"MESSENGER_DATABASE_URL": "nonsense"}, 2, ["MESSENGER_DATABASE_URL"]),
        (
            ["pages", "list"],
            {"MESSENGER_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:9/d"},
            1,
            ["PostgreSQL cannot be reached"],
        ),
        (["sync", "1"], {"MESSENGER_TOKEN_KEY": ""}, 2, ["MESSENGER_TOKEN_KEY is missing"]),
        (["sync", "1"], {"MESSENGER_GRAPH_URL": "x"}, 2, ["MESSENGER_GRAPH_URL is wrong"]),
        (
            ["status"],
            {"MESSENGER_DATABASE_URL": "", "MESSENGER_HOME": "/proc/no"},
            2,
            ["MESSENGER_HOME"],
        ),
        (["sync", "1"], {"DAGSTER_HOME": "/proc/no"}, 2, ["DAGSTER_HOME: /proc/no cannot be"]),
        (["dev", "--ui-port", "99999"], {}, 2, ["--ui-port"]),
        (["db", "upgrade", "--from", "0001"], {}, 2, ["--from needs --sql"]),
        (
            ["sync", "1"],
            {"DAGSTER_PG_URL": "postgresql://u:hunter2@127.0.0.1:9/d"},
            1,
            ["cannot be reached"],
        ),
    ],
)
def test_an_error_names_its_cause_and_remedy_and_has_its_exit_code(
    run: Run, arguments: list[str], settings: dict[str, str], code: int, words: list[str]
) -> None:
    result = run(*arguments, **settings)
    ended(result, code, *words)
    assert "hunter2" not in result.stdout + result.stderr


@pytest.mark.parametrize("name", ["MESSENGER_DATABASE_URL", "DAGSTER_PG_URL"])
@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("_nowhere", ""), 1, "does not exist"),
        (("", "?port=soon"), 2, 'invalid integer value "soon"'),
        (("", "?sslmode=maybe"), 2, 'invalid sslmode value: "maybe"'),
        (("", "?connection_limit=5&foo=1"), 2, "its parameter foo is not one"),
    ],
)
def test_a_url_that_postgresql_refuses_is_named_by_its_setting(
    run: Run,
    environment: dict[str, str],
    name: str,
    change: tuple[str, str],
    code: int,
    words: str,
) -> None:
    address, mark, query = environment[name].partition("?")
    url = address + change[0] + (change[1] + "&" + query if change[1] else mark + query)
    result = run("sync", "1", **{name: url.rstrip("&")})
    ended(result, code, words, name)


def test_a_bad_token_is_not_registered(run: Run, simulate: Callable[..., Simulated]) -> None:
    simulated = simulate()
    graph = {"MESSENGER_GRAPH_URL": simulated.url}
    result = run("pages", "add", simulated.page.id, input="EAAwrong", **graph)
    ended(result, 5, "Invalid OAuth access token", "code 190")
    assert "EAAwrong" not in result.stderr
    ended(run("pages", "list"), 0, "No page is registered")


def test_a_token_encrypted_with_another_key_is_an_error_that_says_so(
    run: Run, simulate: Callable[..., Simulated]
) -> None:
    simulated = simulate()
    graph = {"MESSENGER_GRAPH_URL": simulated.url}
    run("pages", "add", simulated.page.id, input=simulated.page.token, **graph)
    result = run("sync", simulated.page.id, **graph, MESSENGER_TOKEN_KEY=new_key())
    ended(result, 2, "was encrypted with another key")


def test_a_port_in_use_is_an_error_that_names_it(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended(run("simulate", "--port", port), 1, f"Port {port} cannot be used", "--port")


def test_the_schema_is_shown_upgraded_and_printed(run: Run, empty_url: str) -> None:
    mine = {"MESSENGER_DATABASE_URL": empty_url}
    ended(run("db", "status", **mine), 0, "No schema yet", "db upgrade")
    ended(run("pages", "list", **mine), 1, "Run `messenger-pipeline db upgrade`")
    ended(run("db", "upgrade", **mine), 0, f"applied {', '.join(REVISIONS)}")
    ended(run("db", "upgrade", **mine), 0, "nothing to apply")
    ended(run("db", "verify", **mine), 0, "✓ schema_is_whole")
    ended(run("db", "downgrade", input="n\n", **mine), 1, "Nothing was changed")
    ended(
        run("db", "downgrade", "--yes", **mine), 0, f"Downgraded: {', '.join(reversed(REVISIONS))}."
    )
    printed = run("db", "upgrade", "--sql", MESSENGER_DATABASE_URL="postgresql://nowhere:1/x")
    ended(printed, 0, 'create table "public".sync_state', "commit;")


def test_a_failed_check_is_reported_after_an_upgrade_and_does_not_undo_it(
    run: Run, url: str, database: Database
) -> None:
    upsert(database, "10", conversation("20", event("m_1")))
    query(database, "update messenger_conversations set message_count = 7 returning 1")
    mine = {"MESSENGER_DATABASE_URL": url}
    ended(
        run("db", "upgrade", **mine), 1, f"Schema at {REVISIONS[-1]}: nothing to apply",
        "✗ message_counts_are_true", "1 conversation has a count", "✓ schema_is_whole",
        "1 of 4 checks failed",
    )  # fmt: skip
    ended(run("db", "status", **mine), 0, f"Schema at {REVISIONS[-1]}")


def test_a_printed_key_is_accepted_as_a_token_key(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from messenger_pipeline.settings import load_settings

    monkeypatch.setenv("MESSENGER_TOKEN_KEY", run("key").stdout.strip())
    assert len(load_settings().token_key) == 1
