"""Usage headers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.graph.limits import Usage, parse_usage


def business(kind: str, percent: int, minutes: Any) -> dict[str, str]:
    """The header for one use case."""
    usage = {"type": kind, "call_count": percent, "estimated_time_to_regain_access": minutes}
    return {"X-Business-Use-Case-Usage": json.dumps({"1": [usage]})}


def test_the_highest_percentage_of_each_header_counts() -> None:
    headers = {
        "X-App-Usage": '{"call_count":28,"total_time":25,"total_cputime":91}',
        "X-Page-Usage": '{"call_count":5}',
    }
    assert parse_usage(headers) == Usage(app=91, page=5)


def test_a_business_id_repeated_as_a_key_is_counted_each_time() -> None:
    header = (
        '{"1":[{"type":"messenger","call_count":97,"estimated_time_to_regain_access":3}],'
        '"1":[{"type":"pages","call_count":10}]}'
    )
    usage = parse_usage({"X-Business-Use-Case-Usage": header})
    assert usage == Usage(business=97, regain_seconds=180)


@pytest.mark.parametrize("kind", ["messenger", "instagram", "pages"])
def test_the_use_cases_of_our_calls_count(kind: str) -> None:
    assert parse_usage(business(kind, 97, 3)) == Usage(business=97, regain_seconds=180)


@pytest.mark.parametrize("kind", ["ads_insights", "ads_management", "leadgen", "whatsapp"])
def test_other_use_cases_of_a_business_do_not_concern_us(kind: str) -> None:
    assert parse_usage(business(kind, 100, 60)) == Usage()


def test_only_our_use_cases_count_of_an_id_that_is_repeated() -> None:
    header = (
        '{"1":[{"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":60}],'
        '"1":[{"type":"pages","call_count":12}],"2":[{"type":"messenger","total_time":34}]}'
    )
    assert parse_usage({"X-Business-Use-Case-Usage": header}) == Usage(business=34)


@pytest.mark.parametrize(
    ("minutes", "seconds"),
    [(20_000, 86_400), (-5, 0), (1e400, 0), (10**400, 0), ("19", 0), (True, 60)],
)
def test_the_time_to_regain_access_is_between_0_and_a_day(minutes: Any, seconds: float) -> None:
    assert parse_usage(business("messenger", 100, minutes)).regain_seconds == seconds


@given(st.text() | st.recursive(
    st.none() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["call_count", "x"]), inner),
).map(json.dumps))  # fmt: skip
def test_no_header_raises_an_error(header: str) -> None:
    parse_usage({"X-App-Usage": header, "X-Business-Use-Case-Usage": header})
