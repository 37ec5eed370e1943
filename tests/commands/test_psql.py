"""`psql`: the user's terminal on the database of the settings."""

import pytest

from messenger_pipeline.commands.psql import _without_password
from tests.test_cli import Run, ended, environment, run

__all__ = ["environment", "run"]  # fixtures


def test_it_passes_its_arguments_and_its_exit_code_on(run: Run) -> None:
    counted = run("psql", "-At", "-c", "select count(*) from messenger_conversations")
    assert (counted.returncode, counted.stdout) == (0, "0\n"), counted.stderr
    ended(run("psql", "-c", "select nonsense"), 1, 'column "nonsense" does not exist')


def test_another_schema_is_on_its_search_path(run: Run) -> None:
    shown = run("psql", "-At", "-c", "show search_path", MESSENGER_DATABASE_SCHEMA="mine")
    assert shown.stdout == "mine,mine_pipeline\n"


def test_the_demos_database_must_exist(run: Run) -> None:
    ended(run("psql", "--demo"), 2, "There is no demo database", "messenger-pipeline demo")


@pytest.mark.parametrize(
    ("url", "address", "environment"),
    [
        (
            "postgresql://me:s%40crt@host:5432/db?sslmode=require",
            "postgresql://me@host:5432/db?sslmode=require",
            {"PGPASSWORD": "s@crt"},
        ),
        ("postgresql://me@host/db", "postgresql://me@host/db", {}),
        ("postgresql:///db?host=/tmp", "postgresql:///db?host=/tmp", {}),
    ],
)
def test_a_password_is_no_argument_that_other_users_can_see(
    url: str, address: str, environment: dict[str, str]
) -> None:
    assert _without_password(url) == (address, environment)
