"""How long it takes from sending a delivery until its message can be read.

Another connection looks for new events once a millisecond, so what it sees is committed and
visible to everybody; what the looking takes is added to the figure, not left out.
"""

import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bench.cluster import Cluster
from bench.runner import Failed
from bench.webhook.deliveries import message_id
from bench.webhook.generator import Latency, Outcome, measure
from bench.webhook.loads import now
from bench.webhook.trial import open_trial

RATE = 50.0
_LOOK = 0.001
_WINDOW = 1.0
"""Seconds after a transaction's beginning for which its events are looked for; those missed are
found at the end, and count as seen then."""
_PATIENCE = 30.0
"""Seconds after the last answer until a message that is not there counts as lost."""
_EVENTS = "select message_id from contact_interaction_events where created_at >= %s"
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def measure_visibility(name: str, cluster: Cluster, seconds: float) -> Latency:
    """Send 50 deliveries a second, and look for the message of each."""
    with open_trial(name, cluster) as trial, ThreadPoolExecutor(1) as sender:
        first, count = trial.next, int(RATE * seconds)
        serials = {message_id(first + number): number for number in range(count)}
        under_way = sender.submit(trial.send, count, seconds, RATE)
        with psycopg.connect(trial.url, autocommit=True) as connection:
            seen = _look(connection, serials.keys(), under_way)
        return time_to_see(under_way.result(), serials, seen)


def time_to_see(outcome: Outcome, serials: dict[str, int], seen: dict[str, float]) -> Latency:
    """From when each was due to be sent until it was first seen."""
    return measure([seen[mid] - (outcome.began + number / RATE) for mid, number in serials.items()])


def _look(
    connection: psycopg.Connection[Any], wanted: Collection[str], sending: "Future[Outcome]"
) -> dict[str, float]:
    """When each message was first seen."""
    seen: dict[str, float] = {}
    answered: float | None = None
    while len(seen) < len(wanted):
        if answered is None and sending.done():
            sending.result()
            answered = now()
        late = answered is not None and now() > answered + _WINDOW
        since = _BEGINNING if late else datetime.now(UTC) - timedelta(seconds=_WINDOW)
        found = connection.execute(_EVENTS, [since]).fetchall()
        at = now()
        seen |= {mid: at for (mid,) in found if mid in wanted and mid not in seen}
        if answered is not None and at > answered + _PATIENCE:
            raise Failed(f"{len(wanted) - len(seen)} messages did not become visible")
        time.sleep(_LOOK)
    return seen
