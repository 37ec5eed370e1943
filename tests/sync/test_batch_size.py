"""How much one call asks for."""

from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.sync.batch_size import Portion
from messenger_pipeline.sync.thread_list import FEW, PROBE, WHOLE

portions = st.builds(
    lambda most, most_nested, refused: Portion(most, most_nested, most, most_nested, refused),
    st.integers(1, 200),
    st.integers(1, 100),
    st.booleans(),
)


@given(portions)
def test_a_portion_that_is_refused_gets_smaller_down_to_one_message_of_one_thread(
    portion: Portion,
) -> None:
    sizes = [(portion.records, portion.nested)]
    while (smaller := portion.smaller()) is not None:
        portion = smaller
        sizes.append((portion.records, portion.nested))
    assert sizes[-1] == (1, 1)
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == len(set(sizes)) <= 16


@given(portions)
def test_it_grows_back_to_its_most_and_never_beyond(portion: Portion) -> None:
    most = (portion.most, portion.most_nested)
    small = portion
    while (smaller := small.smaller()) is not None:
        small = smaller
    for _ in range(200):
        small = small.larger()
        assert small.records <= small.most
        assert small.nested <= small.most_nested
    assert (small.records, small.nested) == most


@given(portions)
def test_after_a_refusal_it_grows_by_little(portion: Portion) -> None:
    smaller = portion.smaller()
    if smaller is not None:
        larger = smaller.larger()
        assert larger.records - smaller.records <= 1 + smaller.records // 16
        assert larger.nested - smaller.nested <= 1 + smaller.nested // 16


def test_until_a_refusal_it_doubles() -> None:
    sizes, portion = [], FEW
    for _ in range(4):
        sizes.append(portion.records)
        portion = portion.larger()
    assert sizes == [25, 50, 100, 100]


def test_a_first_refusal_halves_the_threads_and_keeps_their_messages() -> None:
    for portion in (WHOLE, FEW, PROBE):
        smaller = portion.smaller()
        assert smaller is not None
        assert (smaller.records, smaller.nested) == (portion.records // 2, portion.nested)
