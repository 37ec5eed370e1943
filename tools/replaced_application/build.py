"""Builds the database: tables, rows, constraints, the migration, what the owner added."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tools.replaced_application.shape import Shape

Source = Callable[[psycopg.Connection], None]
"""Fills the temporary tables of sql/staging.sql."""

_SQL = Path(__file__).parent / "sql"
_STEP = 100_000_000  # apart from each other in every type, within an integer's range
_ROLE = """
do $$ begin create role replaced_application nologin;
exception when duplicate_object or unique_violation or insufficient_privilege then null; end $$;
"""


@dataclass(frozen=True)
class Generated:
    """A world of this size. With duplicates come some 5 % more conversations, and events."""

    conversations: int = 200
    events: int = 2_000
    pages: int = 4

    def __call__(self, connection: psycopg.Connection) -> None:
        numbers = {name: f"{value}::bigint" for name, value in vars(self).items()}
        connection.execute(_render("generated", numbers))


def build(url: str, shape: Shape, source: Source | None = None, schema: str = "public") -> None:
    """Build the database of `shape` in an empty schema. A role `replaced_application` gets the
    application's grants; it is created if the server has none, and the user of `url` may."""
    words = shape.words() | {
        "other_owner": shape.owner("page_n", other=True),
        "other_page_owner": shape.owner("n", other=True),
        "conversation_step": str(_STEP),
        "event_step": str(_STEP),
        "schema": f'"{schema}"',
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_ROLE)
    with psycopg.connect(url) as connection:
        connection.execute(f'set search_path to "{schema}", pg_temp')
        connection.execute("set local timezone to 'UTC'; set local synchronous_commit to off")
        connection.execute(_render("tables", words))
        connection.execute(_render("staging", words))
        (source or Generated())(connection)
        connection.execute(_render("rows", words))
        if shape.is_after:
            connection.execute(_without_second_events(shape))
        connection.execute(_render("constraints", words))
        for statement in _constraints(shape):
            connection.execute(statement)
        if shape.is_after:
            connection.execute(_render("critical_fixes", words))
        connection.execute(_render("owner", words))
        for table in ("facebook_pages", "messenger_conversations", "contact_interaction_events"):
            _move_sequence(connection, shape, f'"{schema}".{table}')
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'set search_path to "{schema}"')
        connection.execute(
            "analyze facebook_pages, messenger_conversations, contact_interaction_events"
        )


def _constraints(shape: Shape) -> list[str]:
    pages = "user_id, facebook_page_id" if shape.shared_pages else "facebook_page_id"
    found = [f"alter table facebook_pages add unique ({pages})"]
    if shape.conflict_columns:
        found.append(f"alter table messenger_conversations add unique ({shape.conflict_columns})")
    if shape.page_id == "foreign_key":
        found.append(
            "alter table messenger_conversations add foreign key (page_id)"
            " references facebook_pages (id)"
        )
    return found


def _without_second_events(shape: Shape) -> str:
    """The migration's unique indexes refuse what is there twice; the application lost it so."""
    expression = "message_id" if shape.has_message_column else "metadata ->> 'message_id'"
    return f"""
        delete from contact_interaction_events e using (
            select id, row_number() over (
                       partition by conversation_id, event_type, event_timestamp order by id) as t,
                   row_number() over (
                       partition by conversation_id, coalesce({expression}, id::text) order by id
                   ) as m
            from contact_interaction_events) d
        where d.id = e.id and (d.t > 1 or d.m > 1)"""


def _move_sequence(connection: psycopg.Connection, shape: Shape, table: str) -> None:
    """The application's next row does not collide with those that were written with their ids."""
    if shape.ids in ("integer", "bigint"):
        connection.execute(
            f"select setval(pg_get_serial_sequence('{table}', 'id'),"
            f" greatest(1, (select max(id) from {table})))"
        )


def _render(name: str, words: dict[str, str]) -> str:
    text = (_SQL / f"{name}.sql").read_text()
    return re.sub(r"(?<!:):([a-z_]+)", lambda found: words.get(found[1], found[0]), text)
