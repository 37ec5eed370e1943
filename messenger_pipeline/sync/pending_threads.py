"""What is known of threads whose response is prepared and not yet loaded."""

import threading
from collections.abc import Iterable, Mapping

from messenger_pipeline.rows import ThreadState


class PendingThreads:
    """States of threads by the load that will store them. Safe to use from several threads.

    A thread may be listed twice in a row. The second time it must not look unknown only because
    the first response is still waiting to be loaded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_load: dict[str, Mapping[str, ThreadState]] = {}

    def add(self, load_id: str, states: Mapping[str, ThreadState]) -> None:
        """Keep the states that a prepared response will store."""
        with self._lock:
            self._by_load[load_id] = states

    def remove(self, load_id: str) -> None:
        """Forget the states of a response that is loaded: they are stored."""
        with self._lock:
            self._by_load.pop(load_id, None)

    def find(self, thread_ids: Iterable[str]) -> dict[str, ThreadState]:
        """The latest pending state of each of these threads that has one."""
        found: dict[str, ThreadState] = {}
        with self._lock:
            for thread_id in thread_ids:
                for states in self._by_load.values():
                    if thread_id in states:
                        found[thread_id] = states[thread_id]
        return found
