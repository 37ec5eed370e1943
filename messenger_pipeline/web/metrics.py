"""/metrics, for Prometheus: what this receiver counts, and what all processes share."""

import asyncio
import logging
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.metrics import Figure, Figures
from messenger_pipeline.distribution import Distribution
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.web.catalogue import families
from messenger_pipeline.web.receiver_metrics import Tally

_log = logging.getLogger(__name__)

METRICS: dict[str, Any] = {
    "summary": "Metrics, as Prometheus reads them",
    "response_class": PlainTextResponse,
    "responses": {200: {"content": {"application/openmetrics-text": {}}}},
}
"""How the route is described."""


class Metrics:
    """Answers scrapes. While the database is away they tell what this process knows itself."""

    def __init__(self, tally: Tally, commit: GroupCommit) -> None:
        self._figures = Figures(commit.url, commit.schema)
        self._own = _Own(tally, commit)
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)

    async def answer(self, request: Request) -> Response:
        began = time.perf_counter()
        figures: list[Figure] | None
        try:
            figures = await self._figures.read()
        except PipelineError as error:
            _log.warning("the metrics that the processes share cannot be read: %s", error)
            figures = None
        seconds = time.perf_counter() - began
        told = _Told(self._process, self._own, figures, seconds)
        # Writing it down takes as long as some deliveries do.
        body, kind = await asyncio.to_thread(_encoded, told, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})


def _encoded(told: Collector, accept: str) -> tuple[bytes, str]:
    try:
        encode, kind = choose_encoder(accept)
    except TypeError:  # of a version that is no number
        encode, kind = choose_encoder("")
    return encode(told), kind


class _Told(Collector):
    """All that one scrape is told."""

    def __init__(
        self,
        process: CollectorRegistry,
        own: "_Own",
        figures: list[Figure] | None,
        seconds: float,
    ) -> None:
        self._process, self._own = process, own
        self._figures, self._seconds = figures, seconds

    def collect(self) -> Iterator[Metric]:
        yield from self._process.collect()
        yield InfoMetricFamily(
            "messenger_build",
            "The version of messenger-pipeline that answers.",
            {"version": version("messenger-pipeline")},
        )
        yield from self._own.collect()
        yield GaugeMetricFamily(
            "messenger_database_up",
            "Whether PostgreSQL told what the processes share; 0: those metrics are missing.",
            self._figures is not None,
        )
        yield GaugeMetricFamily(
            "messenger_database_read_seconds",
            "How long it took PostgreSQL to tell that, or not to.",
            self._seconds,
        )
        if self._figures is not None:
            yield from families(self._figures)


class _Own:
    """What this receiver alone knows, since it was started."""

    def __init__(self, tally: Tally, commit: GroupCommit) -> None:
        self._tally, self._commit = tally, commit

    def collect(self) -> Iterator[Metric]:
        answered = CounterMetricFamily(
            "messenger_webhook_deliveries_received",
            "Deliveries by the HTTP status of the answer; 499: the sender went away before.",
            labels=["status"],
        )
        for status, count in [*self._tally.statuses.items()]:
            answered.add_metric([str(status)], count)
        yield answered
        yield _histogram(
            "messenger_webhook_acknowledgement_seconds",
            "From a delivery's headers until it was acknowledged; Meta waits five seconds.",
            self._tally.seconds,
        )
        yield CounterMetricFamily(
            "messenger_webhook_body_bytes",
            "Bytes of the bodies that were committed.",
            self._tally.kept_bytes,
        )
        yield _histogram(
            "messenger_webhook_commit_deliveries",
            "Commits, by how many deliveries shared one.",
            self._commit.sizes,
        )
        yield CounterMetricFamily(
            "messenger_webhook_commits_failed",
            "Commits that PostgreSQL did not take; Meta repeats their deliveries.",
            self._commit.failures,
        )


def _histogram(name: str, meaning: str, seen: Distribution) -> HistogramMetricFamily:
    buckets = [
        ("+Inf" if bound == float("inf") else str(bound), count) for bound, count in seen.buckets()
    ]
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=seen.total)
