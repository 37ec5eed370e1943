"""What a page must look like in the end, however often its walk was interrupted."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from tests.conftest import Simulated
from tests.crash.databases import ask
from tests.crash.worlds import REFUSED_TEXT
from tests.walking import stored, truth

Figures = dict[str, Any]

_FIGURES = (
    "mode", "outcome", "total_synced", "inserted", "updated", "unchanged", "events_created",
    "quarantined", "failed_batches", "deleted", "unidentified_records", "truncated",
    "warning", "last_error",
)  # fmt: skip
_CHANGES = ("inserted", "updated", "events_created", "deleted")
VARY = {
    "first": (),
    # Where it ends depends on how many threads an answer holds, and a run begins with few.
    "incremental": ("total_synced", "unchanged"),
    # Its end looks at the head of the list again, and so does a run that begins there.
    "full": ("total_synced", "unchanged", "quarantined", "failed_batches"),
}
"""What a session may count otherwise when it took several runs."""


def figures_of(url: str, after: int = 0) -> list[Figures]:
    """The counters of the sessions of a database, oldest first, but for so many."""
    rows = ask(url, f"select {', '.join(_FIGURES)} from sync_state order by started_at")
    return [dict(zip(_FIGURES, row, strict=True)) for row in rows][after:]


def faults_of_content(database: Database, simulated: Simulated) -> list[str]:
    """In what the stored rows are not the simulator's truth."""
    faults = [f"{name}: {told}" for name, told in migrate.verify(database).items() if told]
    world, page = simulated.world, simulated.page
    gone = Counter((row["sender_id"], row["message_id"]) for row in world.truth(page, deleted=True))
    deleted = {sender for sender, _ in gone}
    alive = Counter({key: n for key, n in truth(simulated).items() if key[5] != REFUSED_TEXT})
    have = stored(database)
    mine = Counter({key: n for key, n in have.items() if key[1] not in deleted})
    if mine != alive:
        faults.append(f"missing {alive - mine}, too many {mine - alive}")
    kept = Counter({(key[1], key[2]): n for key, n in have.items() if key[1] in deleted})
    if kept != gone:
        faults.append(f"of the deleted thread missing {gone - kept}, too many {kept - gone}")
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
        faults.append(f"conversations {set(found) ^ expected}")
    known = {(world.thread_id(page, n), n in page.deleted) for n in range(len(page.lengths))}
    if set(threads) != known:
        faults.append(f"threads {set(threads) ^ known}")
    return faults


def faults_of_state(url: str) -> list[str]:
    """What of a run is left over though the walk is complete."""
    left = {
        "locks": "select * from sync_locks",
        "gaps": "select * from thread_gaps where not unreadable",
        "open sessions": "select * from sync_state where outcome is null",
        "transactions": "select pid, query from pg_stat_activity where datname = current_database()"
        " and application_name = 'messenger-pipeline' and state like 'idle in transaction%'",
    }
    found = {what: ask(url, query) for what, query in left.items()}
    return [f"{what}: {rows}" for what, rows in found.items() if rows]


def faults_of_figures(found: list[Figures], expected: Figures, vary: Collection[str]) -> list[str]:
    """In what a session does not count what an undisturbed one counts. Later ones, begun because
    the first was complete when its run died, find nothing new."""
    if not found:
        return ["no session"]
    faults = [
        f"{name} is {found[0][name]}, not {value}"
        for name, value in expected.items()
        if found[0][name] != value and name not in vary
    ]
    for later in found[1:]:
        if any(later[name] for name in _CHANGES):
            faults.append(f"a later session changed something: {later}")
    return faults
