"""What happened on live pages, as the simulated world has it and as it is stored: only what
webhooks tell, so that it can be compared whether a walk brought the rest or not."""

from collections import Counter
from datetime import datetime
from typing import Any

from graph_simulator import World
from messenger_pipeline.db.pool import Database
from tests.walking import rows

Happened = Counter[tuple[Any, ...]]


def happened(world: World) -> Happened:
    """Each message that was written live (with its text, and whether it was taken back), and each
    other event."""
    found: Happened = Counter()
    for page in world.pages.values():
        for row in world.truth(page):
            if row["message_id"] in page.exact:
                about = (row["event_type"], _time(row["created_time"]))
                unsent = row["text"] is None
                key = row["page_id"], row["sender_id"], row["message_id"], *about
                found[*key, row["text"] or "", unsent] += 1
        for row in page.events:
            about = (row["event_type"], _time(row["event_timestamp"]))
            found[row["page_id"], row["sender_id"], row["message_id"], *about, "", False] += 1
    return found


def stored_of(database: Database, world: World, page_id: str = "%") -> Happened:
    """The same of what is stored: all but the messages of the pages' past."""
    past = {
        row["message_id"]
        for page in world.pages.values()
        for row in world.truth(page)
        if row["message_id"] not in page.exact
    }
    found = rows(
        database,
        "select e.page_id, c.sender_id, e.message_id, e.event_type, e.event_timestamp,"
        " case when split_part(e.event_type, '_', 1) = 'message'"
        " then coalesce(e.metadata ->> 'text', '') else '' end, e.metadata ? 'unsent_at'"
        " from contact_interaction_events e join messenger_conversations c"
        f" on c.id = e.conversation_id where e.page_id like '{page_id}'",
    )
    return Counter(row for row in found if not (row[2] in past and row[3].startswith("message")))


def difference(database: Database, world: World) -> list[str]:
    """In what the two differ, in words; nothing if they are equal."""
    have, want = stored_of(database, world), happened(world)
    return [f"missing {row} × {n}" for row, n in (want - have).items()] + [
        f"too many {row} × {n}" for row, n in (have - want).items()
    ]


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
