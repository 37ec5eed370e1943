"""What is measured of a contestant: full and half load, memory, and when messages are visible."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg

from bench.cluster import Cluster
from bench.processes import Failed
from bench.results import Pass
from bench.webhook.deliveries import mid_of
from bench.webhook.generator import now, percentiles
from bench.webhook.trial import open_trial

FULL, HALF, MEMORY, VISIBLE = "full load", "half of its full load", "memory", "sent until visible"
BLOCK = 10_000  # deliveries between two looks at the memory
SETTLED = 20_000
"""Deliveries after which a receiver's memory must not grow."""
GROWTH = "MB grown"

_FASTEST = 40_000  # deliveries prepared for each second of full load
_RATE = 50.0
_PATIENCE = 30.0  # seconds after the last delivery was due
_EVENTS = b"""
    select message_id from contact_interaction_events
    where created_at > now() - interval '10 seconds'
"""


def measure_loads(name: str, cluster: Cluster, seconds: float) -> Iterator[Pass]:
    """As fast as it answers, then at half of that rate."""
    with open_trial(name, cluster) as trial:
        full = trial.send(FULL, int(_FASTEST * seconds), seconds)
        yield full
        yield trial.send(HALF, max(1, int(full.rate / 2 * seconds)), seconds, full.rate / 2)


def measure_memory(name: str, cluster: Cluster, deliveries: int) -> Pass:
    """Resident memory before and after so many deliveries at full load."""
    with open_trial(name, cluster) as trial:
        rss, seconds = [trial.rss_mb()], 0.0
        for _ in range(deliveries // BLOCK):
            seconds += trial.send(MEMORY, BLOCK).seconds
            rss.append(trial.rss_mb())
    settled = rss[min(SETTLED // BLOCK, len(rss) - 1)]
    figures = {"MB before": rss[0], "MB settled": settled, "MB after": rss[-1]}
    if deliveries > SETTLED:
        figures[GROWTH] = rss[-1] - settled
    return Pass(name, MEMORY, deliveries, seconds, figures)


def measure_visibility(name: str, cluster: Cluster, seconds: float) -> Pass:
    """From when a delivery was due until another connection sees its message, at 50 a second.

    That connection polls every millisecond, which the latencies contain.
    """
    with open_trial(name, cluster) as trial, ThreadPoolExecutor(1) as sender:
        first, count = trial.next, max(1, int(_RATE * seconds))
        numbers = {mid_of(first + number): number for number in range(count)}
        sending = sender.submit(trial.send, VISIBLE, count, seconds, _RATE)
        seen = _poll(trial.url, set(numbers), now() + seconds + _PATIENCE)
        sent = sending.result()
    if len(seen) < count:
        raise Failed(f"{count - len(seen)} messages are not visible")
    latencies = [seen[mid] - trial.began - number / _RATE for mid, number in numbers.items()]
    return Pass(name, VISIBLE, count, sent.seconds, percentiles(latencies))


def _poll(url: str, wanted: set[str], deadline: float) -> dict[str, float]:
    """When each message was first seen."""
    seen: dict[str, float] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        while len(seen) < len(wanted) and now() < deadline:
            found = {mid for (mid,) in connection.execute(_EVENTS)} & wanted
            seen = dict.fromkeys(found, now()) | seen
            time.sleep(0.001)
    return seen
