"""Runs in processes of their own, to be interrupted."""

from collections.abc import Iterator

import pytest

from tests.crash.effort import made
from tests.crash.stages import Stage, staged
from tests.crash.zygote import Zygote


@pytest.fixture(scope="package")
def zygote() -> Iterator[Zygote]:
    with Zygote() as zygote:
        yield zygote


@pytest.fixture(scope="package")
def stages(server: str, template: str, zygote: Zygote) -> Iterator[dict[str, Stage]]:
    with staged(server, template, zygote) as stages:
        yield stages


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if made:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(made.items()))
        terminalreporter.write_line(f"Interrupted {sum(made.values())} times: {told}.")
