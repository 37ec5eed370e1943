"""The schema: migrations applied by Alembic, then functions and views as they now are, then
the checks of sql/verify.

Migrations are plain SQL, numbered, in pairs (up, down). A released one never changes. Functions
and views have no history: each upgrade makes them anew from their one file.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from messenger_pipeline.db.pool import Database, translated
from messenger_pipeline.errors import SchemaError, UsageError, VerificationError
from messenger_pipeline.project import PROJECT

SQL = PROJECT / "sql"
VERSION_TABLE = "messenger_schema_version"  # Dagster keeps an alembic_version of its own
_LOCK = 7_232_018_346  # any number: upgrades of one database wait for each other


@dataclass(frozen=True)
class SchemaStatus:
    """Where a database's schema stands; revisions are the migrations' numbers."""

    current: str | None
    newest: str
    pending: list[str]


def upgrade(url: str, schema: str) -> list[str]:
    """Bring the schema up to date and check it. Returns the migrations applied, oldest first."""
    with _connected(url, schema) as connection:
        pending = _status(connection, schema).pending
        _run(connection, schema, _script()._upgrade_revs, "head")
        _execute_text(connection, _drop_definitions())
        for path in _definitions():
            _execute(connection, path)
        _execute_text(connection, _RESTORE_GRANTS)
        for path in verifications():
            _execute(connection, path)
    return pending


def downgrade(url: str, schema: str, to: str = "base") -> list[str]:
    """Take migrations back down to revision `to`. Returns those taken back, newest first.

    Functions and views go first: those of the release that made `to` come with its own upgrade.
    """
    with _connected(url, schema) as connection:
        current = _status(connection, schema).current
        script = _script()
        known = [revision.revision for revision in script.walk_revisions()]
        if to != "base" and to not in known:
            raise UsageError(
                f"There is no schema revision {to}. Known: base, {', '.join(sorted(known))}."
            )
        if current is None:
            return []
        _execute_text(connection, _drop_definitions())
        _run(connection, schema, script._downgrade_revs, to)
        after = _status(connection, schema).current
        if to == "base":
            connection.exec_driver_sql(f"drop table {VERSION_TABLE}")
    return [revision for revision in known if revision <= current and revision > (after or "")]


def status(url: str, schema: str) -> SchemaStatus:
    """Which migrations the database has, and which are pending."""
    with _connected(url, schema) as connection:
        return _status(connection, schema)


def verify(database: Database) -> dict[str, str | None]:
    """Run each check of sql/verify; its name, and what it found or None."""
    return {path.stem: run_check(database, path.stem) for path in verifications()}


def run_check(database: Database, name: str) -> str | None:
    """Run one check of sql/verify. None if the rows are as they should be."""
    try:
        with database.transaction() as connection:
            connection.execute((SQL / "verify" / f"{name}.sql").read_text())
    except VerificationError as error:
        return str(error)
    return None


def require_current(database: Database) -> None:
    """Raise SchemaError unless the schema is the one that this version works with."""
    newest = _script().get_current_head()
    with database.transaction() as connection:
        row = connection.execute("select to_regclass(%s)", [VERSION_TABLE]).fetchone()
        found = (
            row
            and row[0]
            and connection.execute(f"select version_num from {VERSION_TABLE}").fetchone()  # noqa: S608
        )
    current = found[0] if found else None
    if current != newest:
        raise SchemaError(
            f"The database's schema is at {current or 'nothing'}, this version needs {newest}."
            " Run `messenger-pipeline db upgrade`."
        )


def script_of_upgrade(schema: str, start: str = "base") -> str:
    """The SQL that an upgrade from revision `start` runs, to be pasted into a SQL editor.

    It is one transaction, and refuses to run on a database that is not at `start`.
    """
    buffer = io.StringIO()
    script = _script()
    known = [revision.revision for revision in script.walk_revisions()]
    if start != "base" and start not in known:
        raise UsageError(
            f"There is no schema revision {start}. Known: base, {', '.join(sorted(known))}."
        )
    buffer.write(f"begin;\nset local search_path to {schema};\n\n{_guard(start)}\n")
    _offline(script, buffer, schema, start)
    buffer.write(_drop_definitions())
    for path in _definitions():
        buffer.write(f"\n-- {path.parent.name}/{path.name}\n{path.read_text()}")
    buffer.write(_RESTORE_GRANTS)
    for path in verifications():
        buffer.write(f"\n-- {path.parent.name}/{path.name}\n{path.read_text()}")
    buffer.write("\ncommit;\n")
    return buffer.getvalue()


def run_beside(migration: str, direction: str) -> None:
    """Run NAME.up.sql or NAME.down.sql, which stands beside the migration NAME.py."""
    text = Path(migration).with_suffix(f".{direction}.sql").read_text()
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(text)
    else:
        _execute_text(context.connection, text)


def verifications() -> list[Path]:
    """The checks, one file each."""
    return sorted((SQL / "verify").glob("*.sql"))


def _definitions() -> list[Path]:
    functions = sorted((SQL / "functions").glob("*.sql"))
    return functions + sorted((SQL / "views").glob("*.sql"))


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(SQL / "migrations"), version_locations=[str(SQL / "migrations")])


@contextmanager
def _connected(url: str, schema: str) -> Iterator[sqlalchemy.Connection]:
    """One transaction in the schema, alone: a second upgrade waits for the first."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    with translated():
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(f'set local search_path to "{schema}"')
                connection.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")
                yield connection
        except sqlalchemy.exc.DBAPIError as error:
            # The driver's error says what is wrong; SQLAlchemy's adds the whole statement.
            if error.orig is None:
                raise
            raise error.orig from None
        except CommandError as error:
            raise SchemaError(
                f"{error}. The schema was made by another version of messenger-pipeline."
            ) from error


