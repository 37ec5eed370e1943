"""Names of contacts who wrote first by webhook: asked for one by one, best effort.

A delivery tells ids alone. The page's next sync brings the names of all; until then, Meta's
profile call does. No message waits for it.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterable

from messenger_pipeline.db.load import encoded
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.engine import Engine, token_of
from messenger_pipeline.errors import DatabaseError, GraphError, PipelineError, Stopped

_log = logging.getLogger(__name__)
_KEPT = 1_000  # contacts that may wait; of more the next sync tells

_PEACE = 300.0  # seconds for a page whose calls fail
_GRACE = 5.0  # seconds for those who still wait at the end


def find_name(engine: Engine, page_id: str, contact_id: str, stop: threading.Event) -> None:
    """Ask for a contact's name and store it."""
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
        "bulk_upsert_conversations_with_events", page_id=page_id, conversations=encoded([named])
    )


def find_names(
    engine: Engine,
    contacts: Iterable[tuple[str, str]],
    stop: threading.Event,
    failing: dict[str, float],
) -> None:
    """Ask for the names of contacts, (page, contact), one after the other. A page whose calls fail
    is left in peace for a while: `failing` is until when, by page."""
    for page_id, contact_id in contacts:
        if failing.get(page_id, 0) > time.monotonic() or stop.is_set():
            continue
        try:
            find_name(engine, page_id, contact_id, stop)
        except Stopped:
            break
        except GraphError as error:
            # A contact that is refused says nothing of the next one; anything else does.
            if error.code != 100:
                failing[page_id] = time.monotonic() + _PEACE
            _log.info("no name for a contact of page %s: %s", page_id, error)
        except DatabaseError:
            raise
        except PipelineError as error:
            failing[page_id] = time.monotonic() + _PEACE
            _log.info("no names for contacts of page %s: %s", page_id, error)


class NameFinder(threading.Thread):
    """Asks in the background. `close` gives it a moment; who still waits then is left to the next
    sync."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="names", daemon=True)
        self._engine = engine
        self._waiting: queue.Queue[tuple[str, str] | None] = queue.Queue(_KEPT)
        self._stop_asking = threading.Event()
        self._failing: dict[str, float] = {}

    def ask(self, contacts: Iterable[tuple[str, str]]) -> None:
        for contact in contacts:
            try:
                self._waiting.put_nowait(contact)
            except queue.Full:
                _log.info("too many new contacts at once: the next sync tells their names")
                return

    def run(self) -> None:
        while (contact := self._waiting.get()) is not None and not self._stop_asking.is_set():
            try:
                find_names(self._engine, [contact], self._stop_asking, self._failing)
            except DatabaseError as error:
                _log.warning("a contact's name cannot be stored: %s", error)

    def close(self) -> None:
        try:
            self._waiting.put_nowait(None)
            self.join(timeout=_GRACE)
        except queue.Full:
            pass
        self._stop_asking.set()
        if self.is_alive():
            self.join(timeout=_GRACE)
