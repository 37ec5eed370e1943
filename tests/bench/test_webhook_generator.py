"""The generator counts what a server counts."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bench.processes import Failed
from bench.webhook.generator import Load, percentiles, read_status


@dataclass
class Server:
    """Answers the n-th request with the pieces that `answer` returns; without any, it closes."""

    answer: Callable[[int], list[bytes]]
    bodies: list[bytes] = field(default_factory=list)
    in_progress: int = 0
    most_in_progress: int = 0

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
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        pieces = self.answer(len(self.bodies))
        await asyncio.sleep(0)
        self.in_progress -= 1
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


def send(
    server: Server, count: int, rate: float | None = None, seconds: float = 60, connections: int = 8
) -> Load:
    """The load of `count` requests that this server answers."""
    requests = [b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n%06d" % n for n in range(count)]

    async def run() -> Load:
        load = Load(requests, seconds, rate)
        async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listening:
            await load.send(listening.sockets[0].getsockname()[1], connections)
            await asyncio.sleep(0.01)  # the server sees its connections end
        return load

    return asyncio.run(run())


@pytest.mark.parametrize("rate", [None, 2000.0])
def test_responses_in_pieces_are_counted_by_their_status(rate: float | None) -> None:
    assert send(Server(every_tenth_is_refused), 500, rate).statuses == {200: 450, 503: 50}


@pytest.mark.parametrize("rate", [None, 2000.0])
def test_each_request_is_sent_once(rate: float | None) -> None:
    server = Server(ok)
    send(server, 300, rate)
    assert sorted(server.bodies) == [b"%06d" % number for number in range(300)]


def test_requests_that_were_not_sent_in_time_are_not_counted() -> None:
    server = Server(ok)
    load = send(server, 20_000, seconds=0.05)
    assert load.statuses == {200: len(server.bodies)}
    assert 0 < len(server.bodies) < 20_000


def test_a_connection_waits_for_its_response() -> None:
    server = Server(ok)
    send(server, 200, connections=3)
    assert server.most_in_progress <= 3


def test_a_load_with_fewer_requests_than_connections_ends() -> None:
    assert send(Server(ok), 2).statuses == {200: 2}


def test_the_latency_of_a_request_that_found_no_connection_counts_from_when_it_was_due() -> None:
    """One connection, far more than it can take: the last waits for nearly all others."""
    load = send(Server(ok), 400, rate=1_000_000.0, connections=1)
    assert max(load.latencies) > 0.9 * (load.ended - load.began)


@pytest.mark.parametrize("rate", [None, 2000.0])
def test_a_closed_connection_fails_the_load(rate: float | None) -> None:
    with pytest.raises(Failed, match="closed"):
        send(Server(lambda number: ok(number) if number < 50 else []), 100, rate)


def test_a_response_is_complete_with_the_last_byte_of_its_body() -> None:
    [response] = ok(0)
    assert [read_status(response[:end]) for end in range(len(response))] == [None] * len(response)
    assert read_status(response) == 200


@pytest.mark.parametrize("response", [b"HTTP/1.1 200 OK\r\n\r\n", ok(0)[0] * 2])
def test_a_response_without_a_length_or_followed_by_another_is_an_error(response: bytes) -> None:
    with pytest.raises(Failed):
        read_status(response)


def test_a_percentile_is_the_least_value_that_its_share_does_not_exceed() -> None:
    latencies = [number / 1000 for number in range(100, 0, -1)]
    assert percentiles(latencies) == {"p50 ms": 50, "p95 ms": 95, "p99 ms": 99, "max ms": 100}
