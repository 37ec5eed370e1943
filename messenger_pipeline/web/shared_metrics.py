"""The metrics that all processes share: their names, help texts and labels.

The values come from PostgreSQL (the function list_metrics), so all receivers report the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from messenger_pipeline.db.metrics import Sample


@dataclass(frozen=True)
class SharedMetric:
    """A counter if its name ends in _total, else a gauge."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def family(self) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        return kind(self.name, self.help, labels=self.labels)


SHARED_METRICS = (
    SharedMetric(
        "messenger_webhook_deliveries_settled_total",
        "Deliveries that were applied (done), had nothing for us in them (ignored), or had"
        " something quarantined (failed); a replayed one counts each time.",
        ("state",),
    ),
    SharedMetric(
        "messenger_webhook_deliveries_put_off_total",
        "Times that a delivery was put off: to be retried, or because its page is not registered.",
    ),
    SharedMetric(
        "messenger_webhook_inbox_deliveries",
        "Deliveries in the inbox, by what they wait for; at most 100000 are counted.",
        ("waiting_for",),
    ),
    SharedMetric(
        "messenger_webhook_inbox_oldest_wait_seconds",
        "How long the most overdue delivery has been due.",
    ),
    SharedMetric(
        "messenger_webhook_apply_lag_median_seconds",
        "Median from received to applied, last five minutes; absent if none was applied.",
    ),
    SharedMetric(
        "messenger_webhook_apply_lag_max_seconds",
        "Longest from received to applied, last five minutes; absent if none was applied.",
    ),
    SharedMetric(
        "messenger_sync_sessions_ended_total",
        "Sync sessions that ended. A session may take several runs.",
        ("mode", "outcome"),
    ),
    SharedMetric(
        "messenger_sync_runs_ended_total",
        "Runs that walked a page: completed, partial (another run resumes it) or failed.",
        ("outcome",),
    ),
    SharedMetric(
        "messenger_sync_conversations_total",
        "Conversations that syncs loaded, by what changed.",
        ("result",),
    ),
    SharedMetric(
        "messenger_sync_events_created_total", "Events that syncs stored for the first time."
    ),
    SharedMetric(
        "messenger_sync_records_quarantined_total",
        "Records of syncs that could not be used; one that is seen again counts again.",
    ),
    SharedMetric(
        "messenger_sync_open_sessions",
        "Sync sessions that are not complete yet, by what they wait for.",
        ("state",),
    ),
    SharedMetric("messenger_sync_requests_waiting", "Requested syncs that no run has started."),
    SharedMetric(
        "messenger_graph_api_calls_total",
        "Calls to Meta's Graph API that syncs made, failed ones too.",
    ),
    SharedMetric(
        "messenger_graph_api_errors_total",
        "Calls of syncs that failed, by Meta's code, else by HTTP status, else 'no answer'.",
        ("code",),
    ),
    SharedMetric(
        "messenger_graph_api_waited_seconds_total",
        "Seconds that syncs waited because of Meta's limits.",
    ),
    SharedMetric(
        "messenger_graph_api_usage_ratio",
        "Share of Meta's quota that is used, of the app, token or page that used most of its own,"
        " as reported within ten minutes; less than a quarter may be reported as 0.",
        ("scope",),
    ),
    SharedMetric(
        "messenger_graph_api_paused_scopes",
        "Apps, tokens and pages whose calls are paused because Meta refused one.",
        ("scope",),
    ),
    SharedMetric(
        "messenger_graph_api_pause_left_seconds", "Seconds until the last of these pauses ends."
    ),
    SharedMetric("messenger_pages", "Pages of the registry.", ("status",)),
    SharedMetric(
        "messenger_pages_late",
        "Active pages whose last completed sync began longer ago than four of their intervals.",
    ),
    SharedMetric(
        "messenger_page_lag_max_seconds",
        "Seconds since the last completed sync began, of the active page that is furthest behind.",
    ),
    SharedMetric("messenger_thread_gaps_open", "Stretches of threads' history still to be read."),
    SharedMetric("messenger_quarantined_records", "Records in quarantine now."),
    SharedMetric("messenger_alerts_open", "Alerts that are open.", ("kind", "severity")),
    SharedMetric(
        "messenger_dagster_heartbeat_age_seconds",
        "Seconds since the last heartbeat of Dagster's daemon; absent if there was none.",
    ),
)


GROUP_UP = "messenger_metrics_group_up"
"""Whether a group of metrics could be read. The database reports its groups, a receiver its own."""


def shared_families(samples: Iterable[Sample]) -> Iterator[Metric]:
    """Every shared metric with its samples; one without samples has a type and help text only."""
    metrics = {metric.name: metric for metric in SHARED_METRICS}
    families = {metric.name: metric.family() for metric in SHARED_METRICS}
    for sample in samples:
        metric = metrics.get(sample.metric)
        # The schema may be newer than this program, and report more, or with other labels.
        if metric and _fits(sample, metric):
            families[sample.metric].add_metric(sample.labels, sample.value)
    yield from families.values()


def _fits(sample: Sample, metric: SharedMetric) -> bool:
    """Whether a sample can be exported: one that cannot would fail the whole scrape."""
    return (
        isinstance(sample.value, int | float)
        and len(sample.labels or ()) == len(metric.labels)
        and all(isinstance(label, str) for label in sample.labels or ())
    )
