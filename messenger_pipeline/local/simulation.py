"""The simulated Graph API as `demo` and `dev` use it: settings, pages, live traffic."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from pydantic import SecretStr
from rich.console import Console

from messenger_pipeline import runtime
from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.settings import Settings, load_settings

_MARK = "simulated"  # a file in a home whose pages are simulated
APP_SECRET = "the-simulated-apps-secret"  # noqa: S105 - protects simulated pages only
API_KEY = "the-simulated-apps-api-key"
_CALLS_PER_SECOND = 1000.0
_VERIFY_TOKEN = "the-simulated-apps-verify-token"  # noqa: S105


@dataclass(frozen=True)
class LiveTraffic:
    """The simulator's live traffic so far."""

    events: int  # messages, reactions, edits …
    acknowledged: int  # webhook deliveries
    waiting: int  # webhook deliveries that are not acknowledged yet


def simulated_settings() -> Settings:
    """Settings apart from the user's own: simulated pages must not meet real ones."""
    settings = load_settings()
    # In another terminal, with the settings that `dev` prints, this home is already set.
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
            # A rate that is set slows it down, to be watched.
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
    found: list[dict[str, Any]] = json.loads(read_simulator(f"{graph_url}/_simulator/pages"))
    return found


def set_live_traffic(graph_url: str, per_second: float) -> None:
    """Let this many events a second happen from now on; 0 ends the traffic."""
    read_simulator(f"{graph_url}/_simulator/live", json.dumps({"per_second": per_second}).encode())


def get_live_traffic(graph_url: str) -> LiveTraffic:
    state = json.loads(read_simulator(f"{graph_url}/_simulator/live"))
    return LiveTraffic(state["events"], state["acknowledged"], state["pending"])


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


def read_simulator(address: str, body: bytes | None = None) -> bytes:
    """The answer of one of the simulator's own routes. Posts `body` if it is given."""
    with urlopen(Request(address, data=body), timeout=120) as answer:  # noqa: S310 - ours
        content: bytes = answer.read()
    return content
