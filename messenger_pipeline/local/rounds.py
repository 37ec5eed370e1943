"""What a round of syncs brought, and what is stored, as tables of the demonstration."""

from dataclasses import dataclass
from datetime import datetime

from rich.table import Table

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import SyncSession, list_sessions
from messenger_pipeline.local.comparison import Compared

_READ = ("read", "new", "changed", "unchanged")  # conversations; the first is the sum of the others
_ROUND_COLUMNS = (*_READ, "new messages", "seconds", "read/second")
_STORED_COLUMNS = ("conversations", "messages", "other events")


@dataclass(frozen=True)
class PageRound:
    """What one page's syncs of a round brought."""

    page_id: str
    name: str
    sessions: list[SyncSession]

    @property
    def is_complete(self) -> bool:
        return any(session.is_complete for session in self.sessions)

    @property
    def counts(self) -> list[int]:
        """Conversations read, new, changed and unchanged, and new messages."""
        return [
            sum(one)
            for one in zip(
                (0, 0, 0, 0, 0),
                *((s.total_synced, s.inserted, s.updated, s.unchanged, s.events_created)
                  for s in self.sessions),
                strict=True,
            )
        ]  # fmt: skip

    @property
    def seconds(self) -> float:
        """As shown, so that the rate can be recomputed from its row."""
        return round(
            sum(
                ((session.ended_at or session.updated_at) - session.started_at).total_seconds()
                for session in self.sessions
            ),
            2,
        )


@dataclass(frozen=True)
class Round:
    """One sync of every page."""

    pages: list[PageRound]

    @staticmethod
    def of(database: Database, names: dict[str, str], since: datetime) -> "Round":
        """The sessions that began or moved since a time."""
        sessions = list_sessions(database, since)
        return Round(
            [
                PageRound(page_id, name, [one for one in sessions if one.page_id == page_id])
                for page_id, name in names.items()
            ]
        )

    @property
    def is_complete(self) -> bool:
        return all(page.is_complete for page in self.pages)

    @property
    def totals(self) -> list[int]:
        return [sum(one) for one in zip(*(page.counts for page in self.pages), strict=True)]

    @property
    def progress(self) -> str:
        complete = sum(page.is_complete for page in self.pages)
        read, *_, messages = self.totals
        return (
            f"{complete} of {len(self.pages)} pages complete: {read:,} conversations read,"
            f" {messages:,} new messages"
        )

    def table(self) -> Table:
        table = _table(*_ROUND_COLUMNS)
        for page in self.pages:
            rate = f"{page.counts[0] / page.seconds:,.0f}" if page.seconds else "-"
            shown = [f"{count:,}" for count in page.counts]
            table.add_row(page.page_id, page.name, *shown, f"{page.seconds:.2f}", rate)
        if len(self.pages) > 1:
            table.add_row("all", "", *(f"{count:,}" for count in self.totals))
        return table


def stored_table(database: Database, names: dict[str, str], compared: dict[str, Compared]) -> Table:
    """What is stored of each page."""
    stored = {row["page_id"]: row["conversations"] for row in database.rows("sync_statistics")}
    rows = {
        page_id: (stored[page_id], one.messages, one.other_events)
        for page_id, one in compared.items()
    }
    table = _table(*_STORED_COLUMNS)
    for page_id, counts in rows.items():
        table.add_row(page_id, names[page_id], *(f"{count:,}" for count in counts))
    if len(rows) > 1:
        sums = (sum(one) for one in zip(*rows.values(), strict=True))
        table.add_row("all", "", *(f"{count:,}" for count in sums))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for name in ("page", "name"):
        table.add_column(name, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
