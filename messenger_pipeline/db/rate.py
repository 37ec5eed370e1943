"""The budget of calls to Meta that all processes share."""

import threading
from collections.abc import Callable

from messenger_pipeline.db.pool import Database


def pacer(
    database: Database, scope: str, calls_per_second: float, stop: threading.Event
) -> Callable[[], None]:
    """A function that takes a scope's next turn and waits for it; `stop` ends the wait."""

    def wait_for_turn() -> None:
        seconds = database.value(
            "reserve_graph_call", scope=scope, calls_per_second=calls_per_second
        )
        if seconds > 0:
            stop.wait(seconds)

    return wait_for_turn
