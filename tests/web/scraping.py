"""Scrapes of a receiver's /metrics, parsed as Prometheus parses them."""

from dataclasses import dataclass

import requests
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.web.conftest import Receiver

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Scrape:
    """A response of /metrics."""

    families: dict[str, Metric]
    samples: dict[Series, float]

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """The value of each series of a metric, by its label values in the order of the names."""
        return {
            tuple(value for _, value in sorted(labels)): number
            for (found, labels), number in self.samples.items()
            if found == name
        }

    def counters(self) -> dict[Series, float]:
        """The series that must never decrease."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            if family.type in ("counter", "histogram")
            for sample in family.samples
        }

    def shared(self) -> dict[Series, float]:
        """The series that must be equal in all receivers, and do not depend on the time."""
        own = ("process_", "python_", "messenger_database_", "messenger_build")
        counted = (
            "messenger_webhook_deliveries_received",
            "messenger_webhook_acknowledgement",
            "messenger_webhook_body",
            "messenger_webhook_commit",
        )
        return {
            series: value
            for series, value in self.samples.items()
            if not series[0].startswith(own + counted) and not series[0].endswith("_seconds")
        }


def scrape(receiver: Receiver, accept: str = "text/plain") -> Scrape:
    answer = requests.get(receiver.url + "/metrics", headers={"Accept": accept}, timeout=30)
    assert answer.status_code == 200
    kind = "application/openmetrics-text" if "openmetrics" in accept else "text/plain"
    assert answer.headers["Content-Type"].startswith(kind)
    parse = (
        openmetrics.text_string_to_metric_families
        if "openmetrics" in accept
        else text_string_to_metric_families
    )
    found = list(parse(answer.text))
    families = {family.name: family for family in found}
    assert len(families) == len(found), "a metric is exported twice"
    samples = [sample for family in found for sample in family.samples]
    by_series = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
    assert len(by_series) == len(samples), "a series is exported twice"
    return Scrape(families, by_series)
