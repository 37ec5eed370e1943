"""Times in deliveries, in every unit and form."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.webhook.times import is_plain, parse_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = datetime(2016, 3, 23, 0, 25, 52, 478_000, tzinfo=UTC)
SECOND = MOMENT.replace(microsecond=0)

# From 1973, so that none can be taken for seconds, to 2195.
milliseconds = st.integers(10**11, 10**14 - 1).map(lambda ms: ms % (7 * 10**12) + 10**11)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1458692752478, MOMENT),
        (1458692752478.0, MOMENT),
        ("1458692752478", MOMENT),
        (" 1458692752478\n", MOMENT),
        (1458692752, SECOND),
        ("1458692752", SECOND),
        (1458692752.478, MOMENT),
        (1458692752478000, MOMENT),
        (1458692752478000000, MOMENT),
        ("2016-03-23T00:25:52+0000", SECOND),
        ("2016-03-23T00:25:52.478Z", MOMENT),
        ("2016-03-23T02:25:52.478+02:00", MOMENT),
        ("2016-03-23T00:25:52", SECOND),
    ],
)
def test_every_unit_and_form_parses_to_the_same_time(value: Any, moment: datetime) -> None:
    assert parse_time(value) == moment


@pytest.mark.parametrize(
    "value",
    [
        None, 0, "0", 0.0, -1, -1458692752478, True, False, "", " ", "soon", [], {},
        [1458692752478], math.nan, math.inf, -math.inf, 10**30, 10**4000, "9" * 24,
        "9" * 5000, "-5",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z",
        "٣٢١", "²", "\ud800", "\0",
    ],
)  # fmt: skip
def test_an_invalid_time_is_none(value: Any) -> None:
    assert parse_time(value) is None


@given(milliseconds)
def test_a_time_in_milliseconds_is_exact_in_every_form(value: int) -> None:
    moment = EPOCH + timedelta(milliseconds=value)
    forms = (value, str(value), value * 1_000, moment.isoformat())
    assert {parse_time(form) for form in forms} == {moment}
    assert parse_time(value // 1_000) == moment.replace(microsecond=0)


@given(milliseconds, st.integers(1, 10**9))
def test_a_later_time_in_milliseconds_is_later(value: int, more: int) -> None:
    first, second = parse_time(value), parse_time(value + more)
    assert first is not None
    assert second is not None
    assert first < second


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.datetimes().map(str) | st.lists(st.integers(), max_size=2)
)  # fmt: skip
def test_any_value_is_an_aware_time_before_9000_or_none(value: Any) -> None:
    found = parse_time(value)
    if found is not None:
        assert found.tzinfo is UTC
        assert EPOCH < found < datetime(9000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (1458692752478, True),
        ("1458692752478", False),
        (1458692752, False),
        (1458692752478000, False),
        (1458692752478.0, False),
        (0, False),
        (True, False),
        (None, False),
    ],
)
def test_only_integer_milliseconds_have_the_documented_form(value: Any, plain: bool) -> None:
    assert is_plain(value) is plain
