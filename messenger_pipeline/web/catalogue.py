"""The metrics that all processes share: what each is called, what it means.

The values come from PostgreSQL (the function list_metrics). Several receivers tell the same ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from messenger_pipeline.db.metrics import Figure


@dataclass(frozen=True)
class Shared:
    """A metric; one whose name ends in _total is a counter, any other a gauge."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    def family(self) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        return kind(self.name, self.meaning, labels=self.labels)


SHARED = (
    Shared("messenger_webhook_deliveries_settled_total",
           "Deliveries that were applied (done), had nothing of ours in them (ignored), or of which"
           " something was quarantined (failed); a replayed one counts each time.", ("state",)),
    Shared("messenger_webhook_deliveries_put_off_total",
           "Times that a delivery was left for later: to be tried again, or for want of its page."),
    Shared("messenger_webhook_inbox_deliveries",
           "Deliveries that wait in the inbox, and for what; no more than 100000 are counted.",
           ("waiting_for",)),
    Shared("messenger_webhook_inbox_oldest_wait_seconds",
           "For how long the delivery that is due longest has been due."),
    Shared("messenger_webhook_apply_lag_median_seconds",
           "Median from received to applied, last five minutes; absent if none was applied."),
    Shared("messenger_webhook_apply_lag_max_seconds",
           "Longest from received to applied, last five minutes; absent if none was applied."),
    Shared("messenger_sync_sessions_ended_total",
           "Sync sessions that ended. A session may take several runs.", ("mode", "outcome")),
    Shared("messenger_sync_runs_ended_total",
           "Runs that walked a page: completed, partial (another goes on) or failed.",
           ("outcome",)),
    Shared("messenger_sync_conversations_total",
           "Conversations that syncs loaded, by what changed.", ("result",)),
    Shared("messenger_sync_events_created_total", "Events that syncs stored for the first time."),
    Shared("messenger_sync_records_quarantined_total",
           "Records of syncs that could not be used; one that is met again counts again."),
    Shared("messenger_sync_open_sessions",
           "Sync sessions that are not complete yet, by what they wait for.", ("state",)),
    Shared("messenger_sync_requests_waiting",
           "Syncs that somebody asked for and that no run has begun."),
    Shared("messenger_graph_api_calls_total",
           "Calls to Meta's Graph API that syncs made, failed ones too."),
    Shared("messenger_graph_api_errors_total",
           "Calls of syncs that failed, by Meta's code, else by HTTP status, else 'no answer'.",
           ("code",)),
    Shared("messenger_graph_api_waited_seconds_total",
           "Seconds that syncs waited because of Meta's limits."),
    Shared("messenger_graph_api_usage_ratio",
           "Share of Meta's quota that is used up, of the app, token or page that used most of its"
           " own, as told within ten minutes; less than a quarter may be told as 0.", ("scope",)),
    Shared("messenger_graph_api_paused_scopes",
           "Apps, tokens and pages whose calls are paused because Meta refused one.", ("scope",)),
    Shared("messenger_graph_api_pause_left_seconds", "Until the last of these pauses ends."),
    Shared("messenger_pages", "Pages of the registry.", ("status",)),
    Shared("messenger_pages_late",
           "Active pages whose last completed sync began longer ago than four of their intervals."),
    Shared("messenger_page_lag_max_seconds",
           "Since the last completed sync began, of the active page for which that is longest."),
    Shared("messenger_thread_gaps_open", "Stretches of threads' history still to be read."),
    Shared("messenger_quarantined_records", "Records in quarantine now."),
    Shared("messenger_alerts_open", "Alerts that are open.", ("kind", "severity")),
    Shared("messenger_dagster_heartbeat_age_seconds",
           "Since Dagster's daemon was last heard of; absent if it never was."),
)  # fmt: skip


def families(figures: Iterable[Figure]) -> Iterator[Metric]:
    """Every metric of the catalogue, with the samples that there are."""
    found = {shared.name: shared.family() for shared in SHARED}
    for figure in figures:
        # The schema may be of a later version, and know more.
        if figure.metric in found:
            found[figure.metric].add_metric(figure.labels, figure.value)
    yield from found.values()
