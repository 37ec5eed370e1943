"""The laws of the pure merge rules, for any versions of an event."""

from functools import reduce
from itertools import pairwise, permutations
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.merge import (
    ATTACHMENTS,
    CONTENT,
    dedupe_conversations,
    dedupe_events,
    finer_time,
    merge_events,
)
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.stable import stable_content
from tests.convergence.event_strategies import facts, histories, merge_all, statements
from tests.convergence.example_counts import examples
from tests.convergence.sql_calls import at, conversation

GROUPS = statements() | histories()
RANDOM = st.randoms(use_true_random=False)


@given(GROUPS)
@examples(150)
def test_two_versions_merge_to_the_same_event_in_either_order(group: list[EventRow]) -> None:
    for one, other in pairwise(group):
        assert facts(merge_events(one, other)) == facts(merge_events(other, one))


@given(GROUPS)
@examples(150)
def test_merging_is_associative(group: list[EventRow]) -> None:
    for a, b, c in permutations(group[:4], min(3, len(group))) if len(group) > 2 else []:
        left = merge_events(merge_events(a, b), c)
        assert facts(left) == facts(merge_events(a, merge_events(b, c)))


@given(GROUPS, RANDOM)
@examples(150)
def test_any_order_with_repeats_gives_the_same_event(group: list[EventRow], chance: Random) -> None:
    repeated = group + chance.choices(group, k=chance.randint(0, 5))
    chance.shuffle(repeated)
    assert facts(merge_all(repeated)) == facts(merge_all(group))


@given(GROUPS)
@examples(150)
def test_merging_a_version_again_changes_nothing(group: list[EventRow]) -> None:
    merged = merge_all(group)
    merged = merge_events(merged, merged)
    assert merge_events(merged, merged) == merged
    for one in group:
        assert facts(merge_events(merged, one)) == facts(merged)


@given(GROUPS)
@examples(150)
def test_no_older_version_replaces_the_content(group: list[EventRow]) -> None:
    newest = max(row["as_of"] for row in group)
    merged = merge_all(group)
    kept = _replaceable(merged)
    if "unsent_at" in merged["metadata"]:
        assert kept == {}
    else:
        contents = [_replaceable(row) for row in group if row["as_of"] == newest]
        assert stable_content(kept) in map(stable_content, contents)


@given(GROUPS)
@examples(150)
def test_the_merged_time_and_direction_come_from_a_version(group: list[EventRow]) -> None:
    merged = merge_all(group)
    times = [row["event_timestamp"] for row in group]
    assert merged["event_timestamp"] == reduce(finer_time, times)
    assert merged["event_timestamp"] in times
    directions = {row["event_type"] for row in group}
    assert merged["event_type"] in directions
    assert merged["event_type"] != "message" or directions == {"message"}


@given(histories())
@examples(100)
def test_an_unsent_message_has_no_content_in_any_order(group: list[EventRow]) -> None:
    is_unsent = any("unsent_at" in row["metadata"] for row in group)
    for last in permutations(group[-4:]):
        merged = merge_all([*group[:-4], *last])
        assert ("unsent_at" in merged["metadata"]) == is_unsent
        assert not is_unsent or merged["metadata"].keys().isdisjoint(CONTENT)


@given(GROUPS, RANDOM)
@examples(100)
def test_dedupe_events_merges_the_versions_of_each_event(
    group: list[EventRow], chance: Random
) -> None:
    other: list[EventRow] = [{**row, "message_id": "m_2"} for row in group]
    reaction: list[EventRow] = [
        {**row, "event_type": "reaction", "discriminator": "20"} for row in group
    ]
    without_id: EventRow = {**group[0], "message_id": None}
    events = [*group, *other, *reaction, without_id]
    chance.shuffle(events)
    found = dedupe_events(events, at(0))
    assert sum(row["message_id"] is None for row in found) == 1
    named = [merge_all([row]) for row in found if row["message_id"] is not None]
    with_ids = sorted(map(facts, named))
    assert with_ids == sorted(facts(merge_all(part)) for part in (group, other, reaction))


@given(
    st.lists(st.tuples(st.sampled_from("23"), st.sampled_from([None, "A", "B"]))), GROUPS, RANDOM
)
@examples(100)
def test_dedupe_conversations_does_not_depend_on_the_order_of_a_response(
    senders: list[tuple[str, str | None]], group: list[EventRow], chance: Random
) -> None:
    rows = [
        conversation(
            sender, 5, *(_of(sender, row) for row in chance.choices(group, k=2)), name=name
        )
        for sender, name in senders
    ]
    shuffled = list(rows)
    chance.shuffle(shuffled)
    once = dedupe_conversations(_copied(rows))
    assert _facts(once) == _facts(dedupe_conversations(_copied(shuffled)))
    assert _facts(dedupe_conversations(_copied(once))) == _facts(once)


def _replaceable(row: EventRow) -> dict[str, Any]:
    kept = set(CONTENT) - {*ATTACHMENTS}
    return {k: v for k, v in row["metadata"].items() if k in kept}


def _of(sender: str, row: EventRow) -> EventRow:
    return {**row, "message_id": f"{row['message_id']}:{sender}"}


def _copied(rows: list[ConversationRow]) -> list[ConversationRow]:
    return [{**row, "events": list(row["events"])} for row in rows]


def _facts(rows: list[ConversationRow]) -> list[Any]:
    return sorted(
        (
            row["sender_id"],
            row["sender_name"] or "",
            sorted(facts(merge_all([one])) for one in row["events"]),
        )
        for row in rows
    )
