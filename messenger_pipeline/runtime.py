"""Builds plain objects from the settings, for commands, runs and sensors."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from messenger_pipeline.db.embedded import database_url, embedded_server
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import ConfigurationError
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.settings import Settings
from messenger_pipeline.vault import TokenVault, key_in

DATA = "messenger"
"""The data's database on the embedded server."""
DAGSTER = "dagster"
"""Dagster's database on the embedded server."""


@contextmanager
def database_urls(settings: Settings) -> Iterator[tuple[str, str]]:
    """The URLs of the data's and of Dagster's database. The embedded server runs for the duration
    of the context, if either is on it."""
    data, dagster = settings.database_url, settings.dagster_pg_url
    if data and dagster:
        yield data.get_secret_value(), dagster.get_secret_value()
        return
    with embedded_server(settings.home.resolve()) as server:
        yield (
            data.get_secret_value() if data else database_url(server, DATA),
            dagster.get_secret_value() if dagster else database_url(server, DAGSTER),
        )


@contextmanager
def data_url(settings: Settings) -> Iterator[str]:
    """The URL of the data's database."""
    if settings.database_url:
        yield settings.database_url.get_secret_value()
        return
    with embedded_server(settings.home.resolve()) as server:
        yield database_url(server, DATA)


@contextmanager
def open_database(settings: Settings, timeout: float = 30.0) -> Iterator[Database]:
    with (
        data_url(settings) as url,
        Database(url, schema=settings.database_schema, timeout=timeout) as database,
    ):
        yield database


@contextmanager
def open_engine(settings: Settings) -> Iterator[Engine]:
    with open_database(settings) as database:
        yield Engine(
            database,
            graph_api(settings),
            token_vault(settings),
            settings.calls_per_second,
            settings.app_id,
        )


def environment(settings: Settings, data: str) -> dict[str, str]:
    """The environment of a process with the same settings, and `data` as its database URL."""
    keys = settings.token_key
    return {
        "MESSENGER_HOME": str(settings.home.resolve()),
        "MESSENGER_DATABASE_URL": data,
        "MESSENGER_DATABASE_SCHEMA": settings.database_schema,
        "MESSENGER_GRAPH_URL": settings.graph_url,
        "MESSENGER_GRAPH_VERSION": settings.graph_version,
        "MESSENGER_CALLS_PER_SECOND": str(settings.calls_per_second),
        "MESSENGER_APP_ID": settings.app_id,
        "MESSENGER_APP_SECRET": _joined(settings.app_secret),
        "MESSENGER_VERIFY_TOKEN": _text(settings.verify_token),
        "MESSENGER_API_KEY": _text(settings.api_key),
        "MESSENGER_ALLOWED_ORIGINS": ",".join(settings.allowed_origins),
        "MESSENGER_SYNC_WAIT_SECONDS": str(settings.sync_wait_seconds),
        "MESSENGER_SYNC_WAITERS": str(settings.sync_waiters),
        "MESSENGER_ALERT_URL": _text(settings.alert_url),
        "MESSENGER_LISTEN_URL": _text(settings.listen_url),
        "MESSENGER_WEBHOOK_RETENTION_DAYS": str(settings.webhook_retention_days),
        "MESSENGER_TOKEN_KEY": key_in(settings.home.resolve())
        if settings.embedded and not keys
        else _joined(keys),
    }


def _joined(secrets: list[SecretStr]) -> str:
    return ",".join(secret.get_secret_value() for secret in secrets)


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def graph_api(settings: Settings) -> GraphApi:
    # During a rotation the first secret signs what we send.
    secret = settings.app_secret[0].get_secret_value() if settings.app_secret else None
    return GraphApi(settings.graph_url, settings.graph_version, secret)


def token_vault(settings: Settings) -> TokenVault:
    """Raises ConfigurationError if there is no key and the database is not the embedded one."""
    keys = [key.get_secret_value() for key in settings.token_key]
    if not keys:
        if not settings.embedded:
            raise ConfigurationError(
                "The setting MESSENGER_TOKEN_KEY is missing: it encrypts the pages' tokens in"
                " your database. `messenger-pipeline key` creates one; keep it safe."
            )
        keys = [key_in(settings.home.resolve())]
    return TokenVault(keys)
