from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.graph_simulator.webhook_sink import Sink


@pytest.fixture
def receive() -> Iterator[Callable[..., Sink]]:
    """Starts sinks: receive(port=…, statuses=[500, …])."""
    with ExitStack() as serving:

        def start(port: int = 0, statuses: list[int] | None = None) -> Sink:
            return serving.enter_context(Sink(port, iter(statuses or [])).serving())

        yield start
