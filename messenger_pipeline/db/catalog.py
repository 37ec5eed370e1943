"""Reads a database's catalog, to be compared with another's."""

from typing import Any

import psycopg

from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.sql_files import SQL, definitions, render
from messenger_pipeline.schema_diff.model import Catalog, Entry, Key, Oid, Server
from messenger_pipeline.schema_diff.names import Renaming

_KINDS = {
    "extensions": ("extension", None),
    "schemas": ("schema", "pg_namespace"),
    "types": ("type", "pg_type"),
    "sequences": ("sequence", "pg_class"),
    "functions": ("function", "pg_proc"),
    "tables": ("table", "pg_class"),
    "columns": ("column", "pg_class"),
    "constraints": ("constraint", "pg_constraint"),
    "indexes": ("index", "pg_class"),
    "views": ("view", "pg_class"),
    "triggers": ("trigger", "pg_trigger"),
    "rules": ("rule", None),
    "policies": ("policy", "pg_policy"),
    "statistics": ("statistics", "pg_statistic_ext"),
    "grants": ("grant", None),
    "default_privileges": ("default privilege", None),
}
"""The files of sql/catalog, the kind of what each lists, and the catalog of its oids."""

_SESSION = {
    # Names outside of pg_catalog come with their schema, whatever this role's search path is.
    "search_path": "pg_catalog, pg_temp",
    # How the server writes constants.
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
}


class CatalogReader:
    """One read-only transaction, in which everything is as of one moment.

    Use it as a context manager. `schema` is the data schema. `setting` names the URL in errors,
    which never repeat it.
    """

    def __init__(self, url: str, schema: str, setting: str) -> None:
        self._url = url
        self._schema = schema
        self._setting = setting

    def __enter__(self) -> "CatalogReader":
        with translated(setting=self._setting):
            self._connection = psycopg.connect(
                self._url,
                connect_timeout=10,
                prepare_threshold=None,  # prepared statements fail behind a transaction pooler
                application_name="messenger-pipeline",
                client_encoding="utf8",
            )
            self._connection.read_only = True
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def read(self, as_schema: str | None = None) -> Catalog:
        """Return the catalog of the two schemas; their names replaced by those that belong to the
        data schema `as_schema`, if one is given."""
        with translated(setting=self._setting):
            for name, value in _SESSION.items():
                self._connection.execute("select set_config(%s, %s, true)", [name, value])
            return self._read(as_schema or self._schema)

    def count(self, query: str) -> int | None:
        """Return the number that a query of the plan selects; None if it cannot be run here, as
        where it calls a function that is not there."""
        with translated(setting=self._setting):
            try:
                with self._connection.transaction():
                    found = self._connection.execute(query.encode()).fetchone()
            except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError):
                return None
        assert found
        return int(found[0])

    def _read(self, as_schema: str) -> Catalog:
        own = own_schema(self._schema)
        [facts] = self._rows("server", data=self._schema, own=own)
        names = Renaming({self._schema: as_schema, own: own_schema(as_schema)})
        server = Server(*(*facts, self._schema, own))
        entries: dict[Key, Entry] = {}
        for file, (kind, catalog) in _KINDS.items():
            for schema, relation, name, oid, found in self._rows(file, schemas=[self._schema, own]):
                entry = _entry(names, kind, schema, relation, name, found)
                place = (catalog, oid, found.get("_position", 0)) if catalog else None
                entries[entry.key] = Entry(entry.key, entry.facts, place)
        revision = self._rows("revision") if server.revision_readable else []
        return Catalog(
            server,
            entries,
            self._owned(server.record),
            revision[0][0] if revision else None,
            frozenset(name for (name,) in self._rows("roles")),
            self._needs(),
            names,
        )

    def _owned(self, record: str) -> frozenset[tuple[str, str]] | None:
        if record in ("absent", "no record"):
            return frozenset()
        if record == "hidden":
            return None
        return frozenset(
            (kind, name) for schema, kind, name in self._rows("owned") if schema == "data"
        )

    def _needs(self) -> dict[Oid, frozenset[Oid]]:
        needs: dict[Oid, set[Oid]] = {}
        for of_class, oid, part, on_class, on, on_part in self._rows("dependencies"):
            for place in {0, part}:
                found = needs.setdefault((of_class, oid, place), set())
                found |= {(on_class, on, 0), (on_class, on, on_part)}
        return {one: frozenset(others) for one, others in needs.items()}

    def _rows(self, file: str, **parameters: Any) -> list[Any]:
        text = render(SQL / "catalog" / f"{file}.sql", self._schema)
        return self._connection.execute(text.encode(), parameters or None).fetchall()


def known_objects() -> frozenset[tuple[str, str]]:
    """The objects of the data schema that this release makes: for roles that cannot read the
    record of what was made."""
    tables = (
        "facebook_pages", "messenger_conversations", "contact_interaction_events", "sync_state",
        "sync_locks",
    )  # fmt: skip
    defined = {(one.kind, one.name) for one in definitions() if one.schema == "data"}
    return frozenset({("table", name) for name in tables} | defined)


def _entry(
    names: Renaming, kind: str, schema: str, relation: str | None, name: str, facts: dict[str, Any]
) -> Entry:  # fmt: skip
    named = {fact: names.value(value) for fact, value in facts.items()}
    if "settings" in facts:
        named["settings"] = [names.setting(one) for one in facts["settings"]]
    if facts.get("_definition"):
        named["_definition"] = names.definition(facts["_definition"])
    if kind == "schema":
        name = names.name(name)
    if kind == "grant" and facts["_kind"] == "schema":
        relation, name = None, f"schema {names.name(schema)} to {facts['_grantee']}"
    in_name = kind in ("function", "grant")
    key = Key(
        kind,
        names.name(schema),
        relation if relation is None or not in_name else names.text(relation),
        names.text(name) if in_name else name,
    )
    return Entry(key, named)
