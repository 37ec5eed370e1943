"""The pages that a simulator of ours serves: registered, watched, compared with what is stored."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.request import Request, urlopen

import pandas as pd
from pydantic import SecretStr
from rich.console import Console

from messenger_pipeline import runtime
from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.settings import Settings, load_settings

_MARK = "simulated"  # a file in a home whose pages are simulated
APP_SECRET = "the-simulated-apps-secret"  # noqa: S105 - nobody has anything to hide here
API_KEY = "the-simulated-apps-api-key"
_CALLS_PER_SECOND = 1000.0
_VERIFY_TOKEN = "the-simulated-apps-verify-token"  # noqa: S105


@dataclass(frozen=True)
class Live:
    """The simulator's live traffic so far, in webhook deliveries."""

    happened: int
    acknowledged: int
    waiting: int


def simulated_settings() -> Settings:
    """Settings apart from the user's own: simulated pages must not meet real ones."""
    settings = load_settings()
    # Whoever follows what `dev` says for other terminals has named this home already.
    own = (settings.home / _MARK).exists()
    home = settings.home if own else settings.home / "demo"
    home.mkdir(parents=True, exist_ok=True)
    (home / _MARK).touch()
    return settings.model_copy(
        update={
            "home": home,
            "database_url": None,
            "database_schema": "public",
            "app_secret": [SecretStr(APP_SECRET)],
            "verify_token": SecretStr(_VERIFY_TOKEN),
            "token_key": [],
            # Whoever wants to watch it slowly says so.
            "calls_per_second": settings.calls_per_second
            if "calls_per_second" in settings.model_fields_set
            else _CALLS_PER_SECOND,
            "api_key": settings.api_key or SecretStr(API_KEY),
            "dagster_home": None,
            "dagster_pg_url": None,
        }
    )


def simulator_arguments(conversations: int, page_count: int) -> list[str]:
    return ["--pages", str(page_count), "--conversations", str(conversations)]


def simulated_pages(graph_url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_read(f"{graph_url}/_simulator/pages"))
    return found


def live(graph_url: str, per_second: float | None = None) -> Live:
    """What the live traffic did so far; with a rate, it goes on at that."""
    address = f"{graph_url}/_simulator/live"
    asked = None if per_second is None else json.dumps({"per_second": per_second}).encode()
    told = json.loads(_read(address, asked))
    return Live(told["happened"], told["acknowledged"], told["waiting"])


def register_pages(settings: Settings, data: str, graph_url: str, console: Console) -> None:
    vault = runtime.token_vault(settings)
    found = simulated_pages(graph_url)
    with Database(data, schema=settings.database_schema) as database:
        for page in found:
            pages.register_page(
                database,
                page["id"],
                name=page["name"],
                user_id=None,
                platform="messenger",
                token_encrypted=vault.encrypt(page["token"]),
            )
    largest = max(found, key=lambda page: page["messages"])
    console.print(
        f"{len(found)} pages registered, the largest with {largest['conversations']:,}"
        f" conversations and {largest['messages']:,} messages."
    )


def compare(database: Database, graph_url: str, page_id: str, since: datetime) -> tuple[int, int]:
    """Raise PipelineError unless the page's rows are what happened at the simulator, each once.
    Returns how many messages and how many other events.

    Rows from before `since` that the simulator does not know are of an earlier one's traffic.
    """
    counts = []
    for what, address, is_message in (
        ("messages", f"{graph_url}/_simulator/truth?page={page_id}", True),
        ("other events", f"{graph_url}/_simulator/truth?page={page_id}&events=other", False),
    ):
        truth = _frame(_read(address), is_message)
        stored = _stored(database, page_id, is_message)
        before = stored.pop("created_at") < pd.Timestamp(since)
        both = truth.merge(stored.assign(before=before), how="outer", indicator=True)
        wrong = both[(both["_merge"] == "left_only") | (
            (both["_merge"] == "right_only") & ~both["before"].eq(True)
        )]  # fmt: skip
        doubled = stored[stored["message_id"].notna()].duplicated(
            ["message_id"] if is_message else None
        )
        if len(wrong) or doubled.any():
            raise PipelineError(
                f"Page {page_id}: {len(truth)} {what} at the simulator, {len(stored)} stored,"
                f" {len(wrong)} differ:\n{wrong.head(5).to_string()}"
            )
        counts.append(len(truth))
    return counts[0], counts[1]


_COLUMNS = ("page_id", "sender_id", "message_id", "event_timestamp", "event_type")


def _frame(lines: bytes, is_message: bool) -> pd.DataFrame:
    rows = [json.loads(line) for line in lines.splitlines() if line.strip()]
    columns = [*_COLUMNS, "text"] if is_message else list(_COLUMNS)
    for row in rows:
        row["event_timestamp"] = row.pop("created_time", None) or row.get("event_timestamp")
        row["text"] = row.get("text") or ""
    frame = pd.DataFrame(rows, columns=columns).astype(object)
    return _typed(frame)


def _stored(database: Database, page_id: str, is_message: bool) -> pd.DataFrame:
    columns = [*_COLUMNS, "text"] if is_message else list(_COLUMNS)
    with database.transaction() as connection:
        cursor = connection.execute(
            "select page_id, sender_id, message_id, event_timestamp, event_type,"
            " coalesce(metadata ->> 'text', '') as text, e.created_at"
            " from contact_interaction_events e"
            " join messenger_conversations c using (page_id) where page_id = %s"
            " and c.id = conversation_id and (split_part(event_type, '_', 1) = 'message') = %s",
            [page_id, is_message],
        )
        frame = pd.DataFrame(
            cursor.fetchall(), columns=[column.name for column in cursor.description or ()]
        )
    return _typed(frame[[*columns, "created_at"]])


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    times: Iterable[str] = [name for name in ("event_timestamp", "created_at") if name in frame]
    for name in times:
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    frame["message_id"] = (
        frame["message_id"].astype(object).where(frame["message_id"].notna(), None)
    )
    return frame


def _read(address: str, asked: bytes | None = None) -> bytes:
    """What the simulator, started here, tells outside the Graph API."""
    with urlopen(Request(address, data=asked), timeout=120) as answer:  # noqa: S310 - ours
        body: bytes = answer.read()
    return body
