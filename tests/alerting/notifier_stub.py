"""A notifier over real HTTP that can be made to fail."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0SECRET/B0SECRET/s3cr3t0fth3s1nk"


@dataclass(frozen=True)
class Reply:
    """An answer. It comes after `hang` seconds, its body after `stall` more, or when the stub
    stops."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0
    stall: float = 0.0


class NotifierStub:
    """Records the messages that it accepts. Answers with `replies`, one each, then with `rest`."""

    def __init__(self, port: int = 0) -> None:
        self.replies: list[Reply] = []
        self.rest = Reply()
        self.requests = 0
        self.messages: list[dict[str, Any]] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        notifier = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                notifier.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/services/{SECRET}"

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            self.requests += 1
            reply = self.replies.pop(0) if self.replies else self.rest
            if reply.status == 200 and not reply.hang:
                self.messages.append(json.loads(body))
        if reply.hang:
            self.stopping.wait(reply.hang)
        try:
            request.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                request.send_header(name, value)
            request.end_headers()
            if reply.stall:
                self.stopping.wait(reply.stall)
            request.wfile.write(reply.body)
        except OSError:
            pass  # the client has disconnected

    @contextmanager
    def serving(self) -> Iterator["NotifierStub"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()
