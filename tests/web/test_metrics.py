"""The metrics that a receiver reports of itself, and while the database is down or busy."""

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import requests
from prometheus_client import ProcessCollector

from messenger_pipeline.db import metrics
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseUnavailable
from messenger_pipeline.project import PROJECT
from messenger_pipeline.web.receiver_metrics import ReceiverMetrics
from messenger_pipeline.web.shared_metrics import SHARED_METRICS
from tests.web.conftest import Receiver, serve_receiver
from tests.web.scraping import OPENMETRICS, Scrape, scrape
from tests.web.test_group_commit import inbox_locked, until, waiting_inserts

NOWHERE = "postgresql://nobody:a-password@127.0.0.1:9/nowhere"


@pytest.fixture
def alone(url: str) -> Iterator[Receiver]:
    """A receiver with a database of its own."""
    with serve_receiver(url) as receiver:
        yield receiver


@contextmanager
def totals_locked(url: str) -> Iterator[None]:
    """While this is open the shared metrics cannot be read."""
    with psycopg.connect(url) as connection:
        connection.execute("lock table messenger_pipeline.sync_totals in access exclusive mode")
        yield


def waiting_readers(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select from pg_stat_activity where application_name = 'messenger-pipeline metrics'"
            " and wait_event_type = 'Lock' and datname = current_database()"
        )
        return found.rowcount


def deliveries(scraped: Scrape) -> dict[str, float]:
    found = scraped.values("messenger_webhook_deliveries_received_total")
    return {status: value for (status,), value in found.items() if value}


def test_deliveries_are_counted_by_status_time_bytes_and_commit(alone: Receiver) -> None:
    bodies = [b"a" * 10, b"b" * 20, b"c" * 30]
    began = time.perf_counter()
    for body in bodies:
        assert alone.post(body).status_code == 200
    took = time.perf_counter() - began
    assert alone.post(b"x", **{"X-Hub-Signature-256": "sha256=" + "0" * 64}).status_code == 403
    requests.get(alone.webhook, timeout=30)  # not a delivery
    requests.put(alone.webhook, timeout=30)  # neither
    scraped = scrape(alone)
    assert deliveries(scraped) == {"200": 3, "403": 1}
    assert scraped.value("messenger_webhook_acknowledgement_seconds_count") == 3
    assert 0 < scraped.value("messenger_webhook_acknowledgement_seconds_sum") < took
    assert scraped.value("messenger_webhook_body_bytes_total") == 60
    assert scraped.value("messenger_webhook_commit_deliveries_count") == 3
    assert scraped.value("messenger_webhook_commit_deliveries_sum") == 3
    assert scraped.value("messenger_webhook_inbox_deliveries", waiting_for="due") == 3


def test_each_application_counts_for_itself() -> None:
    """Several may run in one process, such as in these tests."""
    one, two = ReceiverMetrics(), ReceiverMetrics()
    for seconds in (0.0025, 0.003, 7):
        one.delivery_acknowledged(seconds)
    one.delivery_refused(499)
    name = "messenger_webhook_acknowledgement_seconds"
    for bound, count in (("0.0025", 1), ("0.005", 2), ("5.0", 2), ("+Inf", 3)):
        assert one.registry.get_sample_value(f"{name}_bucket", {"le": bound}) == count
    assert one.registry.get_sample_value(f"{name}_sum") == pytest.approx(7.0055)
    assert two.registry.get_sample_value(f"{name}_count") == 0
    received = "messenger_webhook_deliveries_received_total"
    assert one.registry.get_sample_value(received, {"status": "499"}) == 1
    assert two.registry.get_sample_value(received, {"status": "499"}) is None


def test_deliveries_that_share_a_commit_count_as_one_commit(alone: Receiver, url: str) -> None:
    with ThreadPoolExecutor(11) as threads, psycopg.connect(url, autocommit=True) as watching:
        with inbox_locked(url):
            sent = [threads.submit(alone.post, b"first")]
            until(lambda: waiting_inserts(watching))
            sent += [threads.submit(alone.post, b"%d" % number) for number in range(10)]
            until(lambda: alone.commit.submitted == 11)
        assert {one.result().status_code for one in sent} == {200}
    scraped = scrape(alone)
    assert scraped.value("messenger_webhook_commit_deliveries_bucket", le="1.0") == 1
    assert scraped.value("messenger_webhook_commit_deliveries_bucket", le="5.0") == 1
    assert scraped.value("messenger_webhook_commit_deliveries_bucket", le="10.0") == 2
    assert scraped.value("messenger_webhook_commit_deliveries_sum") == 11


@pytest.mark.parametrize(
    "accept", ["text/plain", OPENMETRICS, "*/*", "text/plain;version=x", "application/json"]
)
def test_each_format_has_type_and_help_of_all_metrics(served: Receiver, accept: str) -> None:
    scraped = scrape(served, accept)
    for shared in SHARED_METRICS:
        # The parser of the text format drops the suffix.
        family = scraped.families[shared.name.removesuffix("_total")]
        kind = "counter" if shared.name.endswith("_total") else "gauge"
        assert (family.type, family.documentation) == (kind, shared.help)
    assert scraped.families["messenger_webhook_acknowledgement_seconds"].type == "histogram"
    assert scraped.value("process_open_fds") > 0


