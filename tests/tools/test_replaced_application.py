"""The replaced application's database, as the tests of its adoption have it."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from graph_simulator import World
from tools.replaced_application import (
    Generated,
    OfWorld,
    OldWriter,
    Shape,
    build,
    compare_rows,
    describe_schema,
    keep_checksums,
)

SHAPES = [
    Shape(age="before", ids="uuid", constraint="owner"),
    Shape(age="before", ids="bigint", users="text", constraint="contact", page_id="number"),
    Shape(age="before", ids="text", users="integer", constraint="none", page_id="reference"),
    Shape(age="after", ids="integer", users="bigint", page_id="foreign_key", shared_pages=True),
    Shape(age="after", constraint="none", message_ids="metadata", locks="uuid"),
    Shape(age="after", constraint="contact", ids="text", locks="varchar", contested_tags=True),
]
AT = datetime(2024, 7, 1, 12, tzinfo=UTC)


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda one: f"{one.age}-{one.ids}-{one.page_id}")
def test_every_shape_has_what_years_leave_behind_and_a_working_application(
    empty_url: str, shape: Shape
) -> None:
    build(empty_url, shape)
    ((conversations, contacts, unnamed),) = rows(
        empty_url,
        "select count(*), count(distinct sender_id), count(*) filter (where sender_name is null)"
        " from messenger_conversations",
    )
    assert contacts == 200
    assert conversations == (200 if shape.constraint == "contact" else 212)
    assert unnamed
    ((events, without_id),) = rows(
        empty_url,
        "select count(*), count(*) filter (where metadata ->> 'message_id' is null)"
        " from contact_interaction_events",
    )
    assert events > 1_800
    assert without_id > 150
    with OldWriter(empty_url, shape) as writer:
        first = writer.receive("100000000000002", "new", "Hello", AT)
        assert writer.receive("100000000000002", "new", "Again", AT) == first
        writer.add_event(first, "m_new", "Hello", AT)
    assert rows(empty_url, "select count(*) from messenger_conversations") == [(conversations + 1,)]


def test_building_is_deterministic_and_the_checksums_show_each_change(empty_url: str) -> None:
    shape = Shape(age="before")
    build(empty_url, shape)
    keep_checksums(empty_url)
    before = describe_schema(empty_url)
    unchanged = compare_rows(empty_url)
    assert not any(one.changed or one.gone or one.new for one in unchanged.values())
    with psycopg.connect(empty_url) as connection:
        connection.execute(
            "delete from notes; update messenger_conversations set assigned_to = 'x'"
            " where sender_id = '6000000000000003'; delete from contact_interaction_events"
            " where metadata ->> 'text' = 'Message 41'"
        )
        connection.execute("alter table messenger_conversations add column more integer")
    compared = compare_rows(empty_url)
    assert len(compared["messenger_conversations"].changed) == 1
    assert len(compared["contact_interaction_events"].gone) == 1
    assert set(describe_schema(empty_url)) > set(before)
    with psycopg.connect(empty_url) as connection:
        connection.execute("drop owned by replaced_application; drop schema public cascade")
        connection.execute("create schema public")
    build(empty_url, shape)
    assert describe_schema(empty_url) == before
    assert compare_rows(empty_url) == unchanged


def test_a_simulated_world_is_stored_as_the_application_would_have(empty_url: str) -> None:
    world = World(conversations=20, pages=1)
    build(empty_url, Shape(age="before", constraint="none"), OfWorld(world))
    page = next(iter(world.pages.values()))
    assert rows(empty_url, "select facebook_page_id, access_token from facebook_pages") == [
        (page.id, page.token)
    ]
    known = {row["message_id"] for row in world.truth(page)}
    stored = {
        one
        for (one,) in rows(
            empty_url,
            "select distinct metadata ->> 'message_id' from contact_interaction_events"
            " where metadata ? 'message_id'",
        )
    }
    assert stored
    assert stored < known


@pytest.mark.large
def test_a_million_events_are_built_in_every_row(empty_url: str) -> None:
    build(empty_url, Shape(age="before"), Generated(100_000, 1_000_000, 50))
    ((events,),) = rows(empty_url, "select count(*) from contact_interaction_events")
    assert events > 1_050_000
