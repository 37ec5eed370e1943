"""The client over real HTTP: against the simulator, and against a server that misbehaves."""

import http.server
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stamina

from messenger_pipeline.errors import (
    GraphConfigurationError,
    ObjectRefused,
    TokenDead,
    TransientError,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.client import GraphApi
from tests.conftest import Simulated

Answer = tuple[int, bytes]


@pytest.fixture(autouse=True)
def _retry_at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=5, cap=True):
        yield


@pytest.fixture
def misbehave() -> Iterator[Callable[..., str]]:
    """misbehave((status, body), …): the URL of a server that gives these answers in turn, and
    the last one from then on. A status of 0 cuts the connection."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(*answers: Answer) -> str:
        left = list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = left.pop(0) if len(left) > 1 else left[0]
                if status:
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


GOOD = (200, b'{"data": []}')


@pytest.mark.parametrize(
    "bad",
    [
        (500, b'{"error": {"code": 2}}'),
        (503, b"<html>"),
        (200, b'{"error": {"code": 1, "message": "An unknown error occurred"}}'),
        (200, b'{"data": [{"id"'),
        (0, b""),
    ],
)
def test_service_trouble_is_tried_again(misbehave: Callable[..., str], bad: Answer) -> None:
    with GraphApi(misbehave(bad, bad, GOOD), "v26.0").client("T") as client:
        answer = client.fetch_messages("t_1", limit=5)
    assert answer.content.records == []
    assert answer.calls == 3


def test_trouble_that_stays_is_told(misbehave: Callable[..., str]) -> None:
    with (
        GraphApi(misbehave((500, b"")), "v26.0").client("T") as client,
        pytest.raises(TransientError, match="HTTP 500"),
    ):
        client.fetch_messages("t_1", limit=5)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((400, b'{"error": {"code": 190}}'), TokenDead),
        ((400, b'{"error": {"code": 100, "error_subcode": 33}}'), ObjectRefused),
        ((200, b'{"other": 1}'), UnexpectedAnswer),
        ((302, b""), UnexpectedAnswer),
    ],
)
def test_what_trying_again_cannot_help_is_told_at_once(
    misbehave: Callable[..., str], answer: Answer, kind: type[Exception]
) -> None:
    with (
        GraphApi(misbehave(answer, GOOD), "v26.0").client("T") as client,
        pytest.raises(kind),
    ):
        client.fetch_messages("t_1", limit=5)


def test_nobody_listening_is_service_trouble_and_its_message_has_no_proof() -> None:
    with (
        GraphApi("http://127.0.0.1:9", "v26.0", "app-secret").client("EAAtoken") as client,
        pytest.raises(TransientError, match=r"No answer from http://127.0.0.1:9") as caught,
    ):
        client.fetch_page("10")
    assert "appsecret_proof" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_proof_is_accepted_and_a_wrong_one_is_a_configuration_error(
    simulate: Callable[..., Simulated],
) -> None:
    simulated = simulate(app_secret="right")
    page = simulated.page
    with GraphApi(simulated.url, "v26.0", "right").client(page.token) as client:
        assert client.fetch_page(page.id).content == {"id": page.id, "name": page.name}
    for secret in ("wrong", None):
        with (
            GraphApi(simulated.url, "v26.0", secret).client(page.token) as client,
            pytest.raises(GraphConfigurationError, match="MESSENGER_APP_SECRET"),
        ):
            client.fetch_page(page.id)


def test_every_call_waits_its_turn(simulate: Callable[..., Simulated]) -> None:
    simulated = simulate()
    turns: list[int] = []
    with GraphApi(simulated.url, "v26.0").client(
        simulated.page.token, lambda: turns.append(1)
    ) as client:
        client.fetch_page(simulated.page.id)
        client.fetch_conversations(simulated.page.id, "messenger", limit=5, messages=1)
    assert len(turns) == 2


def test_usage_and_date_of_an_answer_are_told(simulate: Callable[..., Simulated]) -> None:
    simulated = simulate()
    with GraphApi(simulated.url, "v26.0").client(simulated.page.token) as client:
        answers = [client.fetch_page(simulated.page.id) for _ in range(8)]
    assert answers[0].usage.highest == 0
    assert answers[-1].date.tzinfo is not None


def test_the_log_of_the_http_library_holds_no_secret(
    simulate: Callable[..., Simulated], caplog: pytest.LogCaptureFixture
) -> None:
    simulated = simulate(app_secret="right")
    caplog.set_level(logging.DEBUG)
    with GraphApi(simulated.url, "v26.0", "right").client(simulated.page.token) as client:
        client.fetch_page(simulated.page.id)
    assert "appsecret_proof=***" in caplog.text
    assert simulated.page.token not in caplog.text
