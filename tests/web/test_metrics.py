"""What a receiver tells Prometheus of itself, and while the database is away or busy."""

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import requests

from messenger_pipeline.db import metrics
from messenger_pipeline.distribution import Distribution
from messenger_pipeline.errors import DatabaseUnavailable
from messenger_pipeline.project import PROJECT
from messenger_pipeline.web.catalogue import SHARED
from tests.web.conftest import Receiving, received_at
from tests.web.scraping import OPENMETRICS, Scrape, scrape
from tests.web.test_commits import inbox_locked, until, waiting_inserts

NOWHERE = "postgresql://nobody:a-password@127.0.0.1:9/nowhere"


@pytest.fixture
def alone(url: str) -> Iterator[Receiving]:
    """A receiver with a database of its own."""
    with received_at(url) as receiving:
        yield receiving


@contextmanager
def totals_locked(url: str) -> Iterator[None]:
    """The figures cannot be read meanwhile."""
    with psycopg.connect(url) as connection:
        connection.execute("lock table sync_totals in access exclusive mode")
        yield


def readers(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select from pg_stat_activity where application_name = 'messenger-pipeline metrics'"
            " and wait_event_type = 'Lock' and datname = current_database()"
        )
        return found.rowcount


def deliveries(told: Scrape) -> dict[str, float]:
    found = told.values("messenger_webhook_deliveries_received_total")
    return {status: value for (status,), value in found.items() if value}


def test_a_distribution_counts_each_observation_in_every_bucket_that_holds_it() -> None:
    seen = Distribution((1, 2, 5))
    for value in (0.5, 1, 1.5, 5, 6, 7):
        seen.add(value)
    assert seen.buckets() == [(1, 2), (2, 3), (5, 4), (float("inf"), 6)]
    assert seen.total == 21


def test_deliveries_are_counted_by_answer_time_bytes_and_commit(alone: Receiving) -> None:
    bodies = [b"a" * 10, b"b" * 20, b"c" * 30]
    began = time.perf_counter()
    for body in bodies:
        assert alone.post(body).status_code == 200
    took = time.perf_counter() - began
    assert alone.post(b"x", **{"X-Hub-Signature-256": "sha256=" + "0" * 64}).status_code == 403
    requests.get(alone.webhook, timeout=30)  # no delivery
    requests.put(alone.webhook, timeout=30)  # nor this
    told = scrape(alone)
    assert deliveries(told) == {"200": 3, "403": 1}
    assert told.value("messenger_webhook_acknowledgement_seconds_count") == 3
    assert 0 < told.value("messenger_webhook_acknowledgement_seconds_sum") < took
    assert told.value("messenger_webhook_body_bytes_total") == 60
    assert told.value("messenger_webhook_commit_deliveries_count") == 3
    assert told.value("messenger_webhook_commit_deliveries_sum") == 3
    assert told.value("messenger_webhook_inbox_deliveries", waiting_for="due") == 3


def test_deliveries_that_share_a_commit_count_as_one_commit(alone: Receiving, url: str) -> None:
    with ThreadPoolExecutor(11) as threads, psycopg.connect(url, autocommit=True) as watching:
        with inbox_locked(url):
            sent = [threads.submit(alone.post, b"first")]
            until(lambda: waiting_inserts(watching))
            sent += [threads.submit(alone.post, b"%d" % number) for number in range(10)]
            until(lambda: alone.commit.asked == 11)
        assert {one.result().status_code for one in sent} == {200}
    told = scrape(alone)
    assert told.value("messenger_webhook_commit_deliveries_bucket", le="1") == 1
    assert told.value("messenger_webhook_commit_deliveries_bucket", le="5") == 1
    assert told.value("messenger_webhook_commit_deliveries_bucket", le="10") == 2
    assert told.value("messenger_webhook_commit_deliveries_sum") == 11


@pytest.mark.parametrize(
    "accept", ["text/plain", OPENMETRICS, "*/*", "text/plain;version=x", "application/json"]
)
def test_each_format_tells_all_metrics_with_type_and_meaning(
    served: Receiving, accept: str
) -> None:
    told = scrape(served, accept)
    for shared in SHARED:
        # The old text format calls a counter by the name of its series.
        family = told.families[shared.name.removesuffix("_total")]
        kind = "counter" if shared.name.endswith("_total") else "gauge"
        assert (family.type, family.documentation) == (kind, shared.meaning)
    assert told.families["messenger_webhook_acknowledgement_seconds"].type == "histogram"
    assert told.value("process_open_fds") > 0


def test_without_the_database_it_tells_what_it_knows_itself(
    away: Receiving, caplog: pytest.LogCaptureFixture
) -> None:
    before = scrape(away)
    assert away.post(b"x").status_code == 503
    told = scrape(away)
    for name, more in (
        ("messenger_webhook_commits_failed_total", 1),
        ("messenger_webhook_acknowledgement_seconds_count", 0),
    ):
        assert told.value(name) - before.value(name) == more
    assert deliveries(told)["503"] - deliveries(before).get("503", 0) == 1
    assert told.value("messenger_database_up") == 0
    assert told.value("process_cpu_seconds_total") > 0
    assert not {shared.name.removesuffix("_total") for shared in SHARED} & told.families.keys()
    assert "the metrics that the processes share cannot be read: PostgreSQL" in caplog.text


def test_why_the_figures_cannot_be_read_names_no_password() -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached") as raised:
        asyncio.run(metrics.Figures(NOWHERE, "public").read())
    assert "a-password" not in str(raised.value)


def test_a_schema_without_the_figures_is_named(alone: Receiving, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("drop function list_metrics")
    assert scrape(alone).value("messenger_database_up") == 0


def test_scrapes_at_once_share_one_read(alone: Receiving, url: str) -> None:
    with ThreadPoolExecutor(5) as threads:
        with totals_locked(url):
            scrapes = [threads.submit(scrape, alone)]
            until(lambda: readers(url) == 1)
            scrapes += [threads.submit(scrape, alone) for _ in range(4)]
            # They are under way, whatever else they do: this answer comes after them.
            assert requests.get(alone.url + "/healthz", timeout=30).ok
            assert readers(url) == 1
        assert [one.result().value("messenger_database_up") for one in scrapes] == [1] * 5


def test_a_database_that_does_not_answer_keeps_neither_scrape_nor_delivery_waiting(
    alone: Receiving, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_SECONDS", 0.5)
    with ThreadPoolExecutor(2) as threads:
        with totals_locked(url):
            waiting = [threads.submit(scrape, alone) for _ in range(2)]
            until(lambda: readers(url) == 1)
            assert alone.post(b"x").elapsed.total_seconds() < 0.4
            assert [one.result().value("messenger_database_up") for one in waiting] == [0, 0]
            # What was given up is ended in the database too.
            until(lambda: readers(url) == 0)
        told = scrape(alone)
    assert told.value("messenger_database_up") == 1
    assert deliveries(told) == {"200": 1}


def test_the_documentation_names_each_metric_and_no_other(served: Receiving) -> None:
    text = (PROJECT / "docs" / "metrics.md").read_text()
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(messenger_\w+)`", tables))
    told = {
        name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        for name, family in scrape(served, OPENMETRICS).families.items()
    }
    assert named == {name for name in told if name.startswith("messenger_")}
