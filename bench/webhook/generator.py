"""Sends deliveries, as a process of its own: for each Order, a line of standard input, it prepares
all requests, says so, sends them at the next line, and prints an Outcome.
"""

import asyncio
import contextlib
import json
import math
import sys
from dataclasses import asdict, dataclass

from bench.webhook.deliveries import make_body, make_request
from bench.webhook.loads import Broken, Closed, Connection, Load, Paced

CONNECTIONS = 64
_PATIENCE = 60.0
"""Seconds longer than a pass should last, after which it has failed."""


@dataclass(frozen=True)
class Order:
    """The deliveries to send: at `rate` a second, or, without one, as fast as they are answered,
    for up to so many seconds."""

    port: int
    first: int
    count: int
    seconds: float
    rate: float | None = None
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Latency:
    """Milliseconds from when a delivery was sent, or was to be, until its answer was there."""

    p50: float
    p95: float
    p99: float
    greatest: float


@dataclass(frozen=True)
class Outcome:
    """What came of an order: how many were answered with which status, the bytes of their
    bodies, when on the machine's clock it began, and how long it was until the last answer."""

    answers: dict[str, int]
    body_bytes: int
    began: float
    seconds: float
    latency: Latency


@dataclass(frozen=True)
class Prepared:
    """The requests of an order, and the sizes of their bodies."""

    order: Order
    requests: list[bytes]
    sizes: list[int]


def prepare(order: Order) -> Prepared:
    prepared = Prepared(order, [], [])
    for serial in range(order.first, order.first + order.count):
        body = make_body(serial)
        prepared.requests.append(make_request(order.port, body))
        prepared.sizes.append(len(body))
    return prepared


async def carry_out(prepared: Prepared) -> Outcome:
    """Send what is prepared."""
    order, requests = prepared.order, prepared.requests
    load = Paced(requests, order.rate) if order.rate else Closed(requests, order.seconds)
    connections = await _connect(load, order)
    longest = (order.count / order.rate if order.rate else order.seconds) + _PATIENCE
    try:
        await asyncio.wait_for(load.run(connections), longest)
    except TimeoutError:
        raise Broken(f"{load.sent - len(load.latencies)} answers did not come") from None
    finally:
        for connection in connections:
            connection.close()
    return Outcome(
        answers={str(status): number for status, number in load.statuses.items()},
        body_bytes=sum(prepared.sizes[: load.sent]),
        began=load.began,
        seconds=load.ended - load.began,
        latency=measure(load.latencies),
    )


def measure(latencies: list[float]) -> Latency:
    """Percentiles: the least value that so much of all is not above."""
    ordered = sorted(latencies)
    places = [math.ceil(share * len(ordered)) - 1 for share in (0.5, 0.95, 0.99, 1)]
    return Latency(*(ordered[place] * 1000 for place in places))


async def _connect(load: Load, order: Order) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", order.port)
        for _ in range(order.connections)
    ]
    return [connection for _, connection in made]


def run(prepared: Prepared) -> Outcome:
    """Send on the fastest event loop that there is."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(carry_out(prepared))


def main() -> None:
    for line in sys.stdin:
        prepared = prepare(Order(**json.loads(line)))
        _say("prepared")
        sys.stdin.readline()
        try:
            _say(json.dumps(asdict(run(prepared))))
        except (Broken, OSError) as error:
            _say(json.dumps({"broken": str(error)}))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
