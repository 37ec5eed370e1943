"""An alert opens when a page's webhooks stop, measured by the page's own pattern: a page that is
quiet at night or on weekends opens none."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.webhook.drain import drain_batch
from tests.db.test_load import query
from tests.webhook.bodies import body, item, text

AddPages = Callable[..., list[str]]

MONDAY = datetime(2026, 5, 25, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
PAGE = "100"


@dataclass(frozen=True)
class Pattern:
    """The weekdays, the opening minutes of the day, and the deliveries per hour of a page."""

    weekdays: frozenset[int]
    opens: int
    closes: int
    hourly: int

    def deliveries(self, since: datetime, until: datetime) -> list[datetime]:
        step = timedelta(hours=1) / self.hourly
        found = []
        day = since.replace(hour=0, minute=0)
        while day < until:
            at = day + timedelta(minutes=self.opens)
            while day.weekday() in self.weekdays and at < day + timedelta(minutes=self.closes):
                if since <= at < until:
                    found.append(at)
                at += step
            day += timedelta(days=1)
        return found


def store(database: Database, deliveries: list[datetime]) -> None:
    """Store the counts that the drain would have stored."""
    hours: dict[datetime, list[datetime]] = {}
    for at in deliveries:
        hours.setdefault(at.replace(minute=0, second=0, microsecond=0), []).append(at)
    with database.transaction() as connection, connection.cursor() as cursor:
        cursor.execute("truncate webhook_hourly_counts")
        cursor.executemany(
            "insert into webhook_hourly_counts values (%s, %s, %s, %s, %s)",
            [(PAGE, hour, len(at), min(at), max(at)) for hour, at in hours.items()],
        )


def silent(database: Database, now: datetime) -> bool:
    found = query(
        database, "select page_id from find_webhook_conditions(%s) where kind = %s",
        now, "webhooks_missing",
    )  # fmt: skip
    return bool(found)


def forget_after(database: Database, now: datetime) -> None:
    """Delete the counts of deliveries after `now`."""
    query(database, "delete from webhook_hourly_counts where first_at > %s returning 1", now)
    query(
        database,
        "update webhook_hourly_counts set last_at = %s, deliveries = greatest(1, (deliveries *"
        " extract(epoch from %s - first_at) / extract(epoch from last_at - first_at))::int)"
        " where last_at > %s returning 1",
        now, now, now,
    )  # fmt: skip


weekdays = st.sampled_from([
    frozenset(range(5)), frozenset(range(7)), frozenset(range(6)), frozenset({1, 3, 6}),
])  # fmt: skip
patterns = st.builds(
    Pattern, weekdays, st.integers(0, 12 * 60), st.integers(13 * 60, 24 * 60), st.integers(5, 60)
)


@settings(max_examples=12)
@given(pattern=patterns, known=st.integers(8, 29))
def test_a_page_that_follows_its_pattern_is_never_silent(
    database: Database, add_pages: AddPages, pattern: Pattern, known: int
) -> None:
    add_pages()
    end = MONDAY + timedelta(days=7)
    store(database, pattern.deliveries(end - timedelta(days=known + 7), end))
    now = end
    while now > MONDAY:
        forget_after(database, now)
        assert not silent(database, now), now
        now -= HALF_HOUR


@settings(max_examples=12)
@given(
    pattern=st.builds(
        Pattern, st.sampled_from([frozenset(range(5)), frozenset(range(7))]),
        st.integers(0, 12 * 60), st.integers(13 * 60, 24 * 60), st.integers(5, 60),
    ),
    first=st.integers(0, 6),
)  # fmt: skip
def test_a_page_in_its_first_week_is_never_silent_while_it_follows_its_pattern(
    database: Database, add_pages: AddPages, pattern: Pattern, first: int
) -> None:
    """Neither on its first weekend nor on the Monday after."""
    add_pages()
    begin = MONDAY + timedelta(days=first)
    now = begin + timedelta(days=7)
    store(database, pattern.deliveries(begin, now))
    while now > begin:
        forget_after(database, now)
        assert not silent(database, now), now
        now -= HALF_HOUR


@settings(max_examples=30)
@given(pattern=patterns, known=st.integers(15, 29), stop=st.integers(0, 6 * 24 * 60))
def test_a_page_is_silent_once_enough_deliveries_are_missing(
    database: Database, add_pages: AddPages, pattern: Pattern, known: int, stop: int
) -> None:
    add_pages()
    stopped = MONDAY + timedelta(minutes=stop)
    store(database, pattern.deliveries(MONDAY - timedelta(days=known), stopped))
    missing = pattern.deliveries(stopped, MONDAY + timedelta(days=14))
    last = query(database, "select max(last_at) from webhook_hourly_counts")[0][0]
    # The sixth missing delivery, because counts are hourly; and half an hour at least.
    alerted = max(missing[5] + timedelta(hours=1), last + HALF_HOUR)
    assert silent(database, alerted)
    assert not silent(database, max(missing[0], last) - timedelta(minutes=1))


def known_for(database: Database, **span: float) -> datetime:
    """Store sixty deliveries an hour over a span until now. Returns now."""
    now = MONDAY + timedelta(days=2, hours=12)
    pattern = Pattern(frozenset(range(7)), 0, 24 * 60, 60)
    store(database, pattern.deliveries(now - timedelta(**span), now))
    return now


@pytest.mark.parametrize(("hours", "alerted"), [(23, False), (25, True), (24 * 8, True)])
def test_a_page_known_for_less_than_a_day_is_not_silent(
    database: Database, add_pages: AddPages, hours: int, alerted: bool
) -> None:
    add_pages()
    now = known_for(database, hours=hours)
    assert not silent(database, now + timedelta(minutes=28))
    assert silent(database, now + timedelta(minutes=31)) is alerted


def test_a_quiet_week_before_prevents_the_alert(database: Database, add_pages: AddPages) -> None:
    add_pages()
    now = known_for(database, days=22)
    later = now + timedelta(hours=2)
    assert silent(database, later)
    query(
        database,
        "delete from webhook_hourly_counts where hour between %s and %s returning 1",
        now - timedelta(days=14, hours=5),
        now - timedelta(days=14) + timedelta(hours=5),
    )
    assert not silent(database, later)


def test_the_pattern_follows_the_pages_clock_through_the_end_of_summer_time(
    database: Database, add_pages: AddPages
) -> None:
    """The page opens at nine in its own time zone, which is an hour later in UTC in winter."""
    add_pages()
    query(database, "update facebook_pages set time_zone = 'Europe/Berlin' returning 1")
    summer, winter = (
        Pattern(frozenset(range(7)), opens * 60, (opens + 9) * 60, 30) for opens in (7, 8)
    )
    change = datetime(2026, 10, 25, 1, tzinfo=UTC)
    deliveries = summer.deliveries(change - timedelta(days=21), change)
    store(database, deliveries)
    before_opening = datetime(2026, 10, 25, 7, 55, tzinfo=UTC)
    assert not silent(database, before_opening)
    assert silent(database, before_opening + timedelta(hours=1))
    store(database, deliveries + winter.deliveries(change, change + timedelta(days=3)))
    assert not silent(database, datetime(2026, 10, 27, 17, 55, tzinfo=UTC))
    # Without a valid zone, the alert is false on the first day of winter time.
    store(database, deliveries)
    query(database, "update facebook_pages set time_zone = 'Mars/Olympus' returning 1")
    assert silent(database, before_opening)


def test_the_drain_counts_each_item_once_in_the_hour_of_its_receipt(
    database: Database, add_pages: AddPages
) -> None:
    one, other = add_pages(2)
    ids = inbox.receive(database, [
        body(text(0, "m1", "hi", page=one), text(1, "m2", "hi", page=one), page=one),
        body(item(2, page=other, read={"watermark": 5}), page=other),
        body(text(0, "m1", "hi", page="999"), page="999"),
        body(text(9, "m3", "hi", page=one), page=one),
    ])  # fmt: skip
    received = datetime(2026, 5, 1, 11, 59, tzinfo=UTC)
    query(database, "update webhook_inbox set received_at = %s returning 1", received)
    query(database, "update webhook_inbox set received_at = %s where id = %s returning 1",
          received + timedelta(minutes=2), ids[3])  # fmt: skip
    drain_batch(database)
    eleven = received.replace(minute=0)
    noon = eleven + timedelta(hours=1)
    rows = query(database, "select * from webhook_hourly_counts order by page_id, hour")
    assert rows == [
        (one, eleven, 2, received, received, 2, 0, 0),
        (one, noon, 1, noon + timedelta(minutes=1), noon + timedelta(minutes=1), 1, 0, 0),
        (other, eleven, 1, received, received, 0, 0, 0),
    ]
    # A retried delivery was counted at its first attempt.
    query(database, "update webhook_inbox set state = 'pending', attempts = 1 returning 1")
    drain_batch(database)
    assert query(database, "select * from webhook_hourly_counts order by page_id, hour") == rows
    assert Counter(row[0] for row in rows) == {one: 2, other: 1}
