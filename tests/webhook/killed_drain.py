"""A drain whose process is killed by some deliveries: python -m tests.webhook.killed_drain URL HOW.

A message with the text "kill" kills it while its item is parsed, one with the text "kill later"
once its events are loaded and not committed. HOW is "exit" or "signal".
"""

import os
import signal
import sys
from typing import Any

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.webhook import items, payloads
from messenger_pipeline.webhook.drain import drain_batch


def main(url: str, how: str) -> None:
    def die() -> None:
        if how == "exit":
            os._exit(137)
        os.kill(os.getpid(), signal.SIGKILL)

    parse, load = payloads.parse_events, inbox.load_events

    def parse_or_die(item: Any) -> Any:
        if item.payload.get("message", {}).get("text") == "kill":
            die()
        return parse(item)

    def load_or_die(connection: Any, pages: Any, received: Any) -> Any:
        loaded = load(connection, pages, received)
        if "kill later" in repr(pages):
            die()
        return loaded

    items.parse_events = parse_or_die  # type: ignore[attr-defined]
    inbox.load_events = load_or_die
    with Database(url, timeout=10) as database:
        while drain_batch(database).deliveries:
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
