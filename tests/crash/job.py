"""A run in a process that can be interrupted: what it is told, what it does and tells."""

import json
import os
import signal
import socket
import threading
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.sync.run import Mode, SyncRequest, sync_page
from messenger_pipeline.vault import TokenVault
from tests.crash.points import Action, Point
from tests.crash.watch import WatchedDatabase


@dataclass(frozen=True)
class Job:
    """What to sync, and at which point the process does what to itself."""

    url: str
    graph: str
    key: str
    page_id: str
    run_id: str
    mode: Mode = "auto"
    session: str | None = None
    point: Point | None = None
    action: Action = "kill"
    timeout: float = 10.0

    def encoded(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def decoded(body: bytes) -> Job:
    told: dict[str, Any] = json.loads(body)
    point = told.pop("point")
    return Job(**told, point=Point(**point) if point else None)


def run(job: Job, channel: socket.socket) -> None:
    """Sync as told, and tell what came of it."""

    def tell(**told: Any) -> None:
        channel.sendall(json.dumps(told, default=str).encode() + b"\n")

    points: list[Point] = []

    def reached(point: Point, connection: int) -> None:
        points.append(point)
        if point != job.point:
            return
        if job.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        tell(reached=str(point))
        if job.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            _lose(connection)

    tell(pid=os.getpid())
    channel.recv(1)
    try:
        with WatchedDatabase(job.url, job.timeout, reached) as database:
            engine = Engine(
                database, GraphApi(job.graph, "v26.0"), TokenVault([job.key]), calls_per_second=1e4
            )
            session = UUID(job.session) if job.session else None
            request = SyncRequest(job.page_id, job.run_id, job.mode, session)
            result = sync_page(engine, request, threading.Event())
            tell(result=asdict(result), points=[asdict(point) for point in points])
    except Exception as error:  # noqa: BLE001 - whatever it was is told
        tell(error=type(error).__name__, message=str(error))


def _lose(connection: int) -> None:
    """Lose what was answered on a connection, and the connection."""
    with socket.socket(fileno=os.dup(connection)) as lost:
        lost.recv(65_536)
        lost.shutdown(socket.SHUT_RDWR)
