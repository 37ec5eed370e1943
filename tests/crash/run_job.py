"""A sync in a process of its own: the job that it gets, and the report that it sends."""

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
from tests.crash.interruption_points import Action, Point
from tests.crash.statement_hooks import HookedDatabase


@dataclass(frozen=True)
class Job:
    """What to sync, and at which point the process takes which action against itself."""

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
    fields: dict[str, Any] = json.loads(body)
    point = fields.pop("point")
    return Job(**fields, point=Point(**point) if point else None)


def run(job: Job, channel: socket.socket) -> None:
    """Run a job, and send a report to the channel."""

    def send_report(**report: Any) -> None:
        channel.sendall(json.dumps(report, default=str).encode() + b"\n")

    points: list[Point] = []

    def reached(point: Point, connection: int) -> None:
        points.append(point)
        if point != job.point:
            return
        if job.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        send_report(reached=str(point))
        if job.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            _drop(connection)

    send_report(pid=os.getpid())
    channel.recv(1)
    try:
        with HookedDatabase(job.url, job.timeout, reached) as database:
            engine = Engine(
                database, GraphApi(job.graph, "v26.0"), TokenVault([job.key]), calls_per_second=1e4
            )
            session = UUID(job.session) if job.session else None
            request = SyncRequest(job.page_id, job.run_id, job.mode, session)
            result = sync_page(engine, request, threading.Event())
            send_report(result=asdict(result), points=[asdict(point) for point in points])
    except Exception as error:  # noqa: BLE001 - the report has any error
        send_report(error=type(error).__name__, message=str(error))


def _drop(connection: int) -> None:
    """Drop the unread result of a connection, and close it."""
    with socket.socket(fileno=os.dup(connection)) as lost:
        lost.recv(65_536)
        lost.shutdown(socket.SHUT_RDWR)
