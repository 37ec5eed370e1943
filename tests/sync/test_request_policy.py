"""Whether the next request of the list is a probe."""

from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.sync.request_policy import (
    PROBE,
    WHOLE,
    WHOLE_INCREMENTAL,
    RequestPolicy,
)
from messenger_pipeline.sync.request_sizes import RequestSizes

totals = st.integers(0, 200)
policies = st.builds(RequestPolicy, st.just(WHOLE), st.just(PROBE), st.booleans())
shares = totals.flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


def test_the_first_request_depends_on_the_cutoff_and_on_what_is_stored() -> None:
    first = {
        (has_cutoff, known): RequestPolicy.start(
            RequestSizes(), has_cutoff=has_cutoff, likely_known=known
        ).size
        for has_cutoff in (False, True)
        for known in (False, True)
    }
    assert first == {
        (False, False): WHOLE,
        (True, False): WHOLE_INCREMENTAL,
        (False, True): PROBE,
        (True, True): PROBE,
    }


@given(policies, shares)
def test_only_a_probe_is_repeated_and_the_repeat_asks_for_whole_threads(
    policy: RequestPolicy, share: tuple[int, int]
) -> None:
    if policy.must_repeat(*share):
        assert policy.probing
        repeat = policy.after(*share)
        assert repeat.size == WHOLE
        assert not repeat.must_repeat(*share)


@given(policies, shares)
def test_a_request_that_is_not_repeated_is_followed_by_one_of_the_kind_that_fits_its_answer(
    policy: RequestPolicy, share: tuple[int, int]
) -> None:
    changed, total = share
    few = changed <= max(2, total // 20)
    assert policy.after(changed, total).probing == few
    assert policy.must_repeat(changed, total) == (policy.probing and not few)


@given(policies, shares, shares)
def test_more_changed_threads_never_lead_to_a_probe(
    policy: RequestPolicy, share: tuple[int, int], other: tuple[int, int]
) -> None:
    (changed, total), (more, _) = share, other
    if more >= changed and not policy.after(changed, total).probing:
        assert not policy.after(more, total).probing


def test_a_twentieth_of_an_answer_and_two_threads_of_a_small_one_are_few() -> None:
    probe = RequestPolicy(WHOLE, PROBE, probing=True)
    assert not probe.must_repeat(10, 200)
    assert probe.must_repeat(11, 200)
    assert not probe.must_repeat(2, 2)
    assert probe.must_repeat(3, 3)


@given(policies)
def test_each_kind_of_request_has_a_size_of_its_own(policy: RequestPolicy) -> None:
    smaller = policy.size.smaller()
    assert smaller is not None
    changed = policy.with_size(smaller)
    assert changed.size == smaller
    assert (changed.whole == WHOLE) == policy.probing
    assert (changed.probe == PROBE) == (not policy.probing)
