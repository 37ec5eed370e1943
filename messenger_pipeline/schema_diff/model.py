"""What is compared: the objects of a database, by name, with their facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from messenger_pipeline.schema_diff.names import Renaming


class Key(NamedTuple):
    """The name of an object. `relation` is the table or view that it belongs to, if it does; the
    name of a function is its signature."""

    kind: str
    schema: str
    relation: str | None
    name: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What keys are sorted by."""
        return self.kind, self.schema, self.relation or "", self.name

    @property
    def table(self) -> "Key":
        """The key of the table of this object."""
        return Key("table", self.schema, None, self.relation or self.name)


Oid = tuple[str, int, int]
"""An object as the catalog refers to it: the catalog's table, the oid, the column's number or 0."""


@dataclass(frozen=True)
class Entry:
    """An object. Facts whose names begin with `_` are not compared: the plan needs them."""

    key: Key
    facts: Mapping[str, Any]
    oid: Oid | None = None

    def __getitem__(self, name: str) -> Any:
        return self.facts.get(name)


@dataclass(frozen=True)
class Server:
    """Where a catalog comes from. `version` is the server's number, such as 150004.

    `record` says whether our record of owned objects is `readable`, `hidden` from this role, or not
    there (`no record`; `absent`: our schema is not there either). `identity` is the same for two
    connections to one database.
    """

    version: int
    version_name: str
    database: str
    role: str
    encoding: str
    collation: str
    identity: str
    has_data_schema: bool
    record: str
    revision_readable: bool
    data: str
    own: str

    @property
    def major(self) -> int:
        return self.version // 10_000


@dataclass(frozen=True)
class Catalog:
    """The objects of two schemas of a database.

    `owned` names those of the data schema that messenger-pipeline made: (kind, name). None if this
    role cannot read that. `needs` says what must be there before an object. `names` is the renaming
    of schemas that the entries have gone through.
    """

    server: Server
    entries: Mapping[Key, Entry]
    owned: frozenset[tuple[str, str]] | None = None
    revision: str | None = None
    roles: frozenset[str] = frozenset()
    needs: Mapping[Oid, frozenset[Oid]] = field(default_factory=dict)
    names: Renaming = field(default_factory=lambda: Renaming({}))

    def of(self, kind: str, schema: str, relation: str | None = None) -> list[Entry]:
        """The objects of a kind, of a relation if one is given, by name."""
        return [
            entry
            for key, entry in sorted(self.entries.items(), key=lambda one: one[0].place)
            if key.kind == kind and key.schema == schema
            and (relation is None or key.relation == relation)
        ]  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """An object that is not the same in both databases. `facts` names what differs, if both have
    it. `within` is the missing table or view that it comes with."""

    key: Key
    here: Entry | None
    there: Entry | None
    facts: tuple[str, ...] = ()
    within: Key | None = None

    @property
    def change(self) -> str:
        """Seen from this database: `missing`, `extra` or `changed`."""
        if self.here is None:
            return "missing"
        return "extra" if self.there is None else "changed"

    @property
    def entry(self) -> Entry:
        """The object, as the other database has it if it does."""
        found = self.there or self.here
        assert found
        return found


def quoted(name: str) -> str:
    """A name as an SQL identifier, always in quotes."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    return f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    """A text as an SQL literal."""
    escaped = text.replace("'", "''")
    return f" E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{escaped}'"
