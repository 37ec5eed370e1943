"""serve: the webhook receiver, the control API and the status page."""

import gc
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import uvicorn
from pydantic import SecretStr

from messenger_pipeline import logs, runtime
from messenger_pipeline.db import migrate
from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import ConfigurationError, PipelineError
from messenger_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from messenger_pipeline.web.app import Control

_GRACE_SECONDS = 5  # for requests in progress at the end: Meta waits no longer
_WAIT_SECONDS = 5.0  # for a database connection of the control API
_CONTROL_CONNECTIONS = 4
_OTHER_FILES = 1000  # beside the requests that wait: deliveries, the status page, the database


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Listen on this address; 0.0.0.0 is every address.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True,
    help="Listen on this port.",
)  # fmt: skip
@click.option(
    "--drain/--no-drain", default=True, show_default=True,
    help="Apply deliveries at once. With --no-drain, only Dagster's runs do.",
)  # fmt: skip
def serve(host: str, port: int, drain: bool) -> None:
    """Receive webhooks, and serve the status page.

    Also serves the control API and metrics. Runs until Ctrl-C or SIGTERM. A delivery is committed
    before it is answered, then applied.
    """
    settings = load_settings()
    verify_token = _require_secrets(settings)
    from messenger_pipeline.web.app import Control, create_app
    from messenger_pipeline.web.drain_process import DrainProcess
    from messenger_pipeline.web.drain_state import DrainState
    from messenger_pipeline.web.server import Server

    with (
        _listening(host, port) as listener,
        _own_database(settings) as (url, environment),
        Database(
            url, schema=settings.database_schema, timeout=_WAIT_SECONDS, size=_CONTROL_CONNECTIONS
        ) as database,
    ):
        process = DrainProcess(
            environment, drain=drain, on_failure=DrainState(database).failed if drain else _ignore
        )
        commit = GroupCommit(url, settings.database_schema, process.notify)
        secrets = [secret.get_secret_value() for secret in settings.app_secret]
        control = Control(
            database,
            _secret(settings.listen_url) or url,
            _secret(settings.api_key),
            tuple(settings.allowed_origins),
            settings.sync_wait_seconds,
            settings.sync_waiters,
        )
        app = create_app(commit, secrets, verify_token, process.running, control)
        _allow_open_files(control.waiters)
        logs.configure("receiver")
        click.echo(f"Receiving at http://{host}:{port}/api/webhook. Ctrl-C ends it.")
        _print_control(control, f"http://{host}:{port}/")
        config = uvicorn.Config(
            app, loop="auto", http="httptools", log_config=None, log_level="warning",
            access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, server_header=False,
        )  # fmt: skip
        # What is loaded by now stays: collecting it takes longer than a hundred answers.
        gc.collect()
        gc.freeze()
        try:
            Server(config, app).run(sockets=[listener])
        except KeyboardInterrupt:
            click.echo("Ended. Every delivery that was answered is stored.")


def _allow_open_files(waiters: int) -> None:
    """Let the process have as many connections as requests may wait, as far as the system allows.
    Many systems start processes with a limit of 1,024 files that they may raise themselves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = waiters + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        click.echo(
            f"The system lets this process open {allowed:,} files, and {waiters:,} requests may"
            f" wait: raise the limit to {wanted:,} (ulimit -n, LimitNOFILE), or lower"
            " MESSENGER_SYNC_WAITERS."
        )


def _ignore(_reason: str) -> None:
    """The end of a process that only checks alerts concerns no delivery."""


def _print_control(control: "Control", address: str) -> None:
    if control.api_key is None:
        click.echo(
            "The control API and the status page are closed: set MESSENGER_API_KEY to a long random"
            " text to open them."
        )
    else:
        click.echo(f"The status page is {address}; it asks for MESSENGER_API_KEY.")


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


def _listening(host: str, port: int) -> socket.socket:
    """The listening socket. Raises PipelineError if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise PipelineError(
            f"Port {port} of {host} cannot be used: {error.strerror}. Choose another with --port,"
            " or another address of this machine with --host."
        ) from None


def _require_secrets(settings: Settings) -> str:
    """The verify token. Raises ConfigurationError, which names each missing setting."""
    missing = []
    if not settings.app_secret:
        missing.append(
            "The setting MESSENGER_APP_SECRET is missing: without it, forged deliveries"
            " cannot be recognized. Copy it from your app's dashboard at Meta, Settings > Basic."
        )
    if settings.verify_token is None or not settings.verify_token.get_secret_value():
        missing.append(
            "The setting MESSENGER_VERIFY_TOKEN is missing: choose a long random text, and"
            " enter the same text at Meta when you set up the webhook."
        )
    if missing or settings.verify_token is None:
        raise ConfigurationError("\n".join(missing))
    return settings.verify_token.get_secret_value()


@contextmanager
def _own_database(settings: Settings) -> Iterator[tuple[str, dict[str, str]]]:
    """The database's URL, and the environment of processes that work on it. Raises SchemaError
    if its schema is not current."""
    with runtime.data_url(settings) as url:
        with Database(url, schema=settings.database_schema, timeout=10) as database:
            migrate.require_current(database)
        runtime.token_vault(settings)
        yield url, runtime.environment(settings, url)
