"""Live activity in a simulated world and in the database, in a form that can be compared.

It has only what webhooks report, so that the comparison does not depend on a walk.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from graph_simulator import World
from messenger_pipeline.db.pool import Database
from tests.walking import rows

Activity = Counter[tuple[Any, ...]]
"""How often each event exists: (page, sender, message id, type, time, text, is unsent)."""


def expected_activity(world: World) -> Activity:
    """The live messages and the other live events of a world."""
    found: Activity = Counter()
    for page in world.pages.values():
        for row in world.truth(page):
            if row["message_id"] in page.live_times:
                key = row["page_id"], row["sender_id"], row["message_id"]
                event = row["event_type"], _time(row["created_time"])
                found[*key, *event, row["text"] or "", row["text"] is None] += 1
        for row in page.live_events:
            key = row["page_id"], row["sender_id"], row["message_id"]
            event = row["event_type"], _time(row["event_timestamp"])
            found[*key, *event, "", False] += 1
    return found


def stored_activity(database: Database, world: World, page_id: str = "%") -> Activity:
    """The stored events, without the messages of the pages' seeded history."""
    seeded = {
        row["message_id"]
        for page in world.pages.values()
        for row in world.truth(page)
        if row["message_id"] not in page.live_times
    }
    found = rows(
        database,
        "select e.page_id, c.sender_id, e.message_id, e.event_type, e.event_timestamp,"
        " case when split_part(e.event_type, '_', 1) = 'message'"
        " then coalesce(e.metadata ->> 'text', '') else '' end, e.metadata ? 'unsent_at'"
        " from contact_interaction_events e join messenger_conversations c"
        f" on c.id = e.conversation_id where e.page_id like '{page_id}'",
    )
    return Counter(row for row in found if not (row[2] in seeded and row[3].startswith("message")))


def activity_differences(database: Database, world: World) -> list[str]:
    """The events that are missing or stored too often; empty if there are none."""
    stored, expected = stored_activity(database, world), expected_activity(world)
    return [f"missing {row} × {n}" for row, n in (expected - stored).items()] + [
        f"too many {row} × {n}" for row, n in (stored - expected).items()
    ]


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
