"""Fetches the names of contacts whose first message arrived by webhook, one by one, best effort.

A delivery holds only ids. The page's next sync fetches all names; until then, Meta's profile call
does. No message waits for it.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable

from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.engine import Engine, token_of
from messenger_pipeline.errors import (
    DatabaseUnavailable,
    PageOwnerMustAct,
    RateLimited,
    Stopped,
    TransientError,
    UsageError,
    reason_of,
)
from messenger_pipeline.logs import log_context

_log = logging.getLogger(__name__)
_MAX_QUEUED = 1_000  # contacts; the next sync fetches the names of the rest
_FAILURE_PAUSE_SECONDS = 300.0  # for a page whose look-ups are all refused
_MAX_REFUSALS = 3  # in a row
_COUNTED = (PageOwnerMustAct, UsageError, TransientError)
"""Errors that are the page's if they go on: a dead token, a missing permission, a key that does not
decrypt the token, an API that is down."""
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


class _Failures:
    """Whether name look-ups of a page are worth a call now.

    An error says nothing of the next contact: Meta refuses single people with codes of tokens and
    permissions, too. Only several in a row that are refused like that, or a limit, which is the
    page's, pause the page's look-ups.
    """

    def __init__(self) -> None:
        self._paused_until: dict[str, float] = {}
        self._in_a_row: Counter[str] = Counter()

    def is_paused(self, page_id: str) -> bool:
        return self._paused_until.get(page_id, 0.0) > time.monotonic()

    def add(self, page_id: str, error: Exception | None) -> None:
        """Record the outcome of one look-up; None: it succeeded."""
        if isinstance(error, _COUNTED):
            self._in_a_row[page_id] += 1
        else:
            self._in_a_row.pop(page_id, None)
        if isinstance(error, RateLimited) or self._in_a_row[page_id] >= _MAX_REFUSALS:
            self._in_a_row.pop(page_id, None)
            self._paused_until[page_id] = time.monotonic() + _FAILURE_PAUSE_SECONDS


def find_names(
    engine: Engine,
    contacts: Iterable[tuple[str, str]],
    stop: threading.Event,
    failures: _Failures | None = None,
) -> None:
    """Fetch the names of contacts, given as (page id, contact id). An error of one concerns no
    other; after three refusals in a row for a page its contacts are skipped for five minutes.
    Raises DatabaseUnavailable."""
    failures = failures or _Failures()
    for page_id, contact_id in contacts:
        if stop.is_set():
            break
        if failures.is_paused(page_id):
            continue
        try:
            with log_context(page_id=page_id):
                find_name(engine, page_id, contact_id, stop)
        except Stopped:
            break
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the next contact is tried
            failures.add(page_id, error)
            _log.info(
                "the name of a contact of page %s could not be fetched: %s",
                page_id,
                reason_of(error),
            )
        else:
            failures.add(page_id, None)


class NameFinder(threading.Thread):
    """Fetches names in the background. `close` waits a few seconds; the next sync fetches the
    names that are still queued then."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="names", daemon=True)
        self._engine = engine
        self._queue: queue.Queue[tuple[str, str] | None] = queue.Queue(_MAX_QUEUED)
        self._stopping = threading.Event()
        self._failures = _Failures()

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
                find_names(self._engine, [contact], self._stopping, self._failures)
            except Exception as error:  # noqa: BLE001 - the next contact has nothing to do with it
                _log.warning("a contact's name could not be stored: %s", reason_of(error))

    def close(self) -> None:
        try:
            self._queue.put_nowait(None)
            self.join(timeout=_CLOSE_SECONDS)
        except queue.Full:
            pass
        self._stopping.set()
        if self.is_alive():
            self.join(timeout=_CLOSE_SECONDS)
