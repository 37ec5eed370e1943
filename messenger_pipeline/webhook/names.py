"""Fetches the names of contacts whose first message arrived by webhook, one by one, best effort.

A delivery holds only ids. The page's next sync fetches all names; until then, Meta's profile call
does. No message waits for it.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterable

from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.engine import Engine, token_of
from messenger_pipeline.errors import DatabaseError, GraphError, PipelineError, Stopped

_log = logging.getLogger(__name__)
_MAX_QUEUED = 1_000  # contacts; the next sync fetches the names of the rest
_FAILURE_PAUSE_SECONDS = 300.0  # for a page whose calls fail
_CLOSE_SECONDS = 5.0  # for the contacts that are still queued


def find_name(engine: Engine, page_id: str, contact_id: str, stop: threading.Event) -> None:
    """Fetch a contact's name and store it, if Meta has one."""
    page = get_page(engine.database, page_id)
    if page.status != "active":
        return
    token = token_of(engine, page)
    budget = Budget(engine.app_id, token, page_id, engine.calls_per_second)
    with engine.graph.client(token, Pacer(engine.database, budget, stop)) as client:
        answer = client.fetch_profile(contact_id, page.platform)
    if answer.content is None:
        return
    named = {
        "sender_id": contact_id,
        "sender_name": answer.content,
        "as_of": answer.date,
        "events": [],
    }
    engine.database.call(
        "bulk_upsert_conversations_with_events", page_id=page_id, conversations=encode([named])
    )


def find_names(
    engine: Engine,
    contacts: Iterable[tuple[str, str]],
    stop: threading.Event,
    failing: dict[str, float],
) -> None:
    """Fetch the names of contacts, given as (page id, contact id). A page whose calls fail is
    skipped for five minutes: `failing` maps its id to the monotonic time of the end."""
    for page_id, contact_id in contacts:
        if failing.get(page_id, 0) > time.monotonic() or stop.is_set():
            continue
        try:
            find_name(engine, page_id, contact_id, stop)
        except Stopped:
            break
        except GraphError as error:
            # 100 concerns this contact only; any other error concerns the page.
            if error.code != 100:
                failing[page_id] = time.monotonic() + _FAILURE_PAUSE_SECONDS
            _log.info("the name of a contact of page %s could not be fetched: %s", page_id, error)
        except DatabaseError:
            raise
        except PipelineError as error:
            failing[page_id] = time.monotonic() + _FAILURE_PAUSE_SECONDS
            _log.info("names of contacts of page %s could not be fetched: %s", page_id, error)


class NameFinder(threading.Thread):
    """Fetches names in the background. `close` waits a few seconds; the next sync fetches the
    names that are still queued then."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="names", daemon=True)
        self._engine = engine
        self._queue: queue.Queue[tuple[str, str] | None] = queue.Queue(_MAX_QUEUED)
        self._stopping = threading.Event()
        self._failing: dict[str, float] = {}

    def add(self, contacts: Iterable[tuple[str, str]]) -> None:
        for contact in contacts:
            try:
                self._queue.put_nowait(contact)
            except queue.Full:
                _log.info("too many new contacts at once: the next sync fetches their names")
                return

    def run(self) -> None:
        while (contact := self._queue.get()) is not None and not self._stopping.is_set():
            try:
                find_names(self._engine, [contact], self._stopping, self._failing)
            except DatabaseError as error:
                _log.warning("a contact's name could not be stored: %s", error)

    def close(self) -> None:
        try:
            self._queue.put_nowait(None)
            self.join(timeout=_CLOSE_SECONDS)
        except queue.Full:
            pass
        self._stopping.set()
        if self.is_alive():
            self.join(timeout=_CLOSE_SECONDS)
