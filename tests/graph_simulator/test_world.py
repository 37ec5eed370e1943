"""The simulated world."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from graph_simulator.world import World


def everything(world: World) -> list[dict[str, object]]:
    return [row for page in world.pages.values() for row in world.truth(page)]


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    assert everything(World(1, 2, 40)) == everything(World(1, 2, 40))
    assert everything(World(1, 2, 40)) != everything(World(2, 2, 40))


def test_message_ids_are_unique_and_messages_are_sorted_newest_first() -> None:
    world = World(3, 2, 60)
    rows = everything(world)
    assert len({row["message_id"] for row in rows}) == len(rows)
    for page in world.pages.values():
        for number in range(len(page.lengths)):
            times = [m["created_time"] for m in world.messages(page, number, None, 10_000)]
            assert times == sorted(times, reverse=True)


def test_threads_vary_in_length_and_some_messages_share_a_second() -> None:
    world = World(1, 1, 500)
    page = next(iter(world.pages.values()))
    assert min(page.lengths) < 3
    assert max(page.lengths) > 100
    times = [row["created_time"] for row in world.truth(page) if row["sender_id"]]
    assert len(set(times)) < len(times)


@given(st.integers(1, 9), st.lists(st.integers(0, 11), max_size=5))
@settings(max_examples=30)
def test_paging_returns_no_thread_twice_when_new_messages_arrive(
    limit: int, moved: list[int]
) -> None:
    """New messages move threads to the head; the order after a cursor stays the same."""
    world = World(1, 1, 12)
    page = next(iter(world.pages.values()))
    seen, after, more = [], None, True
    while more:
        keys, more = world.threads(page, after, limit)
        seen += [key.number for key in keys]
        after = keys[-1] if keys else after
        if moved:
            world.inject(page, moved.pop(), "new", datetime.now(UTC))
    assert len(seen) == len(set(seen))


def test_a_new_message_leaves_the_older_ones_of_its_thread_unchanged() -> None:
    world = World(1, 1, 5)
    page = next(iter(world.pages.values()))
    before = world.messages(page, 2, None, 10_000)
    now = datetime.now(UTC)
    new = world.inject(page, 2, "new", now)
    fresh = World(1, 1, 5)
    fresh_page = next(iter(fresh.pages.values()))
    fresh.inject(fresh_page, 2, "new", now)
    for some_world, some_page in ((world, page), (fresh, fresh_page)):
        after = some_world.messages(some_page, 2, None, 10_000)
        assert after[1:] == before
        assert after[0]["id"] == new["id"]


def test_an_edited_message_has_its_new_text_and_an_unsent_one_is_no_longer_listed() -> None:
    world = World(1, 1, 12)
    page = next(iter(world.pages.values()))
    before = [*world.truth(page)]
    one, other, last = (world.inject(page, 3, "new", datetime.now(UTC))["id"] for _ in range(3))
    world.edit(page, 3, other, "newer")
    world.unsend(page, 3, one)
    found = world.messages(page, 3, None, 10_000)
    assert [(message["id"], message["message"]) for message in found[:2]] == [
        (last, "new"),
        (other, "newer"),
    ]
    assert world.length(page, 3) == len(found) == page.lengths[3] + 2
    rows = {row["message_id"]: row for row in world.truth(page)}
    assert len(rows) == len(before) + 3
    assert {mid: rows[mid]["text"] for mid in (one, other, last)} == {
        one: None,
        other: "newer",
        last: "new",
    }
    assert rows[one]["event_type"] == "message_received"
    assert one not in {row["message_id"] for row in world.truth(page, newest=10_000)}
    world.delete(page, 3)
    assert one in {row["message_id"] for row in world.truth(page, deleted=True)}


def list_order(world: World) -> list[int]:
    page = next(iter(world.pages.values()))
    return [key.number for key in page.order]


def test_a_deleted_thread_is_restored_at_its_former_position() -> None:
    world = World(1, 1, 12)
    page = next(iter(world.pages.values()))
    before = list_order(world)
    world.delete(page, before[5])
    world.delete(page, before[5])
    assert list_order(world) == [number for number in before if number != before[5]]
    assert world.find_thread(world.thread_id(page, before[5])) is None
    world.restore(page, before[5])
    world.restore(page, before[5])
    assert list_order(world) == before


def test_lengthen_adds_older_messages_and_removes_none() -> None:
    world = World(1, 1, 12)
    page = next(iter(world.pages.values()))
    world.inject(page, 3, "new", datetime.now(UTC))
    before = world.messages(page, 3, None, 10_000)
    world.lengthen(page, 3, 500)
    world.lengthen(page, 3, 400)
    after = world.messages(page, 3, None, 10_000)
    assert len(after) == world.length(page, 3) == 500
    assert after[: len(before)] == before
    times = [message["created_time"] for message in after]
    assert times == sorted(times, reverse=True)


def test_a_shared_contact_is_in_injected_and_seeded_messages() -> None:
    world = World(1, 1, 12)
    page = next(iter(world.pages.values()))
    world.inject(page, 3, "new", datetime.now(UTC))
    world.share_contact(page, 3, 7)
    contact = world.contact(page, 7)
    for message in world.messages(page, 3, None, 10_000):
        parties = [message["from"], *message["to"]["data"]]
        assert contact in parties
        assert {party["id"] for party in parties} == {contact["id"], page.id}


@given(st.lists(st.tuples(st.sampled_from("hdrfui"), st.integers(0, 11)), max_size=12))
@settings(max_examples=60)
def test_restore_order_sorts_the_list_after_any_changes(steps: list[tuple[str, int]]) -> None:
    """Deleted threads stay deleted; the others are sorted by the age of their newest message."""
    world = World(1, 1, 12)
    page = next(iter(world.pages.values()))
    for step, number in steps:
        if step == "h":
            page.hide(number)
        elif step == "d":
            world.delete(page, number)
        elif step == "r":
            world.restore(page, number)
        elif step == "f":
            page.move_to_future(number, -number)
        elif step == "u":
            page.swap_neighbours()
        elif step == "i":
            world.inject(page, number, "new", datetime.now(UTC))
        assert page.order == sorted({*page.order}), "the list is sorted, without repeats"
    world.restore_order()
    ages = {number: page.moved.get(number, page.ages[number]) for number in range(12)}
    expected = sorted((ages[number], number) for number in ages if number not in page.deleted)
    assert [(key.age, key.number) for key in page.order] == expected
