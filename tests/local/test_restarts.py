"""When a process of the local stack is restarted, and how its end is reported."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from messenger_pipeline.errors import PipelineError
from messenger_pipeline.local.child import Child, child
from messenger_pipeline.local.restarts import HEALTHY_AFTER, PAUSES, Restarts
from tests.server_folder import server_folder


def test_a_process_is_restarted_a_few_times_with_growing_pauses() -> None:
    restarts, now = Restarts(0.0), 0.0
    pauses = []
    while (pause := restarts.plan(now)) is not None:
        assert not restarts.is_due(now)
        now += pause
        assert restarts.is_due(now)
        restarts.start(now)
        assert not restarts.is_due(now)
        pauses.append(pause)
        now += 30  # it ends again
    assert tuple(pauses) == PAUSES
    assert pauses == sorted(pauses)


def test_a_process_that_ran_for_long_has_all_its_restarts_again() -> None:
    restarts = Restarts(0.0)
    for _ in PAUSES:
        restarts.plan(0.0)
        restarts.start(0.0)
    assert restarts.plan(HEALTHY_AFTER - 1) is None
    assert restarts.plan(HEALTHY_AFTER) == PAUSES[0]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the system user of its embedded server can enter; pytest's may be closed."""
    with server_folder() as folder:
        yield folder


def run(code: str, home: Path) -> Child:
    """A process that has ended."""
    with child("receiver", [sys.executable, "-c", code], {}, home, home / "lock") as one:
        one._process.wait(300)
        return one


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("raise SystemExit(3)", "receiver ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "receiver was ended by SIGKILL"),
        (
            "print('dagster-daemon process shut down unexpectedly with return code -9');"
            " raise SystemExit(1)",
            "dagster-daemon was ended by SIGKILL",
        ),
    ],
)
def test_the_end_of_a_process_names_it_and_its_signal_or_exit_code(
    code: str, ending: str, home: Path
) -> None:
    one = run(code, home)
    assert one.how_it_ended() == ending
    with pytest.raises(PipelineError, match=ending):
        one.check()
