"""Checks of a page after its walk: the result must not depend on interruptions."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from tests.conftest import Simulated
from tests.crash.databases import query
from tests.crash.worlds import REFUSED_TEXT
from tests.walking import stored, truth

Counters = dict[str, Any]

_COUNTERS = (
    "mode", "outcome", "total_synced", "inserted", "updated", "unchanged", "events_created",
    "quarantined", "failed_batches", "deleted", "unidentified_records", "truncated",
    "warning", "last_error",
)  # fmt: skip
_CHANGES = ("inserted", "updated", "events_created", "deleted")
MAY_DIFFER = {
    "first": (),
    # Its end depends on the page size, and each run starts with a small one.
    "incremental": ("total_synced", "unchanged"),
    # It reads the head of the list again at its end, and so does a run that starts there.
    "full": ("total_synced", "unchanged", "quarantined", "failed_batches"),
}
"""The counters that may differ if a session took several runs."""


def session_counters(url: str, after: int = 0) -> list[Counters]:
    """The counters of the sessions of a database, oldest first, without the first `after`."""
    rows = query(url, f"select {', '.join(_COUNTERS)} from sync_state order by started_at")
    return [dict(zip(_COUNTERS, row, strict=True)) for row in rows][after:]


def content_differences(database: Database, simulated: Simulated) -> list[str]:
    """How the stored rows differ from the simulator's truth."""
    differences = [
        f"{name}: {finding}" for name, finding in migrate.verify(database).items() if finding
    ]
    world, page = simulated.world, simulated.page
    gone = Counter((row["sender_id"], row["message_id"]) for row in world.truth(page, deleted=True))
    deleted = {sender for sender, _ in gone}
    expected_active = Counter(
        {key: n for key, n in truth(simulated).items() if key[5] != REFUSED_TEXT}
    )
    have = stored(database)
    active = Counter({key: n for key, n in have.items() if key[1] not in deleted})
    if active != expected_active:
        differences.append(
            f"missing {expected_active - active}, too many {active - expected_active}"
        )
    kept = Counter({(key[1], key[2]): n for key, n in have.items() if key[1] in deleted})
    if kept != gone:
        differences.append(f"of the deleted thread missing {gone - kept}, too many {kept - gone}")
    names = {
        world.contact(page, number)["id"]: world.contact(page, number)["name"]
        for number in range(len(page.lengths))
    }
    expected = {
        (sender, names[sender], sum(n for key, n in have.items() if key[1] == sender), status)
        for sender in names
        for status in ["deleted" if sender in deleted else "active"]
    }
    with database.transaction() as connection:
        found = connection.execute(
            "select sender_id, sender_name, message_count, conversation_status"
            " from messenger_conversations"
        ).fetchall()
        threads = connection.execute(
            "select thread_id, gone_at is not null from messenger_threads"
        ).fetchall()
    if set(found) != expected or len(found) != len(expected):
        differences.append(f"conversations {set(found) ^ expected}")
    known = {(world.thread_id(page, n), n in page.deleted) for n in range(len(page.lengths))}
    if set(threads) != known:
        differences.append(f"threads {set(threads) ^ known}")
    return differences


def state_leftovers(url: str) -> list[str]:
    """What a run has left behind after a complete walk."""
    left = {
        "locks": "select * from sync_locks",
        "gaps": "select * from thread_gaps where not unreadable",
        "open sessions": "select * from sync_state where outcome is null",
        "transactions": "select pid, query from pg_stat_activity where datname = current_database()"
        " and application_name = 'messenger-pipeline' and state like 'idle in transaction%'",
    }
    found = {what: query(url, statement) for what, statement in left.items()}
    return [f"{what}: {rows}" for what, rows in found.items() if rows]


def counter_differences(
    found: list[Counters], expected: Counters, may_differ: Collection[str]
) -> list[str]:
    """How the counters of the first session differ from those of an uninterrupted one. A later
    session starts if the first was complete when its run died. It must change nothing."""
    if not found:
        return ["no session"]
    differences = [
        f"{name} is {found[0][name]}, not {value}"
        for name, value in expected.items()
        if found[0][name] != value and name not in may_differ
    ]
    for later in found[1:]:
        if any(later[name] for name in _CHANGES):
            differences.append(f"a later session changed something: {later}")
    return differences
