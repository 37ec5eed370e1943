"""/metrics, for Prometheus: this receiver's own metrics, and those that all processes share."""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from messenger_pipeline.db.metrics import Sample, SampleReader
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.web.receiver_metrics import ReceiverMetrics
from messenger_pipeline.web.shared_metrics import shared_families

_log = logging.getLogger(__name__)

METRICS_ROUTE: dict[str, Any] = {
    "summary": "Metrics for Prometheus",
    "response_class": PlainTextResponse,
    "responses": {200: {"content": {"application/openmetrics-text": {}}}},
}
"""The route's OpenAPI description."""


class MetricsEndpoint:
    """Responds to scrapes. While the database is down it still reports this process's metrics."""

    def __init__(self, own: ReceiverMetrics, shared: SampleReader) -> None:
        self._own, self._shared = own, shared

    async def get(self, request: Request) -> Response:
        began = time.perf_counter()
        samples: list[Sample] | None
        try:
            samples = await self._shared.read()
        except PipelineError as error:
            _log.warning("cannot read the metrics that the processes share: %s", error)
            samples = None
        scrape = _Scrape(self._own.registry, samples, time.perf_counter() - began)
        # In a thread: encoding takes as long as several deliveries.
        body, kind = await asyncio.to_thread(_encode, scrape, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})


def _encode(scrape: Collector, accept: str) -> tuple[bytes, str]:
    try:
        encode, kind = choose_encoder(accept)
    except TypeError:  # raised for a version that is not a number
        encode, kind = choose_encoder("")
    return encode(scrape), kind


class _Scrape(Collector):
    """The metrics of one scrape; `samples` is None if the database could not be read."""

    def __init__(self, own: Collector, samples: list[Sample] | None, seconds: float) -> None:
        self._own, self._samples, self._seconds = own, samples, seconds

    def collect(self) -> Iterator[Metric]:
        yield from self._own.collect()
        yield GaugeMetricFamily(
            "messenger_database_up",
            "Whether PostgreSQL reported what the processes share; 0: those metrics are missing.",
            self._samples is not None,
        )
        yield GaugeMetricFamily(
            "messenger_database_read_seconds",
            "How long PostgreSQL took to report that, or to fail.",
            self._seconds,
        )
        if self._samples is not None:
            yield from shared_families(self._samples)
