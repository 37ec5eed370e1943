"""The daily check of each page's token and subscription, and its schedule."""

import threading
import time
from typing import Any

import dagster as dg

from messenger_pipeline.alerting.page_checks import PageCheckTotals, check_pages
from messenger_pipeline.db.page_checks import list_pages_to_check
from messenger_pipeline.defs.console import CONSOLE
from messenger_pipeline.defs.refusals import get_page_by_meta_id, refused, require_time
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.runs import UNFINISHED, RunStop, stop_on_signal
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import Stopped, UnknownPage

_BATCH = 20  # pages between two looks at the clock


class CheckConfig(dg.Config):
    """The config of a check run."""

    page_id: str | None = None
    """Check only this page, even if it is not due. Without it: all pages whose last check is a day
    old."""
    max_seconds: float = 1_200.0
    """End after this time. The schedule requests another run for the pages that are left."""


@dg.op(description="Asks Meta whether each page's token is valid and its webhooks are subscribed.")
def check_pages_due(
    context: dg.OpExecutionContext, config: CheckConfig, pipeline: Pipeline
) -> None:
    require_time(config.max_seconds)
    stop = RunStop(context.instance, context.run)
    with stop_on_signal(stop), pipeline.engine() as engine:
        if config.page_id is not None:
            _require_checkable(engine, config.page_id)
        total, left = check_due_pages(engine, config, stop)
    context.log.info(
        "checked %d pages: %d tokens dead, %d pages not subscribed, %d checks incomplete",
        total.pages, total.dead, total.unsubscribed, total.incomplete,
    )  # fmt: skip
    figures: dict[str, Any] = vars(total)
    context.add_output_metadata({**figures, "left": left})
    if stop.is_ended_by_dagster():
        raise dg.DagsterExecutionInterruptedError


def _require_checkable(engine: Engine, page_id: str) -> None:
    """Raise dg.Failure for a page that no check would find, instead of checking nothing."""
    try:
        page = get_page_by_meta_id(engine.database, page_id)
    except UnknownPage as error:
        raise refused(str(error)) from None
    if page.status != "active":
        raise refused(f"Page {page_id} is not checked: its status is {page.status}.")


def check_due_pages(
    engine: Engine, config: CheckConfig, stop: threading.Event
) -> tuple[PageCheckTotals, int]:
    """Check due pages until the time is up. Returns the figures, and how many pages are left."""
    total, deadline = PageCheckTotals(), time.monotonic() + config.max_seconds
    due = list_pages_to_check(engine.database, config.page_id)
    while due and not stop.is_set() and time.monotonic() < deadline:
        batch, due = due[:_BATCH], due[_BATCH:]
        try:
            total.add(check_pages(engine, batch, stop))
        except Stopped:
            break
    return total, len(due)


@dg.job(
    name="check_pages",
    description=(
        "Checks each page once a day: is its token valid, and does Meta still send its webhooks to"
        " this app? To check one page now, launch it with `page_id` in the config of the op."
    ),
    config={"loggers": CONSOLE},
    tags={"dagster/max_retries": "0"},
)
def check_pages_job() -> None:
    check_pages_due()


@dg.schedule(
    name="check_pages",
    description=(
        "Every ten minutes: checks new pages and those whose last check is a day old, so the"
        " checks spread over the day."
    ),
    job=check_pages_job,
    cron_schedule="*/10 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def check_pages_schedule(
    context: dg.ScheduleEvaluationContext, pipeline: Pipeline
) -> dg.RunRequest | dg.SkipReason:
    with pipeline.database() as database:
        due = list_pages_to_check(database, limit=1)
    if not due:
        return dg.SkipReason("Every page was checked within the last day.")
    unfinished = dg.RunsFilter(job_name=check_pages_job.name, statuses=UNFINISHED)
    if context.instance.get_runs(unfinished, limit=1):
        return dg.SkipReason("A run is checking pages already.")
    return dg.RunRequest()
