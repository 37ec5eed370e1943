"""`python -m bench.profile_load`: where the time of one response goes, stage after stage.

Each response of a fresh page goes through the stages of the walk alone, with nothing beside it;
its rows land in tables that grow. Within the load, PostgreSQL tells of its functions.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import TypeVar

import click
import psycopg

from bench.contestants.graph import ListClient
from bench.replay import TOKEN
from bench.stage import open_stage
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.db.sessions import open_session
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.graph.reading import parse_threads
from messenger_pipeline.sync.parse import messages_of
from messenger_pipeline.sync.plan import plan_threads
from messenger_pipeline.sync.walk import Limits, Walk, load, prepare

Value = TypeVar("Value")

_TRACK = "select format('alter database %I set track_functions = ''all''', current_database())"
_FUNCTIONS = """
    select funcname, calls, total_time, self_time from pg_stat_user_functions
    where total_time / %(responses)s >= 0.1
    order by total_time desc
"""


class Stopwatch:
    """Seconds of each stage, by response."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def time(self, stage: str, work: Callable[[], Value]) -> Value:
        began = time.perf_counter()
        value = work()
        self.seconds.setdefault(stage, []).append(time.perf_counter() - began)
        return value


@click.command()
@click.option("--responses", type=click.IntRange(min=1), default=40, show_default=True)
def main(responses: int) -> None:
    """Show where the time of a response of 100 threads of 25 messages goes."""
    watch, threads = Stopwatch(), 100 * responses
    with open_stage([threads]) as stage, stage.database() as url:
        page_id = stage.page_ids[threads][0]
        with psycopg.connect(url, autocommit=True) as connection:
            [(statement,)] = connection.execute(_TRACK).fetchall()
            connection.execute(statement)
        with Database(url) as database, held_lease(database, page_id, "profile") as fence:
            session = open_session(database, page_id, fence, "full", "profile", None)
            assert session is not None
            page = get_page(database, page_id)
            pacer = Pacer(database, Budget("app", TOKEN, page_id, 1000), threading.Event())
            with GraphApi(stage.replay_url, "v26.0").client(TOKEN) as client:
                walk = Walk(
                    database, client, pacer, page, session, fence, Limits(threading.Event())
                )
                stage.checkpoint()
                load_page(walk, ListClient(stage.replay_url, page_id, TOKEN), watch)
        with psycopg.connect(url) as connection:
            functions = connection.execute(_FUNCTIONS, {"responses": responses}).fetchall()
    for name, seconds in watch.seconds.items():
        click.echo(f"{name:<12} {median(seconds) * 1000:7.1f} ms")
    click.echo("\nWithin PostgreSQL, per response, and of that by the function alone:")
    for name, calls, total, alone in functions:
        each = f"{total / responses:7.1f} ms  {alone / responses:7.1f} ms"
        click.echo(f"{each}  {name}, {calls / responses:.0f} calls")


def load_page(walk: Walk, client: ListClient, watch: Stopwatch) -> None:
    """Walk the list once, one stage after another."""
    after = None
    while True:
        body = watch.time("fetch", partial(client.fetch, after))
        after = load_answer(walk, body, watch)
        if after is None:
            return


def load_answer(walk: Walk, body: bytes, watch: Stopwatch) -> str | None:
    """One response through the stages; the cursor of the next."""
    listing = watch.time("validate", lambda: parse_threads(body))
    threads, now = listing.records, datetime.now(UTC)
    known = watch.time("look up", lambda: walk.known_threads([one["id"] for one in threads]))
    plan = watch.time(
        "plan", lambda: plan_threads(threads, known, walk.marked, now, listing.withheld)
    )
    usable = len(threads) + sum(len(messages_of(thread)) for thread in threads)
    prepared = watch.time(
        "serialize",
        lambda: prepare(walk, plan, listing.rejects, usable=usable, fetched=len(threads)),
    )
    watch.time("load", lambda: load(walk, prepared))
    return listing.after


if __name__ == "__main__":
    main()
