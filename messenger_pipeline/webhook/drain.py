"""The drain: applies the deliveries of the inbox as events.

A batch is one transaction: it loads the events of its deliveries and settles them, or does neither.
Any number of drains can run at once, in the receiver, in Dagster and on the command line. They need
no order, because merges commute.

Whatever goes wrong with one delivery, the others are applied:

- a batch that fails is applied one delivery at a time, a delivery that fails one item at a time;
- what fails then is put off with growing pauses, and set aside in quarantine where the database is
  not the cause;
- a delivery that ends its process is recognized by the claims that it leaves, taken alone, and then
  set aside.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from messenger_pipeline.db import inbox
from messenger_pipeline.db.inbox import Delivery
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.server import Connection
from messenger_pipeline.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    reason_of,
)
from messenger_pipeline.webhook.batch import apply_deliveries, apply_items
from messenger_pipeline.webhook.claims import counted_claim
from messenger_pipeline.webhook.outcome import (
    ATTEMPTS,
    MAX_PAUSE_SECONDS,
    delivery_record,
    pause_after,
)
from messenger_pipeline.webhook.result import DrainResult

__all__ = ["DrainResult", "drain_batch", "drain_deliveries"]

BATCH = 200  # deliveries
_MAX_CONFLICTS = 4  # retries of a batch that lost a lock to another transaction
_MAX_LOSSES = 3  # connections that one delivery may lose before it is put off
_POLL_SECONDS = 0.05
_MAX_LOSS_PAUSE_SECONDS = 6 * 3600.0
"""For a delivery that takes the connection down, perhaps with all others of the server."""

_log = logging.getLogger(__name__)
_Apply = Callable[[Connection, list[Delivery]], DrainResult]


def drain_batch(
    database: Database,
    limit: int = BATCH,
    ids: list[int] | None = None,
    app_id: str | None = None,
) -> DrainResult:
    """Apply up to `limit` due deliveries, only those in `ids` if it is given. `deliveries` is 0 if
    none is due. `app_id` is our own app's, to recognize what it sent.

    Raises only what hinders all deliveries, such as DatabaseUnavailable or SchemaError. Then
    nothing is applied and all of it stays pending.
    """
    claimed, error = _attempt(database, limit, ids, partial(apply_deliveries, app_id=app_id))
    if isinstance(error, DrainResult):
        return error
    if not claimed:
        unreadable = _set_aside_unreadable(database, limit, ids, error)
        if unreadable is None:
            raise error
        return unreadable
    _require_reachable(database, error)
    if len(claimed) == 1:
        return _drain_by_item(database, claimed[0], app_id)
    _log.warning(
        "%d deliveries could not be applied together, and are applied one by one: %s",
        len(claimed),
        reason_of(error),
    )
    return _drain_singly(database, claimed, app_id)


def drain_deliveries(
    database: Database, ids: list[int], app_id: str | None = None
) -> list[inbox.DeliveryOutcome]:
    """Apply these deliveries, together with any other drain, and return their state. Those that
    wait for a page or for their next attempt are still pending."""
    while True:
        while drain_batch(database, ids=ids, app_id=app_id).deliveries:
            pass
        deliveries = inbox.get_deliveries(database, ids)
        now = datetime.now(UTC)
        if not any(
            one.state == "pending" and one.not_before and one.not_before <= now
            for one in deliveries
        ):
            return deliveries
        time.sleep(_POLL_SECONDS)  # another drain has claimed them


def _drain_singly(
    database: Database, deliveries: list[Delivery], app_id: str | None
) -> DrainResult:
    """Apply each delivery on its own. One that cannot even be put off, such as a row that cannot be
    updated, fails this only if it is all that there is."""
    total = DrainResult()
    failure: Exception | None = None
    for one in deliveries:
        try:
            total.add(drain_batch(database, 1, [one.id], app_id))
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the other deliveries are applied
            _log.error("delivery %d cannot even be put off: %s", one.id, reason_of(error))
            failure = error
    if failure is not None and not total.deliveries:
        raise failure
    return total


def _attempt(
    database: Database, limit: int, ids: list[int] | None, apply: _Apply
) -> tuple[list[Delivery], DrainResult | BaseException]:
    """The deliveries that were claimed, and what they became: figures, or the error of the last
    attempt. Raises only what ends the process in good order, such as KeyboardInterrupt."""
    conflicts = 0
    while True:
        claimed: list[Delivery] = []
        try:
            return claimed, _drain(database, limit, ids, apply, claimed)
        except DatabaseConflict as error:
            conflicts += 1
            if conflicts > _MAX_CONFLICTS:
                return claimed, error
        except Exception as error:  # noqa: BLE001 - a delivery is at fault
            return claimed, error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # of pydantic's parser, written in Rust
                raise
            return claimed, error


def _drain(
    database: Database, limit: int, ids: list[int] | None, apply: _Apply, claimed: list[Delivery]
) -> DrainResult:
    """Claim deliveries and apply them. `claimed` gets those that may be the cause of an error."""
    with counted_claim(database) as count, database.transaction() as connection:
        found = inbox.claim(connection, limit, ids)
        if not found:
            return DrainResult()
        if found[0].claims >= inbox.MAX_CLAIMS:
            [lost] = found
            reason = (
                f"{lost.claims} processes were killed while they applied it, the last time alone."
                " Look at the receiver's log and the machine's memory"
            )
            _log.error("delivery %d is set aside: %s", lost.id, reason)
            return _set_aside(connection, lost, reason)
        count([one.id for one in found])
        claimed += found
        return apply(connection, found)


def _drain_by_item(database: Database, delivery: Delivery, app_id: str | None) -> DrainResult:
    """Apply a delivery that failed, one item at a time. If that fails, too, put it off."""
    losses = 0
    while True:
        claimed, error = _attempt(database, 1, [delivery.id], partial(apply_items, app_id=app_id))
        if isinstance(error, DrainResult):
            return error
        if not claimed:
            raise error
        _require_reachable(database, error)
        losses += 1
        if not isinstance(error, DatabaseUnavailable) or losses == _MAX_LOSSES:
            _log.warning("delivery %d could not be applied: %s", delivery.id, reason_of(error))
            return _postpone(database, delivery, error)


def _require_reachable(database: Database, error: BaseException) -> None:
    """Raise `error` if the database is away. If it responds, a delivery may be what took the
    connection down, and must not do so for ever."""
    if isinstance(error, DatabaseUnavailable):
        try:
            inbox.list_failing_drains(database)
        except DatabaseError:
            raise error from None


def _postpone(database: Database, delivery: Delivery, error: BaseException) -> DrainResult:
    """Put off a delivery that failed as a whole. One that the database refuses, for example because
    a privilege was revoked, is retried for ever; another one is set aside after a few attempts."""
    refused = isinstance(error, DatabaseError)
    with database.transaction() as connection:
        if not inbox.claim(connection, 1, [delivery.id]):
            return DrainResult()  # another drain has claimed it
        if not refused and delivery.attempts + 1 >= ATTEMPTS:
            return _set_aside(connection, delivery, reason_of(error))
        longest = MAX_PAUSE_SECONDS
        if isinstance(error, DatabaseUnavailable):
            longest = _MAX_LOSS_PAUSE_SECONDS
        seconds = min(pause_after(delivery.attempts), longest)
        settled = {"id": delivery.id, "state": "pending", "retry_seconds": seconds}
        inbox.settle(connection, [settled | {"error": reason_of(error)}])
    return DrainResult(deliveries=1, states=Counter(retry=1))


def _set_aside_unreadable(
    database: Database, limit: int, ids: list[int] | None, error: BaseException
) -> DrainResult | None:
    """Set aside the deliveries whose body PostgreSQL cannot read, which fail the claim of all. None
    if there are none."""
    if not isinstance(error, DatabaseError) or isinstance(error, DatabaseUnavailable):
        return None
    total = DrainResult()
    with database.transaction() as connection:
        for one in inbox.lock_unreadable(connection, limit, ids):
            reason = f"PostgreSQL cannot read its body: {one.error}"
            _log.error("delivery %d is set aside: %s", one.id, reason)
            delivery = Delivery(one.id, str(one.id).encode(), one.received_at, one.attempts)
            total.add(_set_aside(connection, delivery, reason))
    return total if total.deliveries else None


def _set_aside(connection: Connection, delivery: Delivery, reason: str) -> DrainResult:
    """Settle a delivery as failed, and record the reason. Its body stays in the inbox, unparsed."""
    inbox.quarantine(connection, "", [delivery_record(delivery, reason)])
    outcome = {"item": "body", "outcome": "quarantined", "reason": reason}
    settled = {"id": delivery.id, "state": "failed", "outcomes": [outcome], "error": reason}
    inbox.settle(connection, [settled])
    return DrainResult(deliveries=1, states=Counter(failed=1), quarantined=1)
