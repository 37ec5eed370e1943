"""Deliveries and answers of the API of one page, in several orders, repeated, drained in portions
of any size: the same rows, and those of the world."""

from itertools import count
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from messenger_pipeline.db.pool import Database
from tests.convergence.asking import findings
from tests.convergence.effort import examples
from tests.convergence.heard import Hearing, tell
from tests.happened import happened

_pages = count(700_000_000_000_001)
ORDERS = 3


# An answer of the second in which a message was written, another that says the same, and the
# delivery of it before, between or behind them.
@example(seed=374, things=46)
@examples(30)
@given(seed=st.integers(0, 2**32), things=st.integers(1, 60))
def test_deliveries_and_answers_in_any_order_end_in_the_same_rows(
    database: Database, seed: int, things: int
) -> None:
    world, told = tell(seed, things)
    chance, heard = Random(seed), []
    for turn in range(ORDERS):
        order = told + chance.sample(told, k=len(told) // 4)
        if turn:
            chance.shuffle(order)
        heard.append(Hearing(database, world, str(next(_pages))))
        heard[-1].hear(order, chance)
    first, *others = heard
    for other in others:
        assert other.events() == first.events()
        assert other.conversations() == first.conversations()
    assert first.happened(world) == happened(world)
    assert findings(database) == {}
