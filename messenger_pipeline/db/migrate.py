"""The schema: Alembic applies the migrations, then functions and views are defined.

Migrations are numbered pairs of plain SQL files (up, down). A released one never changes.
Functions and views have no history: an upgrade defines each from its file, if that changed. An
upgrade is one transaction, and changes only objects that an earlier upgrade created.
"""

import io
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from alembic import command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from messenger_pipeline.db import adoption
from messenger_pipeline.db.adopted_migrations import part
from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.pool import Database, own_schema, translated
from messenger_pipeline.db.roles import require_sight
from messenger_pipeline.db.server import Connection, local_settings, require_usable
from messenger_pipeline.db.sql_files import SQL, definitions, render, setup, verifications
from messenger_pipeline.errors import (
    DatabaseError,
    DatabaseUnavailable,
    SchemaError,
    UsageError,
    VerificationError,
)

_VERSION_TABLE = "messenger_schema_version"  # Dagster keeps an alembic_version of its own
_LOCK = 7_232_018_346  # an arbitrary number: serializes the upgrades of one database
_MISSING = (
    "Nothing was changed. It was dropped, renamed or made unreachable: restore it, and run the"
    " command again."
)
_NAMED = re.compile(r"\b(?:constraint|index)(?:\s+if\s+not\s+exists)?\s+(\w+)")
_log = logging.getLogger(__name__)
_LOCK_TIMEOUT = "10s"  # a transaction that waits for a lock blocks all later ones


@dataclass(frozen=True)
class SchemaStatus:
    """The revision of a database's schema. Revisions are the migrations' numbers."""

    current: str | None
    newest: str
    pending: list[str]


def upgrade(url: str, schema: str, encrypt: Callable[[str], str] | None = None) -> list[str]:
    """Bring the schema up to date. Returns the migrations applied, oldest first.

    The tables of the replaced application are adopted (see adoption.py); `encrypt` encrypts the
    tokens that stand there in the clear, None leaves them.

    Raises UpgradeRefused, and changes nothing, if a name is taken by an object that is not ours.
    Creates indexes and constraints of ours again that were dropped. Logs a warning about each, and
    about each trigger of the owner's that would use a name of ours. It does not check the rows: see
    `verify`.
    """
    if not adoption.is_needed(url, schema):
        applied = _upgrade(url, schema)
        if encrypt is not None:
            adoption.adopt_tokens(url, schema, encrypt)
        return applied
    with adoption.adopting(url, schema, encrypt) as adopted:
        adopted.prepare()
        applied = adoption.patiently(lambda: _create_beside(url, schema))
        _upgrade(url, schema)
        adopted.finish()
    if encrypt is not None:
        adoption.adopt_tokens(url, schema, encrypt)
    return applied


def _create_beside(url: str, schema: str) -> list[str]:
    """Apply the migrations beside adopted tables, and put ours in the place of the replaced
    application's objects. What takes over from its locks is defined at once: a transaction as short
    as can be, since its syncs wait for it."""
    with _connected(url, schema, adoption.LOCK_TIMEOUT) as connection:
        pending = _status(connection, schema).pending
        _prepare(connection, schema)
        types = _id_types(connection)
        connection.exec_driver_sql("select take_over()")
        command.upgrade(_config(schema, connection, types=types, is_adopted=True), "head")
        for statement in _definition_statements(schema, types, only="locks"):
            _execute(connection, statement)
        connection.exec_driver_sql("select carry_over_locks()")
    return pending


def _upgrade(url: str, schema: str) -> list[str]:
    with _connected(url, schema) as connection:
        pending = _status(connection, schema).pending
        _prepare(connection, schema)
        restored = connection.exec_driver_sql("select restore_indexes()").scalars().all()
        types = _id_types(connection)
        command.upgrade(_config(schema, connection, types=types), "head")
        for statement in _definition_statements(schema, types):
            _execute(connection, statement)
        _execute(connection, f"select record_indexes(array{_index_names()})")
        if connection.exec_driver_sql("select to_regclass('adoption_work')").scalar():
            connection.exec_driver_sql("select grant_as_before()")
        warnings = connection.exec_driver_sql("select list_ambiguous_triggers()").scalars().all()
    for one in restored:
        _log.warning("%s was missing or invalid, and was created again.", one)
    for text in warnings:
        _log.warning("%s", text)
    return pending