def _status(connection: sqlalchemy.Connection, schema: str) -> SchemaStatus:
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "version_table_schema": schema}
    )
    script = _script()
    current = context.get_current_revision()
    newest = script.get_current_head()
    assert newest is not None
    steps = script._upgrade_revs("head", current or "base") if current != newest else []
    return SchemaStatus(current, newest, [step.revision.revision for step in steps])


def _run(
    connection: sqlalchemy.Connection,
    schema: str,
    plan: Callable[[str, Any], Any],
    destination: str,
) -> None:
    with EnvironmentContext(
        Config(), _script(), fn=lambda current, _context: plan(destination, current)
    ) as environment:
        environment.configure(
            connection=connection, version_table=VERSION_TABLE, version_table_schema=schema
        )
        environment.run_migrations()


def _offline(script: ScriptDirectory, buffer: io.StringIO, schema: str, start: str) -> None:
    with EnvironmentContext(
        Config(),
        script,
        fn=lambda current, _context: script._upgrade_revs("head", current),
        as_sql=True,
        starting_rev=start,
        destination_rev="head",
    ) as environment:
        environment.configure(
            dialect_name="postgresql",
            output_buffer=buffer,
            version_table=VERSION_TABLE,
            version_table_schema=schema,
        )
        environment.run_migrations()


def _guard(start: str) -> str:
    expected = "" if start == "base" else start  # the caller knows it for a revision
    return f"""do $$
declare
    v_current text := '';
begin
    if to_regclass('{VERSION_TABLE}') is not null then
        select coalesce(max(version_num), '') into v_current from {VERSION_TABLE};
    end if;
    if v_current <> '{expected}' then
        raise exception 'the schema is at "%", this script upgrades from "{start}"', v_current
            using hint = 'Print it again with --from.';
    end if;
end
$$;
"""  # noqa: S608


def _drop_definitions() -> str:
    """SQL that drops our views and functions, every overload of a name: a changed signature would
    otherwise stand beside the old one, and a changed view be refused. Grants on views are kept
    for _RESTORE_GRANTS."""
    views = ", ".join(f"'{path.stem}'" for path in _definitions() if path.parent.name == "views")
    functions = ", ".join(
        f"'{path.stem}'" for path in _definitions() if path.parent.name == "functions"
    )
    return f"""
create temporary table kept_grants on commit drop as
select c.relname, g.privilege_type,
       case when g.grantee = 0 then 'public'
            else quote_ident(pg_get_userbyid(g.grantee)) end as grantee
from pg_class c cross join lateral aclexplode(c.relacl) g
where c.relkind = 'v' and c.relnamespace = current_schema()::regnamespace
  and c.relname in ({views}) and g.grantee <> c.relowner;
do $$
declare
    v_found record;
begin
    for v_found in select oid::regclass as name from pg_class
        where relkind = 'v' and relnamespace = current_schema()::regnamespace
          and relname in ({views})
    loop
        execute format('drop view %s', v_found.name);
    end loop;
    for v_found in select oid::regprocedure as name from pg_proc
        where pronamespace = current_schema()::regnamespace and proname in ({functions})
    loop
        execute format('drop function %s', v_found.name);
    end loop;
end
$$;
"""  # noqa: S608 - names of our own files


_RESTORE_GRANTS = """
do $$
declare
    v_grant record;
begin
    for v_grant in select * from kept_grants loop
        execute format('grant %s on %I to %s',
                       v_grant.privilege_type, v_grant.relname, v_grant.grantee);
    end loop;
end
$$;
drop table kept_grants;
"""


def _execute(connection: sqlalchemy.Connection, path: Path) -> None:
    _execute_text(connection, path.read_text())


def _execute_text(connection: sqlalchemy.Connection | None, text: str) -> None:
    # The driver's own cursor: several statements at once, and % and : mean themselves.
    assert connection is not None
    connection.connection.cursor().execute(text)
