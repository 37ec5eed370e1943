"""The generator's counts are those of a server that counts too."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bench.webhook.deliveries import make_body
from bench.webhook.generator import Latency, Order, Outcome, carry_out, measure, prepare
from bench.webhook.loads import Broken, read_status


@dataclass
class Server:
    """Answers the n-th request with what `answer` says, in as many pieces."""

    answer: Callable[[int], list[bytes]]
    bodies: list[bytes] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer_one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        self.bodies.append(await reader.readexactly(int(length[1])))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        pieces = self.answer(len(self.bodies))
        await asyncio.sleep(0)
        self.under_way -= 1
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if not pieces:
            raise ConnectionError


def ok(_number: int) -> list[bytes]:
    return [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"]


def every_tenth_is_refused(number: int) -> list[bytes]:
    if number % 10:
        return [b"HTTP/1.1 200 OK\r\nContent-", b"Length: 4\r\n\r\nke", b"pt"]
    return [b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"]


def order(
    server: Server, count: int, rate: float | None = None, seconds: float = 60, connections: int = 8
) -> Outcome:
    """What the generator tells of an order that this server answers."""

    async def run() -> Outcome:
        async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            outcome = await carry_out(prepare(Order(port, 1, count, seconds, rate, connections)))
            await asyncio.sleep(0.01)  # the server sees its connections end
            return outcome

    return asyncio.run(run())


@pytest.mark.parametrize("rate", [None, 2000.0])
def test_answers_are_counted_by_their_status_however_they_are_cut_up(rate: float | None) -> None:
    server = Server(every_tenth_is_refused)
    outcome = order(server, 500, rate)
    assert outcome.answers == {"200": 450, "503": 50}


@pytest.mark.parametrize("rate", [None, 2000.0])
def test_each_delivery_of_an_order_is_sent_once(rate: float | None) -> None:
    server = Server(ok)
    outcome = order(server, 300, rate)
    assert Counter(server.bodies) == Counter(make_body(serial) for serial in range(1, 301))
    assert outcome.body_bytes == sum(map(len, server.bodies))


def test_what_was_not_sent_in_time_is_not_counted() -> None:
    server = Server(ok)
    outcome = order(server, 20_000, seconds=0.05)
    assert outcome.answers == {"200": len(server.bodies)}
    assert 0 < len(server.bodies) < 20_000
    assert outcome.body_bytes == sum(map(len, server.bodies))


def test_a_connection_waits_for_its_answer() -> None:
    server = Server(ok)
    order(server, 200, connections=3)
    assert server.most_under_way <= 3


def test_fewer_deliveries_than_connections_come_to_an_end() -> None:
    assert order(Server(ok), 2).answers == {"200": 2}


def test_a_delivery_that_found_no_connection_has_waited_since_it_was_due() -> None:
    """One connection, far more than it can take: the last waits for nearly all others."""
    outcome = order(Server(ok), 400, rate=1_000_000.0, connections=1)
    assert outcome.latency.greatest / 1000 > 0.9 * outcome.seconds


@pytest.mark.parametrize("rate", [None, 2000.0])
def test_a_connection_that_ends_ends_the_measurement(rate: float | None) -> None:
    with pytest.raises(Broken, match="closed"):
        order(Server(lambda number: ok(number) if number < 50 else []), 100, rate)


def test_an_answer_is_whole_with_the_last_byte_of_its_body() -> None:
    [answer] = ok(0)
    assert [read_status(answer[:end]) for end in range(len(answer))] == [None] * len(answer)
    assert read_status(answer) == 200


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n", ok(0)[0] * 2])
def test_an_answer_without_a_length_or_followed_by_another_is_an_error(answer: bytes) -> None:
    with pytest.raises(Broken):
        read_status(answer)


def test_a_percentile_is_a_value_that_so_many_are_not_above() -> None:
    latencies = [number / 1000 for number in range(100, 0, -1)]
    assert measure(latencies) == Latency(50, 95, 99, 100)
