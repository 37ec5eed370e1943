"""The inbox of webhook deliveries."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pool import Database, call, translated
from messenger_pipeline.db.server import Connection
from messenger_pipeline.payload_redaction import redact_payload

ANNOUNCEMENTS = "messenger_changes"
"""The channel that announces each changed conversation: {"page_id", "conversation_id"}."""


MAX_CLAIMS = 3
"""Claims by processes that ended without settling, after which a delivery is set aside. The SQL
function claim_webhook_deliveries has the same number."""


@dataclass(frozen=True)
class Delivery:
    """A due delivery. `claims`: processes that took it and ended without settling it."""

    id: int
    body: bytes
    received_at: datetime
    attempts: int
    claims: int = 0


@dataclass(frozen=True)
class DeliveryOutcome:
    """A delivery and its outcome. `body` is set only if it is done and has no `outcomes`."""

    id: int
    body: bytes | None
    state: str
    attempts: int
    outcomes: list[dict[str, Any]] | None
    waiting_for: list[str] | None
    last_error: str | None
    received_at: datetime
    not_before: datetime | None


@dataclass(frozen=True)
class NamedAccount:
    """A registered account that `id` stands for.

    `graph_id` is the id that the Graph API is called with; `other_ids` are all but page_id.
    `is_page`: Meta listed its Messenger inbox, so its page_id is certainly a Facebook page's.
    """

    id: str
    platform: str
    page_id: str
    graph_id: str
    other_ids: list[str]
    is_page: bool


@dataclass(frozen=True)
class LoadedEvents:
    """What a load of events changed. PostgreSQL rejected the `refused` events."""

    events_created: int = 0
    inserted: int = 0
    updated: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    new_contacts: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class DueDeliveries:
    """The number of due deliveries, and when the oldest was received."""

    deliveries: int
    oldest: datetime | None


@dataclass(frozen=True)
class InboxFigures:
    """The deliveries settled in a span of time, by outcome; lags in seconds."""

    done: int
    ignored: int
    failed: int
    lag_median: float | None
    lag_max: float | None


def receive(database: Database, bodies: Sequence[bytes]) -> list[int]:
    """Store raw bodies in one commit, without secrets in addresses. Returns their ids, in the same
    order."""
    stored = [redact_payload(body) for body in bodies]
    rows = database.call("receive_webhook_deliveries", bodies=stored)
    return [row[0] for row in rows]


def claim(connection: Connection, limit: int, ids: list[int] | None = None) -> list[Delivery]:
    """Claim due deliveries, longest waiting first, until the end of the transaction. One with
    `claims` is claimed alone; one with MAX_CLAIMS must be set aside."""
    return call(
        connection, "claim_webhook_deliveries", Delivery, limit=limit, ids=ids, with_lost=True
    )


@dataclass(frozen=True)
class UnreadableDelivery:
    """A delivery whose body PostgreSQL cannot read."""

    id: int
    received_at: datetime
    attempts: int
    error: str


def lock_unreadable(
    connection: Connection, limit: int, ids: list[int] | None
) -> list[UnreadableDelivery]:
    """Claim those of the first due deliveries whose body PostgreSQL cannot read."""
    return call(connection, "list_unreadable_deliveries", UnreadableDelivery, limit=limit, ids=ids)


def count_claim(database: Database, ids: list[int]) -> int:
    """Record durably that these deliveries are about to be parsed. Returns the claim's id."""
    return int(database.value("count_webhook_claim", deliveries=ids))


