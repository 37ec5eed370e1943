from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.graph_simulator.receiving import Sink


@pytest.fixture
def receive() -> Iterator[Callable[..., Sink]]:
    """Starts sinks: receive(port=…, answers=[500, …])."""
    with ExitStack() as serving:

        def start(port: int = 0, answers: list[int] | None = None) -> Sink:
            return serving.enter_context(Sink(port, iter(answers or [])).serving())

        yield start
