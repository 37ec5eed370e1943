"""Everything on one machine until Ctrl-C: for development, and to look at."""

import shlex
import time
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console

from messenger_pipeline import runtime
from messenger_pipeline.db.pool import Database
from messenger_pipeline.local.child import Child
from messenger_pipeline.local.restarts import Restarts
from messenger_pipeline.local.simulation import (
    API_KEY,
    APP_SECRET,
    register_pages,
    set_live_traffic,
    simulated_settings,
    simulator_arguments,
)
from messenger_pipeline.local.stack import Stack, running_stack
from messenger_pipeline.settings import Settings, load_settings

_PER_SECOND = 1.0  # messages, reactions, edits … of the simulated pages


def keep_up(
    console: Console,
    *,
    ui_port: int,
    receiver_port: int,
    real: bool,
    conversations: int,
    page_count: int,
) -> None:
    """Run the stack until Ctrl-C. For real pages the receiver runs only if its secrets are set."""
    settings = load_settings() if real else simulated_settings()

    def prepared(data: str, graph: str) -> None:
        if real:
            runtime.token_vault(settings)
        else:
            register_pages(settings, data, graph, console)
        _fail_dead_runs(settings, data, console)

    receives = bool(settings.app_secret and settings.verify_token)
    console.print("Starting …")
    with running_stack(
        settings,
        ui_port=ui_port,
        receiver_port=receiver_port if receives else None,
        simulated=None if real else simulator_arguments(conversations, page_count),
        prepared=prepared,
    ) as stack:
        console.print(f"Dagster's pages: http://127.0.0.1:{ui_port}\nCtrl-C ends everything.")
        console.print(
            f"Status page: {stack.receiver_url}/ {_key(settings)}\n"
            f"Webhooks: {stack.receiver_url}/api/webhook"
            if receives
            else f"The webhook receiver and its status page are off: set {_missing(settings)}."
        )
        if not real:
            set_live_traffic(stack.graph_url, _PER_SECOND)
            console.print(
                "For commands in another terminal. These lines lead away from the database of a"
                " .env:\n"
                "  export MESSENGER_DATABASE_URL= MESSENGER_DATABASE_SCHEMA=public"
                " MESSENGER_TOKEN_KEY= MESSENGER_LISTEN_URL= DAGSTER_PG_URL=\n"
                f"  export MESSENGER_HOME={shlex.quote(str(settings.home.resolve()))}\n"
                f"  export MESSENGER_GRAPH_URL={stack.graph_url}\n"
                f"  export MESSENGER_APP_SECRET={APP_SECRET}\n"
                f"{_export_key(settings)}"
                f"  export MESSENGER_CALLS_PER_SECOND={settings.calls_per_second:g}",
                soft_wrap=True,
            )
        try:
            _keep_running(stack, console, lambda: _fail_dead_runs(settings, stack.data, console))
        except KeyboardInterrupt:
            console.print("Ending …")


def _keep_running(stack: Stack, console: Console, before_dagster: Callable[[], None]) -> NoReturn:
    """Restart what ends, a few times; the other processes go on. `before_dagster` is called before
    Dagster is restarted. Raises PipelineError once no process is left, or if the simulator, which
    cannot be replaced, has ended."""
    restarts = {one.name: Restarts(time.monotonic()) for one in stack.children}
    # A new simulator would lack the messages of the one before.
    restartable = {one.name for one in stack.children} - {"simulator"}
    given_up: set[str] = set()
    while True:
        for one in stack.children:
            if one.name not in restartable or given_up == restartable:
                one.check()
            elif one.name not in given_up and not _tend(one, restarts[one.name], console):
                given_up.add(one.name)
            elif restarts[one.name].is_due(time.monotonic()):
                _restart(one, restarts[one.name], console, before_dagster)
        time.sleep(1)


def _restart(
    one: Child, restarts: Restarts, console: Console, before_dagster: Callable[[], None]
) -> None:
    try:
        if one.name == "dagster":
            before_dagster()
    except Exception as error:  # noqa: BLE001 - no failure here may end the other processes
        console.print(f"Before the restart of {one.name}: {error}")
    one.start()
    restarts.start(time.monotonic())


def _tend(one: Child, restarts: Restarts, console: Console) -> bool:
    """Plan the restart of a process if it has ended. Returns whether it is kept running."""
    ended = one.how_it_ended()
    if ended is None or restarts.due_at is not None:
        return True
    pause = restarts.plan(time.monotonic())
    if pause is None:
        console.print(
            f"{ended}, again. It is not restarted any more; the others go on. Its log is {one.log}."
        )
        return False
    console.print(f"{ended}. Restarting {one.name} in {pause:.0f} s; its log is {one.log}.")
    return True


def _missing(settings: Settings) -> str:
    """The settings that the receiver still needs."""
    needed = {
        "MESSENGER_APP_SECRET": settings.app_secret,
        "MESSENGER_VERIFY_TOKEN": settings.verify_token,
    }
    return " and ".join(name for name, value in needed.items() if not value)


def _export_key(settings: Settings) -> str:
    """The line of the simulated API key. A key that the user has set is not printed."""
    mine = settings.api_key is not None and settings.api_key.get_secret_value() == API_KEY
    return f"  export MESSENGER_API_KEY={API_KEY}\n" if mine else ""


def _key(settings: Settings) -> str:
    if settings.api_key is None:
        return "(off until MESSENGER_API_KEY is set)"
    # The simulated key is no secret; the user knows a real one.
    key = settings.api_key.get_secret_value()
    return f"(the API key is {key})" if key == API_KEY else "(with your MESSENGER_API_KEY)"


def _fail_dead_runs(settings: Settings, data: str, console: Console) -> None:
    from messenger_pipeline.defs import launch  # seconds to import

    with Database(data, schema=settings.database_schema) as database:
        if dead := launch.fail_orphaned_runs(database):
            console.print(f"Marked as failed: {dead:,} unfinished runs of an earlier stack.")
