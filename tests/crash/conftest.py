"""Runs in separate processes, which the tests interrupt."""

from collections.abc import Iterator

import pytest

from tests.crash.fork_server import ForkServer
from tests.crash.interruption_counts import interruptions
from tests.crash.scenarios import Scenario, prepared_scenarios


@pytest.fixture(scope="package")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as fork_server:
        yield fork_server


@pytest.fixture(scope="package")
def scenarios(server: str, template: str, fork_server: ForkServer) -> Iterator[dict[str, Scenario]]:
    with prepared_scenarios(server, template, fork_server) as scenarios:
        yield scenarios


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if interruptions:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(interruptions.items()))
        terminalreporter.write_line(f"Interrupted {sum(interruptions.values()):,} times: {counts}.")
