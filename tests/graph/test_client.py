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
    RateLimited,
    TokenDead,
    TransientError,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.graph.pace import Unpaced
from tests.conftest import Simulated

Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


@pytest.fixture(autouse=True)
def _retry_at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=5, cap=True):
        yield


@pytest.fixture
def misbehave() -> Iterator[Callable[..., str]]:
    """misbehave((status, body), …): the URL of a server that returns these answers in turn, and
    then repeats the last one. A status of 0 cuts the connection."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(*answers: Answer) -> str:
        left = list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, *headers = left.pop(0) if len(left) > 1 else left[0]
                if status:
                    self.send_response(status)
                    for name, value in (headers[0] if headers else {}).items():
                        self.send_header(name, value)
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
def test_transient_errors_are_retried(misbehave: Callable[..., str], bad: Answer) -> None:
    with GraphApi(misbehave(bad, bad, GOOD), "v26.0").client("T") as client:
        answer = client.fetch_messages("t_1", limit=5)
        assert answer.content.records == []
        assert client.calls == 3


def test_a_lasting_error_is_raised(misbehave: Callable[..., str]) -> None:
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
def test_permanent_errors_are_raised_without_a_retry(
    misbehave: Callable[..., str], answer: Answer, kind: type[Exception]
) -> None:
    with (
        GraphApi(misbehave(answer, GOOD), "v26.0").client("T") as client,
        pytest.raises(kind),
    ):
        client.fetch_messages("t_1", limit=5)


def test_a_refused_connection_is_transient_and_its_message_has_no_proof() -> None:
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


class Turns(Unpaced):
    """Records each call, and never waits."""

    def __init__(self, *waits: float) -> None:
        self.turns = 0
        self.usage: list[tuple[int, int]] = []
        self.paused: list[tuple[str, float | None]] = []
        self.waits = list(waits)

    def wait(self) -> None:
        self.turns += 1

    def record_usage(self, app: int, page: int) -> None:
        self.usage.append((app, page))

    def pause(self, scope: str, seconds: float | None) -> float:
        self.paused.append((scope, seconds))
        return self.waits.pop(0)


def test_every_call_waits_its_turn_including_retries(
    misbehave: Callable[..., str],
) -> None:
    turns = Turns()
    with GraphApi(misbehave((500, b""), GOOD), "v26.0").client("T", turns) as client:
        client.fetch_messages("t_1", limit=5)
    assert turns.turns == client.calls == 2


def test_usage_is_recorded_from_successes_and_errors(misbehave: Callable[..., str]) -> None:
    usage = {"X-App-Usage": '{"call_count": 41}', "X-Page-Usage": '{"total_time": 17}'}
    turns = Turns()
    with GraphApi(misbehave((500, b"", usage), (*GOOD, usage)), "v26.0").client(
        "T", turns
    ) as client:
        client.fetch_messages("t_1", limit=5)
    assert turns.usage == [(41, 17), (41, 17)]


def test_waiting_for_a_limit_uses_up_no_retry(
    misbehave: Callable[..., str],
) -> None:
    limit = (400, b'{"error": {"code": 32}}', {"Retry-After": "2"})
    trouble = (500, b"")
    turns = Turns(*[2.0] * 6)
    answers = [trouble, limit] * 4 + [limit, limit, trouble, GOOD]
    with GraphApi(misbehave(*answers), "v26.0").client("T", turns) as client:
        assert client.fetch_messages("t_1", limit=5).content.records == []
    assert turns.paused == [("page", 2.0)] * 6


@pytest.mark.parametrize(("code", "scope"), [(4, "app"), (17, "token"), (80006, "page")])
def test_a_limit_with_a_long_pause_is_raised_with_its_seconds(
    misbehave: Callable[..., str], code: int, scope: str
) -> None:
    limit = (400, b'{"error": {"code": %d}}' % code)
    turns = Turns(900.0)
    with (
        GraphApi(misbehave(limit), "v26.0").client("T", turns) as client,
        pytest.raises(RateLimited) as caught,
    ):
        client.fetch_messages("t_1", limit=5)
    assert caught.value.seconds == 900
    assert turns.paused == [(scope, None)]
    assert client.calls == 1


def test_the_time_to_regain_access_pauses_after_a_success(misbehave: Callable[..., str]) -> None:
    business = (
        '{"1": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 3}]}'
    )
    turns = Turns(180.0)
    with GraphApi(misbehave((*GOOD, {"X-Business-Use-Case-Usage": business})), "v26.0").client(
        "T", turns
    ) as client:
        client.fetch_messages("t_1", limit=5)
    assert turns.paused == [("page", 180.0)]


def test_answers_and_errors_have_the_date_of_metas_header(misbehave: Callable[..., str]) -> None:
    with GraphApi(
        misbehave(GOOD, (400, b'{"error": {"code": 100, "error_subcode": 33}}')), "v26.0"
    ).client("T") as client:
        assert client.fetch_messages("t_1", limit=5).date.tzinfo is not None
        with pytest.raises(ObjectRefused) as caught:
            client.fetch_messages("t_1", limit=5)
    assert caught.value.date is not None


def test_the_http_library_logs_no_secret(
    simulate: Callable[..., Simulated], caplog: pytest.LogCaptureFixture
) -> None:
    simulated = simulate(app_secret="right")
    caplog.set_level(logging.DEBUG)
    with GraphApi(simulated.url, "v26.0", "right").client(simulated.page.token) as client:
        client.fetch_page(simulated.page.id)
    assert "appsecret_proof=***" in caplog.text
    assert simulated.page.token not in caplog.text
