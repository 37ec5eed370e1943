"""What is stored of a page, compared with what happened at the simulator."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.local.simulation import read_simulator

_COLUMNS = ("page_id", "sender_id", "message_id", "event_timestamp", "event_type")


@dataclass(frozen=True)
class Compared:
    """How many rows of a page are the same in PostgreSQL and at the simulator."""

    messages: int
    other_events: int


def compare(database: Database, graph_url: str, page_id: str, since: datetime) -> Compared:
    """Raise PipelineError unless the page's rows are what happened at the simulator, each once.

    Rows from before `since` that the simulator does not know come from an earlier run's traffic.
    """
    address = f"{graph_url}/_simulator/truth?page={page_id}"
    messages = _Kind("messages", address, is_message=True)
    others = _Kind("other events", f"{address}&events=other", is_message=False)
    return Compared(
        _compare_kind(database, page_id, since, messages),
        _compare_kind(database, page_id, since, others),
    )


@dataclass(frozen=True)
class _Kind:
    name: str
    address: str
    is_message: bool

    @property
    def columns(self) -> list[str]:
        return [*_COLUMNS, "text"] if self.is_message else list(_COLUMNS)


def _compare_kind(database: Database, page_id: str, since: datetime, kind: _Kind) -> int:
    truth = _fetch_truth(kind)
    stored = _read_stored(database, page_id, kind)
    before = stored.pop("created_at") < pd.Timestamp(since)
    both = truth.merge(stored.assign(before=before), how="outer", indicator=True)
    missing = both["_merge"] == "left_only"
    invented = (both["_merge"] == "right_only") & ~both["before"].eq(True)
    different = both[missing | invented]
    identified = stored[stored["message_id"].notna()]
    doubled = identified.duplicated(["message_id"] if kind.is_message else None)
    if len(different) or doubled.any():
        raise PipelineError(
            f"Page {page_id}: {len(truth):,} {kind.name} at the simulator, {len(stored):,} stored,"
            f" {len(different):,} differ:\n{different.head(5).to_string()}"
        )
    return len(truth)


def _fetch_truth(kind: _Kind) -> pd.DataFrame:
    lines = read_simulator(kind.address).splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    for row in rows:
        row["event_timestamp"] = row.pop("created_time", None) or row.get("event_timestamp")
        row["text"] = row.get("text") or ""
    return _typed(pd.DataFrame(rows, columns=kind.columns).astype(object))


def _read_stored(database: Database, page_id: str, kind: _Kind) -> pd.DataFrame:
    with database.transaction() as connection:
        cursor = connection.execute(
            "select page_id, sender_id, message_id, event_timestamp, event_type,"
            " coalesce(metadata ->> 'text', '') as text, e.created_at"
            " from contact_interaction_events e"
            " join messenger_conversations c using (page_id) where page_id = %s"
            " and c.id = conversation_id and (split_part(event_type, '_', 1) = 'message') = %s",
            [page_id, kind.is_message],
        )
        frame = pd.DataFrame(
            cursor.fetchall(), columns=[column.name for column in cursor.description or ()]
        )
    return _typed(frame[[*kind.columns, "created_at"]])


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    times: Iterable[str] = [name for name in ("event_timestamp", "created_at") if name in frame]
    for name in times:
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    frame["message_id"] = (
        frame["message_id"].astype(object).where(frame["message_id"].notna(), None)
    )
    return frame
