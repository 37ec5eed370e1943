"""How much one request asks for."""

from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.sync.batch_size import BatchSize

sizes = st.builds(
    lambda limit, nested, was_refused: BatchSize(limit, nested, limit, nested, was_refused),
    st.integers(1, 200),
    st.integers(1, 100),
    st.booleans(),
)


def smallest(size: BatchSize) -> BatchSize:
    while (smaller := size.smaller()) is not None:
        size = smaller
    return size


@given(sizes)
def test_refusals_shrink_a_size_down_to_one_message_of_one_thread(size: BatchSize) -> None:
    seen = [(size.limit, size.nested_limit)]
    while (smaller := size.smaller()) is not None:
        size = smaller
        seen.append((size.limit, size.nested_limit))
    assert seen[-1] == (1, 1)
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) <= 16


@given(sizes)
def test_a_size_grows_back_to_its_maximum_and_never_beyond(size: BatchSize) -> None:
    grown = smallest(size)
    for _ in range(200):
        grown = grown.larger()
        assert grown.limit <= size.max_limit
        assert grown.nested_limit <= size.max_nested_limit
    assert (grown.limit, grown.nested_limit) == (size.max_limit, size.max_nested_limit)


@given(sizes)
def test_after_a_refusal_a_size_grows_by_a_sixteenth(size: BatchSize) -> None:
    smaller = size.smaller()
    if smaller is not None:
        larger = smaller.larger()
        assert larger.limit - smaller.limit <= 1 + smaller.limit // 16
        assert larger.nested_limit - smaller.nested_limit <= 1 + smaller.nested_limit // 16


def test_before_a_refusal_the_limit_doubles() -> None:
    size, limits = BatchSize(25, 25, max_limit=100, max_nested_limit=25), []
    for _ in range(4):
        limits.append(size.limit)
        size = size.larger()
    assert limits == [25, 50, 100, 100]


@given(sizes)
def test_a_refusal_halves_the_records_and_keeps_their_messages(size: BatchSize) -> None:
    smaller = size.smaller()
    if size.limit > 1:
        assert smaller is not None
        assert (smaller.limit, smaller.nested_limit) == (size.limit // 2, size.nested_limit)