def return_claims(database: Database, claims: list[int]) -> None:
    """Undo claims whose deliveries were not settled, through no fault of theirs."""
    database.call("return_webhook_claims", ids=claims)


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what is done in it if it raises; the transaction goes on. Constraints of the database's
    owner that are checked at commit raise here, not for all parts of the transaction together."""
    with translated(), connection.transaction():
        yield
        connection.execute("set constraints all immediate")


def find_registered(connection: Connection, ids: list[str]) -> list[NamedAccount]:
    """Return the registered accounts that webhooks name by these ids."""
    return call(connection, "find_registered_pages", NamedAccount, ids=ids)


def block_registration(connection: Connection) -> None:
    """Let nobody register an account until the end of the transaction."""
    call(connection, "block_registration")


def find_message_contacts(
    connection: Connection, page_id: str, message_ids: list[str]
) -> dict[str, str]:
    """Return the contacts in whose conversations these messages are stored, by message key."""
    return dict(call(connection, "find_message_contacts", page_id=page_id, message_ids=message_ids))


def load_events(
    connection: Connection, pages: list[dict[str, Any]], received: list[dict[str, Any]]
) -> LoadedEvents:
    """Load events of several pages, except those that PostgreSQL rejects.

    `received` adds to the hourly counts: `items` of `page_id` arrived between `first_at` and
    `last_at`, which lie in the same hour.
    """
    rows: list[LoadedEvents] = call(
        connection,
        "load_webhook_events",
        LoadedEvents,
        pages=encode(pages),
        received=encode(received),
    )
    return rows[0]


def quarantine(connection: Connection, page_id: str, records: list[dict[str, Any]]) -> None:
    call(connection, "quarantine", page_id=page_id, records=encode(records))


def settle(connection: Connection, settled: list[dict[str, Any]]) -> None:
    """Record the outcomes of deliveries; see the SQL function settle_webhook_deliveries."""
    call(connection, "settle_webhook_deliveries", settled=encode(settled))


def reopen(
    database: Database,
    *,
    ids: list[int] | None = None,
    state: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[list[int]]:
    """Make deliveries pending again, in batches. Yields the ids of each batch."""
    after = 0
    while found := database.call(
        "reopen_webhook_deliveries", ids=ids, state=state, since=since, until=until, after=after
    ):
        batch = [row[0] for row in found]
        yield batch
        after = max(batch)


def get_deliveries(database: Database, ids: list[int]) -> list[DeliveryOutcome]:
    return database.call("get_webhook_deliveries", DeliveryOutcome, ids=ids)


def resolve_replayed(database: Database, ids: list[int]) -> int:
    """Resolve the quarantined records of the deliveries that are applied. Returns how many."""
    return int(database.value("resolve_replayed_deliveries", ids=ids))


def count_due(database: Database, older_than: timedelta = timedelta(0)) -> DueDeliveries:
    """Count the deliveries that have been due for more than `older_than`."""
    rows: list[DueDeliveries] = database.call(
        "count_waiting_deliveries", DueDeliveries, older_than=older_than
    )
    return rows[0]


def get_figures(database: Database, span: timedelta) -> InboxFigures:
    """Return the figures of the deliveries that were settled within the last `span`."""
    rows: list[InboxFigures] = database.call("get_inbox_figures", InboxFigures, span=span)
    return rows[0]


def delete_settled(database: Database, keep: timedelta) -> int:
    """Delete applied and ignored deliveries that were settled more than `keep` ago. Returns how
    many."""
    deleted = 0
    while found := database.value("delete_settled_deliveries", keep=keep):
        deleted += int(found)
    return deleted


@dataclass(frozen=True)
class FailingDrain:
    """A drain that cannot work, such as the receiver's on one host."""

    name: str
    failures: int
    since: datetime
    error: str


def record_drain_failure(
    database: Database, name: str, error: str, failures: int | None = None
) -> None:
    """Record that a drain could not work. `failures` in a row; None: one more than before."""
    database.call("record_drain_failure", name=name, error=error, failures=failures)


def record_drain_success(database: Database, name: str) -> None:
    """Record that a drain works."""
    database.call("record_drain_success", name=name)


def list_failing_drains(database: Database) -> list[FailingDrain]:
    """Return the drains that failed three times in a row."""
    return database.call("list_failing_drains", FailingDrain)
