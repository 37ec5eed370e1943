"""Usage headers."""

import json

from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.graph.limits import Usage, parse_usage


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


@given(st.text() | st.recursive(
    st.none() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["call_count", "x"]), inner),
).map(json.dumps))  # fmt: skip
def test_no_header_raises_an_error(header: str) -> None:
    parse_usage({"X-App-Usage": header, "X-Business-Use-Case-Usage": header})
