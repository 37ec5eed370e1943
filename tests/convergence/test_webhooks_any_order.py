"""The deliveries and list responses of a page, in several orders, with repeats, in batches of any
size, give the same rows: those of the simulated world."""

from itertools import count
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from messenger_pipeline.db.pool import Database
from tests.activity import expected_activity
from tests.convergence.example_counts import examples
from tests.convergence.sql_calls import failed_checks
from tests.convergence.webhook_feed import PageCopy, expected_attachments, generate_inputs

_page_ids = count(700_000_000_000_001)
ORDERS = 3


# A response of the second in which a message was written, another with the same message, and the
# delivery of the message before, between or after them.
@example(seed=374, activities=46)
@examples(30)
@given(seed=st.integers(0, 2**32), activities=st.integers(1, 60))
def test_deliveries_and_responses_in_any_order_give_the_same_rows(
    database: Database, seed: int, activities: int
) -> None:
    world, inputs = generate_inputs(seed, activities)
    chance, copies = Random(seed), []
    for number in range(ORDERS):
        order = inputs + chance.sample(inputs, k=len(inputs) // 4)
        if number:
            chance.shuffle(order)
        copies.append(PageCopy(database, world, str(next(_page_ids))))
        copies[-1].apply(order, chance)
    first, *others = copies
    for other in others:
        assert other.events() == first.events()
        assert other.conversations() == first.conversations()
    assert first.activity(world) == expected_activity(world)
    files, stored = expected_attachments(world), first.attachments()
    assert {key: stored[key] for key in files} == files
    assert {count for key, count in stored.items() if key not in files} <= {1}
    assert failed_checks(database) == {}
