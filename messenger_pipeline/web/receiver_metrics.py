"""What this receiver counts about itself, from 0 when it starts."""

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.registry import Collector

from messenger_pipeline.db.group_commit import MAX_BATCH

CLIENT_DISCONNECTED = 499
"""The status that counts deliveries whose sender disconnected before the body was complete. They
get no response. (nginx's code for it.)"""

_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, MAX_BATCH)

# Counters start with the process, whose start process_start_time_seconds already reports.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations


class ReceiverMetrics:
    """The receiver's counters and histograms, in a registry of their own: one per application."""

    def __init__(self) -> None:
        self.registry = registry = _own_registry()
        self.collectors: dict[str, Collector] = {"receiver": registry, **_process_collectors()}
        """What this process reports, by group: one that fails leaves the others."""
        self._deliveries = Counter(
            "messenger_webhook_deliveries_received",
            "Deliveries by the HTTP status of the response; 499: the sender disconnected before.",
            ["status"],
            registry=registry,
        )
        # Each label is looked up once, not per delivery. These are exported from 0.
        self._by_status = {code: self._deliveries.labels(code) for code in (200, 403, 413, 503)}
        self._seconds = Histogram(
            "messenger_webhook_acknowledgement_seconds",
            "From a delivery's headers until it was acknowledged; Meta waits five seconds.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._body_bytes = Counter(
            "messenger_webhook_body_bytes",
            "Bytes of the bodies that were committed.",
            registry=registry,
        )
        self._commits, self._failed_commits = _commit_metrics(registry)

    def delivery_acknowledged(self, seconds: float) -> None:
        """Count a 200. `seconds`: from the delivery's headers until the response was sent."""
        self._by_status[200].inc()
        self._seconds.observe(seconds)

    def delivery_refused(self, status: int) -> None:
        if status not in self._by_status:
            self._by_status[status] = self._deliveries.labels(status)
        self._by_status[status].inc()

    def body_committed(self, size: int) -> None:
        self._body_bytes.inc(size)

    def commit_succeeded(self, deliveries: int) -> None:
        self._commits.observe(deliveries)

    def commit_failed(self) -> None:
        self._failed_commits.inc()


def _own_registry() -> CollectorRegistry:
    """A registry with our version."""
    registry = CollectorRegistry()
    build = Info(
        "messenger_build", "The version of messenger-pipeline that responds.", registry=registry
    )
    build.info({"version": version("messenger-pipeline")})
    return registry


def _process_collectors() -> dict[str, Collector]:
    """What prometheus-client knows about the process, each in a registry of its own."""
    collectors: dict[str, Collector] = {}
    for name, collector in (
        ("process", ProcessCollector),
        ("platform", PlatformCollector),
        ("garbage_collection", GCCollector),
    ):
        registry = CollectorRegistry()
        collector(registry=registry)
        collectors[name] = registry
    return collectors


def _commit_metrics(registry: CollectorRegistry) -> tuple[Histogram, Counter]:
    return (
        Histogram(
            "messenger_webhook_commit_deliveries",
            "Commits, by how many deliveries shared one.",
            buckets=_BATCH_SIZES,
            registry=registry,
        ),
        Counter(
            "messenger_webhook_commits_failed",
            "Commits that failed; Meta sends their deliveries again.",
            registry=registry,
        ),
    )
