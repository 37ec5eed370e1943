"""Checks of a page after its walk: the result must not depend on interruptions."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from tests.conftest import Simulated
from tests.crash.databases import query
from tests.crash.worlds import REFUSED_TEXT
from tests.walking import rows, stored, truth

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
    found = query(url, f"select {', '.join(_COUNTERS)} from sync_state order by started_at")
    return [dict(zip(_COUNTERS, row, strict=True)) for row in found][after:]


def content_differences(database: Database, simulated: Simulated) -> list[str]:
    """How the stored rows differ from the simulator's truth."""
    return [
        *(f"{name}: {finding}" for name, finding in migrate.verify(database).items() if finding),
        *_event_differences(database, simulated),
        *_conversation_differences(database, simulated),
        *_thread_differences(database, simulated),
    ]


def _event_differences(database: Database, simulated: Simulated) -> list[str]:
    differences = []
    deleted = _deleted(simulated)
    senders = {sender for sender, _ in deleted}
    expected = Counter({key: n for key, n in truth(simulated).items() if key[5] != REFUSED_TEXT})
    have = stored(database)
    active = Counter({key: n for key, n in have.items() if key[1] not in senders})
    if active != expected:
        differences.append(f"missing {expected - active}, too many {active - expected}")
    kept = Counter({(key[1], key[2]): n for key, n in have.items() if key[1] in senders})
    if kept != deleted:
        differences.append(f"deleted thread: missing {deleted - kept}, too many {kept - deleted}")
    return differences


def _conversation_differences(database: Database, simulated: Simulated) -> list[str]:
    world, page = simulated.world, simulated.page
    deleted = {sender for sender, _ in _deleted(simulated)}
    messages: Counter[str] = Counter()
    for key, n in stored(database).items():
        messages[key[1]] += n
    contacts = [world.contact(page, number) for number in range(len(page.lengths))]
    expected = {
        (one["id"], one["name"], messages[one["id"]], _status(one["id"] in deleted))
        for one in contacts
    }
    found = rows(
        database,
        "select sender_id, sender_name, message_count, conversation_status"
        " from messenger_conversations",
    )
    if set(found) == expected and len(found) == len(expected):
        return []
    return [f"conversations {set(found) ^ expected}"]


def _thread_differences(database: Database, simulated: Simulated) -> list[str]:
    world, page = simulated.world, simulated.page
    found = rows(database, "select thread_id, gone_at is not null from messenger_threads")
    expected = {(world.thread_id(page, n), n in page.deleted) for n in range(len(page.lengths))}
    return [] if set(found) == expected else [f"threads {set(found) ^ expected}"]


def _deleted(simulated: Simulated) -> Counter[tuple[Any, Any]]:
    """The messages of deleted threads, by sender and message id."""
    found = simulated.world.truth(simulated.page, deleted=True)
    return Counter((row["sender_id"], row["message_id"]) for row in found)


def _status(deleted: bool) -> str:
    return "deleted" if deleted else "active"


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
