"""What migrations do to adopted tables, apart from the rest of them.

An upgrade is one transaction. In an adopted database it would lock tables of millions of rows for
all of its time, so that the replaced application's readers and writers wait. Therefore an adoption
takes from the migrations' text what concerns those tables, and runs it statement by statement:
indexes concurrently, the others in transactions of their own.
"""

import re
from dataclasses import dataclass, field

from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.sql_files import SQL, render

_TABLES = r"(?P<table>facebook_pages|messenger_conversations|contact_interaction_events)"
_TOKEN = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|;", re.DOTALL)
_COMMENTS = re.compile(r"^(?:\s*--[^\n]*\n)*\s*")


@dataclass
class Parted:
    """A migration's text without what concerns adopted tables, and that: statements, each with its
    table; the foreign keys on adopted tables, as statements that add them; and the functions, which
    the indexes call (these are in the rest, too)."""

    rest: str
    tables: list[tuple[str, str]] = field(default_factory=list)
    indexes: list[tuple[str, str]] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


def part(text: str, data: str) -> Parted:
    """Part the rendered text of a migration. `data` is the data schema."""
    on = rf'"{re.escape(data)}"\.{_TABLES}\b'
    create_table = re.compile(rf"create table if not exists {on}")
    alter_table = re.compile(rf"alter table {on}")
    create_index = re.compile(
        rf"create (?P<unique>unique )?index (?:if not exists )?(?P<name>\w+)\s+on {on}"
    )
    comment = re.compile(rf"comment on column {on}")
    function = re.compile(r"create or replace function|grant execute on function")
    parted = Parted("")
    for statement in _statements(text):
        bare = statement[_matched(_COMMENTS, statement) :]
        if create_table.match(bare) or comment.match(bare):
            continue
        if function.match(bare):
            parted.functions.append(bare)
        if found := alter_table.match(bare):
            parted.tables.append((found["table"], bare))
        elif found := create_index.match(bare):
            definition = (found["unique"] or "") + f'index "{data}".' + bare[found.start("table") :]
            parted.indexes.append((found["name"], definition.rstrip("; \n")))
        else:
            parted.rest += _without_references(statement, on, parted.references)
    return parted


def part_migrations(data: str, types: IdTypes) -> Parted:
    """Part the text of all migrations."""
    whole = Parted("")
    for path in sorted(SQL.glob("migrations/*.up*.sql")):
        parted = part(render(path, data, types), data)
        whole.tables += parted.tables
        whole.indexes += parted.indexes
        whole.references += parted.references
        whole.functions += parted.functions
    return whole


def _statements(text: str) -> list[str]:
    """Split at the semicolons that end statements."""
    found, start = [], 0
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            found.append(text[start : token.end()])
            start = token.end()
    return [*found, text[start:]]


def _matched(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _without_references(statement: str, on: str, references: list[str]) -> str:
    """A statement that creates a table of ours, without foreign keys on adopted tables. A foreign
    key locks the table that it refers to; so they are added later, each in its own transaction."""
    column = re.compile(
        rf"(?P<column>\w+)(?P<type> [^\n]*)\n\s+constraint (?P<name>\w+)\s+references {on} \(id\)"
        r"(?P<action> on delete (?:cascade|set null))?"
    )
    created = re.search(r'create table (?:if not exists )?("\w+"\.\w+)', statement)
    if created is None:
        return statement
    for found in column.finditer(statement):
        references.append(
            f"alter table {created[1]} add constraint {found['name']}"
            f" foreign key ({found['column']})"
            + re.sub(r"^.*?references", " references", found[0], flags=re.DOTALL)
        )
    return column.sub(lambda found: found["column"] + found["type"], statement)
