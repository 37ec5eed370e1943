"""The schema: Alembic applies the migrations, then functions and views are defined.

Migrations are numbered pairs of plain SQL files (up, down). A released one never changes.
Functions and views have no history: an upgrade defines each from its file, if that changed. An
upgrade is one transaction, and changes only objects that an earlier upgrade created.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from alembic import command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from messenger_pipeline.db.pool import Database, own_schema, translated
from messenger_pipeline.db.roles import require_sight
from messenger_pipeline.db.server import Connection, local_settings, require_usable
from messenger_pipeline.db.sql_files import SQL, definitions, render, setup, verifications
from messenger_pipeline.errors import SchemaError, UsageError, VerificationError

_VERSION_TABLE = "messenger_schema_version"  # Dagster keeps an alembic_version of its own
_LOCK = 7_232_018_346  # an arbitrary number: serializes the upgrades of one database
_MISSING = (
    "Nothing was changed. It was dropped, renamed or made unreachable: restore it, and run the"
    " command again."
)
_log = logging.getLogger(__name__)
_LOCK_TIMEOUT = "10s"  # a transaction that waits for a lock blocks all later ones


@dataclass(frozen=True)
class SchemaStatus:
    """The revision of a database's schema. Revisions are the migrations' numbers."""

    current: str | None
    newest: str
    pending: list[str]


def upgrade(url: str, schema: str) -> list[str]:
    """Bring the schema up to date. Returns the migrations applied, oldest first.

    Raises UpgradeRefused, and changes nothing, if a name is taken by an object that is not ours.
    Logs a warning about each trigger of the owner's that would use a name of ours. It does not
    check the rows: see `verify`.
    """
    with _connected(url, schema) as connection:
        pending = _status(connection, schema).pending
        _prepare(connection, schema)
        command.upgrade(_config(schema, connection), "head")
        for statement in _definition_statements(schema):
            _execute(connection, statement)
        warnings = connection.exec_driver_sql("select list_ambiguous_triggers()").scalars().all()
    for text in warnings:
        _log.warning("%s", text)
    return pending


def downgrade(url: str, schema: str, to: str = "base") -> list[str]:
    """Revert migrations down to revision `to`. Returns the reverted ones, newest first.

    Drops functions and views first: an upgrade by the release of `to` defines its own again.
    """
    with _connected(url, schema) as connection:
        before = _status(connection, schema).current
        known = _require_known(to)
        if before is None:
            return []
        _prepare(connection, schema)
        _execute(connection, "select drop_undefined('{}')")
        left = connection.exec_driver_sql("select list_left_objects()").scalars().all()
        command.downgrade(_config(schema, connection), to)
        after = _status(connection, schema).current
        if after is None:
            _execute(connection, render(SQL / "teardown.sql", schema))
    for one in left:
        _log.warning(
            "The %s was altered, and is left. The next `db upgrade` puts ours in its place; drop it"
            " if nothing uses it.", one,
        )  # fmt: skip
    return [revision for revision in known if (after or "") < revision <= before]


def status(url: str, schema: str) -> SchemaStatus:
    """Return the database's revision and its pending migrations."""
    with _connected(url, schema) as connection:
        return _status(connection, schema)


def script_of_upgrade(schema: str, start: str = "base") -> str:
    """Return the SQL of an upgrade from revision `start`, for use in a SQL editor.

    It is one transaction, and fails on a database that is not at `start`.
    """
    _require_known(start)
    script = io.StringIO()
    script.write(f"begin;\nset local search_path to {_search_path(schema)};\n")
    script.write("set local check_function_bodies to off;\n")
    for path in setup():
        script.write(f"\n-- {path.parent.name}/{path.name}\n{render(path, schema)}")
    script.write(f"\nselect check_owned_objects();\nselect require_revision('{start}');\n")
    command.upgrade(_config(schema, output=script), f"{start}:head", sql=True)
    for statement in _definition_statements(schema):
        script.write(f"{statement};\n")
    script.write("\ncommit;\n")
    return script.getvalue()


def verify(database: Database) -> dict[str, str | None]:
    """Run each check of sql/verify. Returns by name what it found, or None."""
    return {path.stem: run_check(database, path.stem) for path in verifications()}