def downgrade(url: str, schema: str, to: str = "base") -> list[str]:
    """Revert migrations down to revision `to`. Returns the reverted ones, newest first.

    Drops functions and views first: an upgrade by the release of `to` defines its own again.
    The tables of an adopted database are given back to the replaced application, as they were;
    what is worth knowing of that is logged as warnings.
    """
    if adoption.is_adopted(url, schema):
        return _give_back(url, schema, to)
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
        if after is not None:
            _execute(connection, "select record_definitions()")
        else:
            _execute(connection, render(SQL / "teardown.sql", schema))
    for one in left:
        _log.warning(
            "The %s was altered, and is left. The next `db upgrade` puts ours in its place; drop it"
            " if nothing uses it.", one,
        )  # fmt: skip
    return [revision for revision in known if (after or "") < revision <= before]


def _give_back(url: str, schema: str, to: str) -> list[str]:
    """Downgrade an adopted database to base, in one transaction."""
    if to != "base":
        raise UsageError(
            "The tables of this database were adopted from the replaced application. A downgrade"
            " gives them back: it goes to base only."
        )
    with _connected(url, schema) as connection:
        before = _status(connection, schema).current
        _prepare(connection, schema)
        for statement in adoption.definitions(schema, _id_types(connection)):
            _execute(connection, statement)
        connection.exec_driver_sql("select begin_undo()")
        if before is not None:
            command.downgrade(_config(schema, connection, types=_id_types(connection)), to)
        notes = connection.exec_driver_sql("select finish_undo()").scalars().all()
        _execute(connection, "select drop_undefined('{}')")
        _execute(connection, render(SQL / "teardown.sql", schema))
    for note in notes:
        _log.warning("%s", note)
    return _require_known(to) if before is not None else []


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
    script.write("\nselect restore_dropped();\nselect check_owned_objects();")
    script.write(f"\nselect require_revision('{start}');\nselect restore_indexes();\n")
    command.upgrade(_config(schema, output=script), f"{start}:head", sql=True)
    for statement in _definition_statements(schema):
        script.write(f"{statement};\n")
    script.write(f"select record_indexes(array{_index_names()});\n")
    script.write("\ncommit;\n")
    return script.getvalue()


def verify(database: Database) -> dict[str, str | None]:
    """Run each check of sql/verify. Returns by name what it found, or None. One that cannot be run,
    as where a table is missing, has found its error."""
    found: dict[str, str | None] = {}
    for path in verifications():
        try:
            found[path.stem] = run_check(database, path.stem)
        except DatabaseUnavailable:
            raise
        except DatabaseError as error:
            found[path.stem] = str(error)
    return found


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
        attributes = context.config.attributes
        text = render(path, attributes["schema"], attributes["types"])
        if attributes["is_adopted"]:
            text = part(text, attributes["schema"]).rest
        if op.get_context().as_sql:
            op.get_context().impl.static_output(text)
        else:
            _execute(op.get_bind(), text)


def _prepare(connection: sqlalchemy.Connection, schema: str) -> None:
    """Define what defines the other objects, and make anew what a rollback by hand dropped. Raises
    UpgradeRefused if what is on record as ours is not."""
    for path in setup():
        _execute(connection, render(path, schema))
    restored = connection.exec_driver_sql("select restore_dropped()").scalars().all()
    if restored:
        _log.warning("Made anew, because they had been dropped: %s.", ", ".join(restored))
    _execute(connection, "select check_owned_objects()")


def _id_types(connection: sqlalchemy.Connection) -> IdTypes:
    """The types of the tables' ids; of tables that are still to be created, ours."""
    row = connection.exec_driver_sql("select * from list_id_types()").mappings().one()
    return IdTypes(**{name: value for name, value in row.items() if value is not None})


def _definition_statements(
    schema: str, types: IdTypes | None = None, only: str | None = None
) -> Iterator[str]:
    """Yield the statements that define functions and views, drop those of other releases, and check
    the bodies; or only define the functions of one folder."""
    names = []
    for found in definitions():
        if only is not None and found.path.parent.name != only:
            continue
        names.append(found.name)
        yield (
            f"select define_object('{found.schema}', '{found.kind}', '{found.name}',"
            f" $definition${render(found.path, schema, types)}$definition$)"
        )
    if only is not None:
        return
    yield f"select drop_undefined(array{names})"
    yield "select validate_functions()"
    yield "select record_definitions()"
    yield "select restore_role_grants()"


def _index_names() -> list[str]:
    """Return the names that migrations give to indexes and constraints."""
    texts = [path.read_text() for path in SQL.glob("migrations/*.up*.sql")]
    return sorted({name for text in texts for name in _NAMED.findall(text)})


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


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config("public"))


def _search_path(schema: str) -> str:
    return f'"{own_schema(schema)}", "{schema}", pg_temp'


@contextmanager
def _connected(
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
                    search_path=_search_path(schema),
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
