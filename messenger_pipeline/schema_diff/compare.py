"""Compares two catalogs."""

from typing import Any

from messenger_pipeline.schema_diff.model import Catalog, Difference, Entry, Key
from messenger_pipeline.schema_diff.names import loosened

_OF_WHOLE_SCHEMA = {"extension", "default privilege"}
"""Kinds that are compared with --all only."""
_DEPARSED = {
    "view": {"definition"},
    "column": {"default", "generated"},
    "constraint": {"definition"},
    "index": {"definition"},
    "policy": {"using", "check"},
    "trigger": {"definition"},
    "rule": {"definition"},
    "table": {"partition_key", "partition_bound"},
    "statistics": {"definition"},
}
"""Facts that the server writes from its parse tree, each version in its own way."""
_MAINTAIN = 17  # the first PostgreSQL with the privilege MAINTAIN, which `grant all` includes


def compare(
    here: Catalog, there: Catalog, *, whole: bool = False, comments: bool = False
) -> list[Difference]:
    """Return the differences, sorted by object; empty if there are none.

    Without `whole` only our objects are compared: our own schema, and of the data schema what
    either record lists, with everything on it. `comments` compares comments, too.
    """
    ours = (here.owned or frozenset()) | (there.owned or frozenset())
    keys = {*here.entries, *there.entries}
    if not whole:
        keys = {key for key in keys if _is_ours(key, here, there, ours)}
    missing = {key for key in keys if (key in here.entries) != (key in there.entries)}
    found = []
    for key in sorted(keys, key=_order):
        if key.kind == "default privilege" and not key.schema:
            continue  # of the whole database
        one = _differing(key, here, there, comments)
        if one and not _is_covered(one, here, there):
            found.append(_placed(one, missing))
    return found


def is_owned(key: Key, here: Catalog, there: Catalog) -> bool:
    """Whether messenger-pipeline made the object, by either record."""
    ours = (here.owned or frozenset()) | (there.owned or frozenset())
    return key.schema == here.server.own or _recorded(key) in ours


def _recorded(key: Key) -> tuple[str, str]:
    return key.kind, key.name.partition("(")[0] if key.kind == "function" else key.name


def _is_ours(
    key: Key, here: Catalog, there: Catalog, ours: frozenset[tuple[str, str]]
) -> bool:  # fmt: skip
    if key.kind in _OF_WHOLE_SCHEMA:
        return False
    if key.schema == here.server.own or key.kind == "schema":
        return True
    if key.kind == "grant" and key.relation and "(" in key.relation:
        return ("function", key.relation.partition("(")[0]) in ours
    if key.kind == "sequence":
        entry = here.entries.get(key) or there.entries[key]
        return ("table", entry["_owner_table"]) in ours
    if key.relation is not None:
        return {("table", key.relation), ("view", key.relation)} & ours != frozenset()
    return _recorded(key) in ours


def _differing(key: Key, here: Catalog, there: Catalog, comments: bool) -> Difference | None:
    mine, theirs = here.entries.get(key), there.entries.get(key)
    if mine is None or theirs is None:
        return Difference(key, mine, theirs)
    names = sorted({*mine.facts, *theirs.facts})
    differing = tuple(
        name
        for name in names
        if not name.startswith("_")
        and (comments or name != "comment")
        and _comparable(mine, name, here, there) != _comparable(theirs, name, here, there)
    )
    return Difference(key, mine, theirs, differing) if differing else None


def _comparable(entry: Entry, name: str, here: Catalog, there: Catalog) -> Any:
    value = there.names.canonical(entry[name])
    versions = {here.server.major, there.server.major}
    if name == "privileges" and min(versions) < _MAINTAIN:
        value = [one for one in value if not one.startswith("maintain")]
    is_deparsed = name in _DEPARSED.get(entry.key.kind, ()) or (
        name == "body" and entry["_sql_body"]
    )
    if len(versions) > 1 and is_deparsed and value is not None:
        return loosened(value)
    return value


def _is_covered(one: Difference, here: Catalog, there: Catalog) -> bool:
    """Whether the difference is none, because of who owns the object, or how old the server is."""
    if one.key.kind != "grant" or one.change == "changed":
        return False
    privileges = one.entry["privileges"]
    versions = {here.server.major, there.server.major}
    if min(versions) < _MAINTAIN and all(p.startswith("maintain") for p in privileges):
        return True
    # The grantee owns the object on the other side, and may do everything with it.
    other = there if one.here else here
    siblings = (
        entry for key, entry in other.entries.items()
        if key.kind in ("table", "view", "function") and key.schema == one.key.schema
        and key.name == one.key.relation
    )  # fmt: skip
    return any(_as_role(entry["_owner"]) == one.entry["_grantee"] for entry in siblings)


def _as_role(owner: Any) -> str:
    text = str(owner)
    plain = text.isidentifier() and text.islower()
    return text if plain else '"' + text.replace('"', '""') + '"'


def _placed(one: Difference, missing: set[Key]) -> Difference:
    """Note the table, view, function or type that is missing as a whole, and this with it."""
    key = one.key
    if key.kind == "schema" or key.relation is None:
        return one
    for kind in ("table", "view", "function", "type", "sequence"):
        whole = Key(kind, key.schema, None, key.relation)
        if whole in missing:
            return Difference(key, one.here, one.there, one.facts, whole)
    return one


_ORDER = (
    "extension", "schema", "type", "sequence", "function", "table", "column", "constraint", "index",
    "view", "trigger", "rule", "policy", "statistics", "grant", "default privilege",
)  # fmt: skip


def _order(key: Key) -> tuple[Any, ...]:
    """By schema, then by table with all that is on it."""
    first = key.relation or key.name
    whole = key.relation is None
    return key.schema, first, not whole, _ORDER.index(key.kind), key.name
