"""The tags of runs, by which they are found; messenger/cause records why a run was started.

Schedules and sensors set the cause of the runs that they request. For a backfill, or a launch in
the UI, it is added when the run starts.
"""

from collections.abc import Mapping

import dagster as dg

PARTITION = "dagster/partition"
MODE = "messenger/mode"
SESSION = "messenger/session"
CAUSE = "messenger/cause"
KIND = "messenger/kind"
PARENT = "dagster/parent_run_id"
"""The run that this one executes again."""

# Dagster's tags and the causes that they imply; the first that a run has decides.
_CAUSES = {
    # Launched again by hand, with the tags of the earlier run.
    PARENT: "manual",
    CAUSE: None,
    "dagster/backfill": "backfill",
    "dagster/schedule_name": "schedule",
    "dagster/sensor_name": "sensor",
}


def cause_of(tags: Mapping[str, str]) -> str:
    """Why a run with these tags was started."""
    for tag, cause in _CAUSES.items():
        if tag in tags:
            return cause or tags[tag]
    return "manual"


def record_cause(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Tag a run with its cause."""
    cause = cause_of(run.tags)
    if run.tags.get(CAUSE) != cause:
        instance.add_run_tags(run.run_id, {CAUSE: cause})
