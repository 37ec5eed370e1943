"""serve: the webhook receiver."""

import gc
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import click
import uvicorn

from messenger_pipeline import runtime
from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.receiving import GroupCommit
from messenger_pipeline.errors import ConfigurationError, PipelineError
from messenger_pipeline.settings import Settings, load_settings

_GRACE_SECONDS = 5  # for requests that are under way when asked to end: Meta waits no longer


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0: every address.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--drain/--no-drain", default=True, show_default=True,
    help="Apply deliveries at once; without it, Dagster's sensor alone does.",
)  # fmt: skip
def serve(host: str, port: int, drain: bool) -> None:
    """Receive webhook deliveries until told to end.

    A delivery is committed before it is answered, and applied right after.
    """
    settings = load_settings()
    verify_token = _require_secrets(settings)
    from messenger_pipeline.web.app import create_app
    from messenger_pipeline.web.draining import DrainProcess

    with _listening(host, port) as listener, _own_database(settings) as (url, environment):
        process = DrainProcess(environment)
        commit = GroupCommit(url, settings.database_schema, process.announce)
        secrets = [secret.get_secret_value() for secret in settings.app_secret]
        background = process.running if drain else nullcontext
        app = create_app(commit, secrets, verify_token, background)
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
        click.echo(f"Receiving at http://{host}:{port}/api/webhook. Ctrl-C ends it.")
        config = uvicorn.Config(
            app, loop="auto", http="httptools", log_level="warning",
            access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, server_header=False,
        )  # fmt: skip
        # What is loaded by now stays: a search through it takes longer than a hundred answers.
        gc.collect()
        gc.freeze()
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            click.echo("Ended; every delivery that was answered is kept.")


def _listening(host: str, port: int) -> socket.socket:
    """The socket, before anything is promised of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise PipelineError(
            f"Port {port} of {host} cannot be used: {error.strerror}. Choose another with --port,"
            " or an address of this machine with --host."
        ) from None


def _require_secrets(settings: Settings) -> str:
    """The verify token. Raises ConfigurationError, which names all that is missing."""
    missing = []
    if not settings.app_secret:
        missing.append(
            "The setting MESSENGER_APP_SECRET is missing: without it nobody can tell Meta's"
            " deliveries from forged ones. Meta shows it in your app's dashboard, Settings > Basic."
        )
    if settings.verify_token is None or not settings.verify_token.get_secret_value():
        missing.append(
            "The setting MESSENGER_VERIFY_TOKEN is missing: make up a long random text, and give"
            " Meta the same when you set the webhook up."
        )
    if missing or settings.verify_token is None:
        raise ConfigurationError("\n".join(missing))
    return settings.verify_token.get_secret_value()


@contextmanager
def _own_database(settings: Settings) -> Iterator[tuple[str, dict[str, str]]]:
    """The data's URL, its schema current, and the environment of processes that work on it."""
    with runtime.data_url(settings) as url:
        with Database(url, schema=settings.database_schema, timeout=10) as database:
            migrate.require_current(database)
        runtime.token_vault(settings)
        yield url, runtime.environment(settings, url)
