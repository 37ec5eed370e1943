"""/metrics, for Prometheus: this receiver's own metrics, and those that all processes share."""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from messenger_pipeline.db.metrics import Sample, SampleReader
from messenger_pipeline.errors import reason_of
from messenger_pipeline.web.receiver_metrics import ReceiverMetrics
from messenger_pipeline.web.shared_metrics import GROUP_UP, shared_families

_log = logging.getLogger(__name__)

METRICS_ROUTE: dict[str, Any] = {
    "summary": "Metrics for Prometheus",
    "response_class": PlainTextResponse,
    "responses": {200: {"content": {"application/openmetrics-text": {}}}},
}
"""The route's OpenAPI description."""


class MetricsEndpoint:
    """Responds to scrapes. While the database is down it still reports this process's metrics, and
    a group of metrics that fails is left out and reported as such."""

    def __init__(self, own: ReceiverMetrics, shared: SampleReader) -> None:
        self._own, self._shared = own, shared

    async def get(self, request: Request) -> Response:
        began = time.perf_counter()
        samples: list[Sample] | None
        try:
            samples = await self._shared.read()
        except Exception as error:  # noqa: BLE001 - the other metrics are reported
            _log.warning("cannot read the metrics that the processes share: %s", reason_of(error))
            samples = None
        scrape = _Scrape(self._own.collectors, samples, time.perf_counter() - began)
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
    """The metrics of one scrape; `own` are this process's collectors by group. `samples` is None if
    the database could not be read."""

    def __init__(
        self, own: Mapping[str, Collector], samples: list[Sample] | None, seconds: float
    ) -> None:
        self._own, self._samples, self._seconds = own, samples, seconds

    def collect(self) -> Iterator[Metric]:
        groups = GaugeMetricFamily(
            GROUP_UP,
            "Whether a group of metrics could be read; 0: its metrics are missing.",
            labels=["group"],
        )
        for name, collector in self._own.items():
            families = _collected(name, collector)
            yield from families or ()
            groups.add_metric([name], families is not None)
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
        for sample in self._samples or ():
            if sample.metric == GROUP_UP:
                groups.add_metric(sample.labels, sample.value)
        yield groups
        if self._samples is not None:
            yield from shared_families(self._samples)


def _collected(name: str, collector: Collector) -> list[Metric] | None:
    """A collector's metrics; None if it fails."""
    try:
        return list(collector.collect())
    except Exception as error:  # noqa: BLE001 - the other metrics are reported
        _log.warning("cannot collect the metrics of the group %s: %s", name, reason_of(error))
        return None
