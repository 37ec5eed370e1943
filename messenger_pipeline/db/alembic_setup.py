"""Alembic's configuration, and the one transaction of an upgrade or downgrade."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.server import Connection, local_settings, require_usable
from messenger_pipeline.db.sql_files import SQL
from messenger_pipeline.errors import SchemaError

_VERSION_TABLE = "messenger_schema_version"  # Dagster keeps an alembic_version of its own
_LOCK = 7_232_018_346  # an arbitrary number: serializes the upgrades of one database
_MISSING = (
    "Nothing was changed. It was dropped, renamed or made unreachable: restore it, and run the"
    " command again."
)
_LOCK_TIMEOUT = "10s"  # a transaction that waits for a lock blocks all later ones


@dataclass(frozen=True)
class SchemaStatus:
    """The revision of a database's schema. Revisions are the migrations' numbers."""

    current: str | None
    newest: str
    pending: list[str]


def config(
    schema: str,
    connection: sqlalchemy.Connection | None = None,
    output: io.StringIO | None = None,
    types: IdTypes | None = None,
    is_adopted: bool = False,
) -> Config:
    """Return Alembic's configuration, with what env.py needs: the connection and the schemas."""
    config = Config(
        attributes={
            "connection": connection,
            "schema": schema,
            "types": types,
            "is_adopted": is_adopted,
            "options": _options(schema),
        },
        output_buffer=output,
    )
    for option, folder in (("script_location", SQL), ("version_locations", SQL / "migrations")):
        config.set_main_option(option, str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")  # a folder's name may contain spaces
    return config


def _options(schema: str) -> dict[str, str]:
    return {"version_table": _VERSION_TABLE, "version_table_schema": own_schema(schema)}


def script() -> ScriptDirectory:
    return ScriptDirectory.from_config(config("public"))


def search_path(schema: str) -> str:
    return f'"{own_schema(schema)}", "{schema}", pg_temp'


@contextmanager
def connected(
    url: str, schema: str, lock_timeout: str = _LOCK_TIMEOUT
) -> Iterator[sqlalchemy.Connection]:
    """Open one transaction in our schemas. A concurrent upgrade waits for it."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _connect(url),
        poolclass=sqlalchemy.NullPool,
    )
    with translated(remedy=_MISSING):
        try:
            with engine.begin() as connection:
                connection.execute(sqlalchemy.func.pg_advisory_xact_lock(_LOCK).select())
                driver = connection.connection.driver_connection
                assert isinstance(driver, Connection)
                settings = local_settings(
                    driver,
                    search_path=search_path(schema),
                    check_function_bodies="off",  # see validate_functions
                    lock_timeout=lock_timeout,
                    synchronous_commit="on",
                )
                driver.execute(settings)
                yield connection
        except sqlalchemy.exc.DBAPIError as error:
            # The driver's error is enough; SQLAlchemy's adds the whole statement.
            if error.orig is None:
                raise
            raise error.orig from None
        except CommandError as error:
            raise SchemaError(
                f"{error}. The schema was made by another version of messenger-pipeline."
            ) from error


def _connect(url: str) -> Connection:
    connection = Connection.connect(url)
    try:
        require_usable(connection)
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


def status_of(connection: sqlalchemy.Connection, schema: str) -> SchemaStatus:
    current = MigrationContext.configure(connection, opts=_options(schema)).get_current_revision()
    revisions = script()
    newest = revisions.get_current_head()
    assert newest is not None
    if current is not None:
        revisions.get_revision(current)  # raises CommandError for an unknown revision
    pending = [
        one.revision
        for one in revisions.walk_revisions()
        if current is None or one.revision > current
    ]
    return SchemaStatus(current, newest, pending[::-1])


def execute(connection: sqlalchemy.Connection, text: str) -> None:
    # The driver's own cursor runs several statements at once and takes % and : literally.
    connection.connection.cursor().execute(text)