def run_check(database: Database, name: str) -> str | None:
    """Run one check of sql/verify. Returns what it found, or None."""
    try:
        with database.transaction() as connection:
            connection.execute(render(SQL / "verify" / f"{name}.sql", database.schema))
    except VerificationError as error:
        return str(error)
    return None


def require_current(database: Database) -> None:
    """Raise SchemaError unless this version works with the database's schema, BlindRole if row
    level security hides rows from it."""
    newest = _script().get_current_head()
    try:
        if database.value("serves_revision", revision=newest):
            require_sight(database)
            return
    except SchemaError:
        raise SchemaError(
            "The database has no schema of messenger-pipeline. Run `messenger-pipeline db upgrade`."
        ) from None
    raise SchemaError(
        f"The database's schema does not serve this version, which needs {newest}."
        " Run `messenger-pipeline db upgrade` of the newest version in use."
    )


def run_beside(migration: str, direction: str) -> None:
    """Run the SQL that stands beside the migration NAME.py: NAME.up*.sql or NAME.down*.sql."""
    beside = Path(migration)
    for path in sorted(beside.parent.glob(f"{beside.stem}.{direction}*.sql")):
        text = render(path, context.config.attributes["schema"])
        if op.get_context().as_sql:
            op.get_context().impl.static_output(text)
        else:
            _execute(op.get_bind(), text)


def _prepare(connection: sqlalchemy.Connection, schema: str) -> None:
    """Define what defines the other objects. Raises UpgradeRefused if what is on record as ours is
    not."""
    for path in setup():
        _execute(connection, render(path, schema))
    _execute(connection, "select check_owned_objects()")


def _definition_statements(schema: str) -> Iterator[str]:
    """Yield the statements that define functions and views, drop those of other releases, and check
    the bodies."""
    names = []
    for found in definitions():
        names.append(found.name)
        yield (
            f"select define_object('{found.schema}', '{found.kind}', '{found.name}',"
            f" $definition${render(found.path, schema)}$definition$)"
        )
    yield f"select drop_undefined(array{names})"
    yield "select validate_functions()"
    yield "select restore_role_grants()"


def _require_known(revision: str) -> list[str]:
    """Return the known revisions, newest first. Raises UsageError if `revision` is not one."""
    known = [one.revision for one in _script().walk_revisions()]
    if revision != "base" and revision not in known:
        raise UsageError(
            f"There is no schema revision {revision}. Known: base, {', '.join(sorted(known))}."
        )
    return known


def _config(
    schema: str,
    connection: sqlalchemy.Connection | None = None,
    output: io.StringIO | None = None,
) -> Config:
    """Return Alembic's configuration, with what env.py needs: the connection and the schemas."""
    config = Config(
        attributes={"connection": connection, "schema": schema, "options": _options(schema)},
        output_buffer=output,
    )
    for option, folder in (("script_location", SQL), ("version_locations", SQL / "migrations")):
        config.set_main_option(option, str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")  # a folder's name may contain spaces
    return config


def _options(schema: str) -> dict[str, str]:
    return {"version_table": _VERSION_TABLE, "version_table_schema": own_schema(schema)}


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config("public"))


def _search_path(schema: str) -> str:
    return f'"{own_schema(schema)}", "{schema}", pg_temp'


@contextmanager
def _connected(url: str, schema: str) -> Iterator[sqlalchemy.Connection]:
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
                    search_path=_search_path(schema),
                    check_function_bodies="off",  # see validate_functions
                    lock_timeout=_LOCK_TIMEOUT,
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


def _status(connection: sqlalchemy.Connection, schema: str) -> SchemaStatus:
    current = MigrationContext.configure(connection, opts=_options(schema)).get_current_revision()
    script = _script()
    newest = script.get_current_head()
    assert newest is not None
    if current is not None:
        script.get_revision(current)  # raises CommandError for an unknown revision
    pending = [
        one.revision for one in script.walk_revisions() if current is None or one.revision > current
    ]
    return SchemaStatus(current, newest, pending[::-1])


def _execute(connection: sqlalchemy.Connection, text: str) -> None:
    # The driver's own cursor runs several statements at once and takes % and : literally.
    connection.connection.cursor().execute(text)
