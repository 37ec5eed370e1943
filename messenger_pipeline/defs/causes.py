"""Why a run was started: the tag messenger/cause of every run, by which the runs can be filtered.

What our schedules and sensors ask for brings it along. A backfill, or somebody who launches a run
in the UI, does not: it is added as the run starts.
"""

from collections.abc import Mapping

import dagster as dg

from messenger_pipeline.defs.jobs import CAUSE

# Tags that Dagster gives a run, and what they tell, the first that is there.
_TELLING = {
    # Launched again by hand, with the tags of the run before.
    "dagster/parent_run_id": "manual",
    CAUSE: None,
    "dagster/backfill": "backfill",
    "dagster/schedule_name": "schedule",
    "dagster/sensor_name": "sensor",
}


def cause_of(tags: Mapping[str, str]) -> str:
    """Why a run with these tags was started."""
    for tag, cause in _TELLING.items():
        if tag in tags:
            return cause or tags[tag]
    return "manual"


def note_cause(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    cause = cause_of(run.tags)
    if run.tags.get(CAUSE) != cause:
        instance.add_run_tags(run.run_id, {CAUSE: cause})
