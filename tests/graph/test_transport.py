"""What the environment may change about a request: the way that it takes, never whose it is."""

import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stamina

from messenger_pipeline.alerting.notifier import Notifier
from messenger_pipeline.errors import GraphConfigurationError, UnexpectedAnswer
from messenger_pipeline.graph.client import GraphApi
from tests.conftest import Simulated


@pytest.fixture(autouse=True)
def _retry_at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


class Server:
    """A server that records the Authorization header of each request. Given an absolute URL it is
    a proxy, and forwards the request; else it answers with `status` and `headers`."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.authorizations: list[str | None] = []
        recording = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recording.authorizations.append(self.headers["Authorization"])
                target = urlsplit(self.path)
                if target.netloc:
                    self._forward(target.netloc, f"{target.path}?{target.query}")
                else:
                    self._answer(status, headers or {}, b'{"data": []}')

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                recording.authorizations.append(self.headers["Authorization"])
                self._answer(200, {}, b"ok")

            def _forward(self, host: str, path: str) -> None:
                upstream = HTTPConnection(host)
                upstream.request("GET", path, headers=dict(self.headers))
                response = upstream.getresponse()
                self._answer(response.status, {}, response.read())
                upstream.close()

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(*options: Any) -> Server:
        started.append(Server(*options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(autouse=True)
def netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home folder whose .netrc has a password for every host, and no proxy."""
    file = tmp_path / ".netrc"
    file.write_text("machine 127.0.0.1 login me password mine\ndefault login you password yours\n")
    file.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_a_netrc_does_not_replace_the_pages_token(simulate: Callable[..., Simulated]) -> None:
    simulated = simulate()
    with GraphApi(simulated.url, "v26.0").client(simulated.page.token) as client:
        assert client.fetch_page(simulated.page.id).content["id"] == simulated.page.id


def test_a_call_goes_through_the_proxy_of_the_environment_with_the_pages_token(
    simulate: Callable[..., Simulated],
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulated, proxy = simulate(), serve()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with GraphApi(simulated.url, "v26.0").client(simulated.page.token) as client:
        assert client.fetch_page(simulated.page.id).content["id"] == simulated.page.id
    assert proxy.authorizations == [f"Bearer {simulated.page.token}"]

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with GraphApi(simulated.url, "v26.0").client(simulated.page.token) as client:
        client.fetch_page(simulated.page.id)
    assert len(proxy.authorizations) == 1


def test_a_user_in_the_apis_address_does_not_replace_the_pages_token(
    serve: Callable[..., Server],
) -> None:
    server = serve()
    url = server.url.replace("://", "://me:mine@")
    with GraphApi(url, "v26.0").client("EAAtoken") as client:
        client.fetch_messages("t_1", limit=5)
    assert server.authorizations == ["Bearer EAAtoken"]


def test_a_redirect_is_not_followed_so_it_gets_neither_the_token_nor_a_password(
    serve: Callable[..., Server],
) -> None:
    elsewhere = serve()
    server = serve(302, {"Location": f"{elsewhere.url}/v26.0/t_1/messages"})
    with (
        GraphApi(server.url, "v26.0").client("EAAtoken") as client,
        pytest.raises(UnexpectedAnswer),
    ):
        client.fetch_messages("t_1", limit=5)
    assert server.authorizations == ["Bearer EAAtoken"]
    assert elsewhere.authorizations == []


def test_the_certificates_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bundle that does not exist is an error before the first byte."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with (
        GraphApi("https://127.0.0.1:9", "v26.0").client("EAAtoken") as client,
        pytest.raises(GraphConfigurationError, match=r"missing\.pem.*REQUESTS_CA_BUNDLE"),
    ):
        client.fetch_messages("t_1", limit=5)


def test_a_netrc_sends_no_password_to_the_notifier(serve: Callable[..., Server]) -> None:
    server = serve()
    Notifier(f"{server.url}/services/x").post({"text": "hello"})
    Notifier(f"{server.url.replace('://', '://bot:secret@')}/services/x").post({"text": "hello"})
    assert server.authorizations == [None, "Basic Ym90OnNlY3JldA=="]