def test_without_the_database_a_receiver_reports_its_own_metrics(
    without_database: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    before = scrape(without_database)
    assert without_database.post(b"x").status_code == 503
    scraped = scrape(without_database)
    for name, more in (
        ("messenger_webhook_commits_failed_total", 1),
        ("messenger_webhook_acknowledgement_seconds_count", 0),
    ):
        assert scraped.value(name) - before.value(name) == more
    assert deliveries(scraped)["503"] - deliveries(before).get("503", 0) == 1
    assert scraped.value("messenger_database_up") == 0
    assert scraped.value("process_cpu_seconds_total") > 0
    assert (
        not {shared.name.removesuffix("_total") for shared in SHARED_METRICS}
        & scraped.families.keys()
    )
    assert "cannot read the metrics that the processes share: PostgreSQL" in caplog.text


def test_the_error_of_a_failed_read_has_no_password() -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached") as raised:
        asyncio.run(metrics.SampleReader(NOWHERE, "public").read())
    assert "a-password" not in str(raised.value)


def test_a_schema_without_the_metrics_function_is_reported_as_down(
    alone: Receiver, url: str
) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("drop function messenger_pipeline.list_metrics")
    assert scrape(alone).value("messenger_database_up") == 0


def test_concurrent_scrapes_share_one_query(alone: Receiver, url: str) -> None:
    with ThreadPoolExecutor(5) as threads:
        with totals_locked(url):
            scrapes = [threads.submit(scrape, alone)]
            until(lambda: waiting_readers(url) == 1)
            scrapes += [threads.submit(scrape, alone) for _ in range(4)]
            # This response comes after theirs have started.
            assert requests.get(alone.url + "/healthz", timeout=30).ok
            assert waiting_readers(url) == 1
        assert [one.result().value("messenger_database_up") for one in scrapes] == [1] * 5


def test_a_hanging_database_delays_neither_scrapes_nor_deliveries(
    alone: Receiver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_READ_TIMEOUT", 0.5)
    with ThreadPoolExecutor(2) as threads:
        with totals_locked(url):
            waiting = [threads.submit(scrape, alone) for _ in range(2)]
            until(lambda: waiting_readers(url) == 1)
            assert alone.post(b"x").elapsed.total_seconds() < 0.4
            assert [one.result().value("messenger_database_up") for one in waiting] == [0, 0]
            # The abandoned query is cancelled in the database too.
            until(lambda: waiting_readers(url) == 0)
        scraped = scrape(alone)
    assert scraped.value("messenger_database_up") == 1
    assert deliveries(scraped) == {"200": 1}


def test_the_documentation_lists_exactly_the_exported_metrics(served: Receiver) -> None:
    text = (PROJECT / "docs" / "metrics.md").read_text()
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(messenger_\w+)`", tables))
    scraped = {
        name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        for name, family in scrape(served, OPENMETRICS).families.items()
    }
    assert named == {name for name in scraped if name.startswith("messenger_")}


def test_a_group_of_shared_metrics_that_fails_leaves_the_others(
    alone: Receiver, database: Database
) -> None:
    with database.transaction() as connection:
        connection.execute(
            "create or replace function get_page_figures() returns table (metric text,"
            " labels text[], value double precision) language plpgsql as"
            " $$ begin raise exception 'broken'; end $$"
        )
    scraped = scrape(alone)
    up = scraped.values("messenger_metrics_group_up")
    assert {group for (group,), value in up.items() if value == 0} == {"pages"}
    assert scraped.values("messenger_pages") == {}
    assert scraped.value("messenger_webhook_inbox_deliveries", waiting_for="due") == 0
    assert scraped.value("messenger_sync_requests_waiting") == 0
    assert scraped.value("messenger_database_up") == 1


def test_samples_that_cannot_be_exported_are_left_out(alone: Receiver, database: Database) -> None:
    """As a newer schema may report them."""
    with database.transaction() as connection:
        connection.execute(
            "create or replace function get_page_figures() returns table (metric text,"
            " labels text[], value double precision) language sql as $$"
            " values ('messenger_pages', array['a', 'b'], 1::double precision),"
            " ('messenger_pages', array[null], 1), ('messenger_pages', null, 1),"
            " ('messenger_pages_late', '{}', null), ('messenger_pages', array['active'], 3) $$"
        )
    scraped = scrape(alone)
    assert scraped.values("messenger_pages") == {("active",): 3}
    assert "messenger_pages_late" not in {name for name, _ in scraped.samples}


def test_a_collector_of_the_process_that_fails_leaves_the_others(
    alone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> object:
        raise PermissionError("/proc cannot be read")

    monkeypatch.setattr(ProcessCollector, "collect", failing)
    scraped = scrape(alone)
    up = scraped.values("messenger_metrics_group_up")
    assert {group for (group,), value in up.items() if value == 0} == {"process"}
    assert "process_open_fds" not in scraped.families
    assert scraped.value("messenger_database_up") == 1
    assert deliveries(scraped) == {}


def test_any_error_of_the_shared_metrics_leaves_the_receivers_own(
    alone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(_: object) -> object:
        raise KeyError("value")

    monkeypatch.setattr(metrics.SampleReader, "read", failing)
    scraped = scrape(alone)
    assert scraped.value("messenger_database_up") == 0
    assert scraped.value("process_open_fds") > 0
