"""The database merges like the pure rules, with ties and unusual characters too."""

from itertools import count
from random import Random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import to_json

from messenger_pipeline.db.pool import Database
from messenger_pipeline.rows import EventRow
from messenger_pipeline.stable import stable_content
from tests.convergence.event_strategies import facts, histories, merge_all, statements
from tests.convergence.example_counts import examples
from tests.convergence.sql_calls import conversation, query, upsert

_numbers = count(2)


@given(statements() | histories(), st.booleans(), st.randoms(use_true_random=False))
@examples(100)
def test_versions_merge_in_the_database_as_in_python(
    database: Database, group: list[EventRow], in_one_call: bool, chance: Random
) -> None:
    number = f".{next(_numbers)}"
    events: list[EventRow] = [
        {**row, "message_id": f"{row['message_id']}{number}"} for row in group
    ]
    merged = merge_all(events)
    chance.shuffle(events)
    if in_one_call:
        upsert(database, conversation("20", 0, *events))
    else:
        for row in events:
            upsert(database, conversation("20", 0, row))
    ((kind, message_id, discriminator), *rest) = facts(merged)
    assert kind == "message"
    assert query(
        database,
        "select message_id, discriminator, event_type, event_timestamp, content"
        " from event_facts where message_id = %s",
        message_id,
    ) == [(message_id, discriminator, *rest)]


CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(CHARACTERS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(JSON | st.text('"\\ahtps:/.fbcdnet?', min_size=1))
@example('"https://a.fbcdn.net/1"')
@example({"b": 1, "aa": 2, "ä": 3, "": "\x7f\x1f\b\t"})
@examples(150)
def test_python_and_postgres_serialize_stable_content_alike(database: Database, value: Any) -> None:
    given_value = {"x": value}
    serialized = query(database, "select stable_content(%s::jsonb)", to_json(given_value).decode())
    assert serialized == [(stable_content(given_value),)]
