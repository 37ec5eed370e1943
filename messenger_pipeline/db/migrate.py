"""The schema: Alembic applies the migrations, then functions and views are defined.

Migrations are numbered pairs of plain SQL files (up, down). A released one never changes.
Functions and views have no history: an upgrade defines each from its file, if that changed. An
upgrade is one transaction, and changes only objects that an earlier upgrade created.
"""

import io
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy
from alembic import command, context, op

from messenger_pipeline.db import adoption, adoption_session
from messenger_pipeline.db.adopted_migrations import part
from messenger_pipeline.db.alembic_setup import (
    SchemaStatus,
    config,
    connected,
    execute,
    script,
    search_path,
    status_of,
)
from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.roles import require_sight
from messenger_pipeline.db.sql_files import SQL, definitions, render, setup, verifications
from messenger_pipeline.errors import (
    DatabaseError,
    DatabaseUnavailable,
    SchemaError,
    UsageError,
    VerificationError,
)

_NAMED = re.compile(r"\b(?:constraint|index)(?:\s+if\s+not\s+exists)?\s+(\w+)")
_log = logging.getLogger(__name__)


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
        applied = adoption_session.patiently(lambda: _create_beside(url, schema))
        _upgrade(url, schema)
        adopted.finish()
    if encrypt is not None:
        adoption.adopt_tokens(url, schema, encrypt)
    return applied


def _create_beside(url: str, schema: str) -> list[str]:
    """Apply the migrations beside adopted tables, and put ours in the place of the replaced
    application's objects. What takes over from its locks is defined at once: a transaction as short
    as can be, since its syncs wait for it."""
    with connected(url, schema, adoption_session.LOCK_TIMEOUT) as connection:
        pending = status_of(connection, schema).pending
        _prepare(connection, schema)
        types = _id_types(connection)
        connection.exec_driver_sql("select take_over()")
        command.upgrade(config(schema, connection, types=types, is_adopted=True), "head")
        for statement in _definition_statements(schema, types, only="locks"):
            execute(connection, statement)
        connection.exec_driver_sql("select carry_over_locks()")
    return pending


def _upgrade(url: str, schema: str) -> list[str]:
    with connected(url, schema) as connection:
        pending = status_of(connection, schema).pending
        _prepare(connection, schema)
        restored = connection.exec_driver_sql("select restore_indexes()").scalars().all()
        types = _id_types(connection)
        command.upgrade(config(schema, connection, types=types), "head")
        for statement in _definition_statements(schema, types):
            execute(connection, statement)
        execute(connection, f"select record_indexes(array{_index_names()})")
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
    with connected(url, schema) as connection:
        before = status_of(connection, schema).current
        known = _require_known(to)
        if before is None:
            return []
        _prepare(connection, schema)
        execute(connection, "select drop_undefined('{}')")
        left = connection.exec_driver_sql("select list_left_objects()").scalars().all()
        command.downgrade(config(schema, connection), to)
        after = status_of(connection, schema).current
        if after is not None:
            execute(connection, "select record_definitions()")
        else:
            execute(connection, render(SQL / "teardown.sql", schema))
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
    with connected(url, schema) as connection:
        before = status_of(connection, schema).current
        _prepare(connection, schema)
        for statement in adoption_session.definitions(schema, _id_types(connection)):
            execute(connection, statement)
        connection.exec_driver_sql("select begin_undo()")
        if before is not None:
            command.downgrade(config(schema, connection, types=_id_types(connection)), to)
        notes = connection.exec_driver_sql("select finish_undo()").scalars().all()
        execute(connection, "select drop_undefined('{}')")
        execute(connection, render(SQL / "teardown.sql", schema))
    for note in notes:
        _log.warning("%s", note)
    return _require_known(to) if before is not None else []


def status(url: str, schema: str) -> SchemaStatus:
    """Return the database's revision and its pending migrations."""
    with connected(url, schema) as connection:
        return status_of(connection, schema)


def script_of_upgrade(schema: str, start: str = "base") -> str:
    """Return the SQL of an upgrade from revision `start`, for use in a SQL editor.

    It is one transaction, and fails on a database that is not at `start`.
    """
    _require_known(start)
    text = io.StringIO()
    text.write(f"begin;\nset local search_path to {search_path(schema)};\n")
    text.write("set local check_function_bodies to off;\n")
    for path in setup():
        text.write(f"\n-- {path.parent.name}/{path.name}\n{render(path, schema)}")
    text.write("\nselect restore_dropped();\nselect check_owned_objects();")
    text.write(f"\nselect require_revision('{start}');\nselect restore_indexes();\n")
    command.upgrade(config(schema, output=text), f"{start}:head", sql=True)
    for statement in _definition_statements(schema):
        text.write(f"{statement};\n")
    text.write(f"select record_indexes(array{_index_names()});\n")
    text.write("\ncommit;\n")
    return text.getvalue()


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
    newest = script().get_current_head()
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
            execute(op.get_bind(), text)


def _prepare(connection: sqlalchemy.Connection, schema: str) -> None:
    """Define what defines the other objects, and make anew what a rollback by hand dropped. Raises
    UpgradeRefused if what is on record as ours is not."""
    for path in setup():
        execute(connection, render(path, schema))
    restored = connection.exec_driver_sql("select restore_dropped()").scalars().all()
    if restored:
        _log.warning("Made anew, because they had been dropped: %s.", ", ".join(restored))
    execute(connection, "select check_owned_objects()")


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
    known = [one.revision for one in script().walk_revisions()]
    if revision != "base" and revision not in known:
        raise UsageError(
            f"There is no schema revision {revision}. Known: base, {', '.join(sorted(known))}."
        )
    return known
