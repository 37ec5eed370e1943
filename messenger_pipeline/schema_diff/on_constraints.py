"""The steps for constraints and indexes."""

import re
from collections.abc import Iterator

from messenger_pipeline.schema_diff.model import Difference, Entry, Key, quoted
from messenger_pipeline.schema_diff.on_grants import comment_step
from messenger_pipeline.schema_diff.step import Context, Step, described, named, refused

_INDEX = re.compile(
    r'CREATE (?P<unique>UNIQUE )?INDEX (?P<name>"(?:[^"]|"")+"|\S+) ON (?P<rest>.*)', re.DOTALL
)
_DEFERRABLE = re.compile(r"(?<=\))( NOT)? ?DEFERRABLE.*$")
_PARTITIONED = (
    "a partitioned table's cannot be built concurrently: build it on each partition with `create"
    " index concurrently`, then on the table with `on only`, and attach them"
)


def constraint(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    if theirs is None:
        yield refused(
            one, f"drop {described(key)}", "it loosens a rule",
            f"alter table {named(key)} drop constraint {quoted(key.name)};",
        )  # fmt: skip
    elif mine is None:
        if not (one.within and theirs["_type"] != "f" and theirs["validated"]):
            yield from _new_constraint(one, theirs, context)
    else:
        yield from _changed_constraint(one, mine, theirs, context)


def _new_constraint(one: Difference, there: Entry, context: Context) -> Iterator[Step]:
    key = one.key
    add = f"alter table {named(key)} add constraint {quoted(key.name)} {there['definition']}"
    title = f"add {described(key)}"
    form = context.table(key)["form"]
    if there["_type"] == "x" or "PERIOD" in there["definition"] or "WITHOUT" in there["definition"]:
        yield refused(one, title, "its index is built under a lock that stops writers", f"{add};")
    elif there["_type"] in ("p", "u"):
        yield _unique_constraint(one, there, context, title)
    elif form == "foreign table" or "NOT ENFORCED" in there["definition"]:
        yield Step(key, title, (f"{add};",), late=True)
    elif there["_type"] == "f" and form == "partitioned table":
        yield refused(
            one, title, "it cannot be added unvalidated to a partitioned table, and would read all"
            " rows under a lock", f"{add};",
        )  # fmt: skip
    else:
        statements = [f"{add} not valid;"]
        if there["validated"]:
            statements.append(_validate(key))
        yield Step(
            key, title, tuple(statements),
            _objection(key, there, context) if there["validated"] else None, late=True,
        )  # fmt: skip


def _validate(key: Key) -> str:
    return f"alter table {named(key)} validate constraint {quoted(key.name)};"


def _objection(key: Key, there: Entry, context: Context) -> str | None:
    """Why a check or foreign key cannot be added: rows that break it."""
    columns = there["_columns"] or []
    if any(Key("column", key.schema, key.relation, c) not in context.here.entries for c in columns):
        return None  # of a column that the plan adds
    if there["_type"] == "c":
        query = f"select count(*) from {named(key)} where not ({there['_expression']})"
        return context.objections(key, query, "rows that break it")
    hidden = []
    if _is_here(there["_target"], context) and there["_target_readable"] is False:
        hidden.append(f"{there['_target']} may not be read, so that it could not be checked")
    return context.objections(
        key, _orphans(key, there, context), "rows that refer to no row", more=hidden
    )  # fmt: skip


def _is_here(target: str, context: Context) -> bool:
    return any(
        key.kind == "table" and target in (named(key), _unquoted(key))
        for key in context.here.entries
    )


def _unquoted(key: Key) -> str:
    return f"{key.schema}.{key.name}"


def _orphans(key: Key, there: Entry, context: Context) -> str:
    """The query that counts rows that refer to none."""
    given = " and ".join(f"referring.{quoted(c)} is not null" for c in there["_columns"])
    query = f"select count(*) from {named(key)} referring where {given}"
    if not _is_here(there["_target"], context):
        return query
    pairs = zip(there["_columns"], there["_target_columns"], strict=True)
    same = " and ".join(f"target.{quoted(t)} = referring.{quoted(c)}" for c, t in pairs)
    return f"{query} and not exists (select from {there['_target']} target where {same})"


def _unique_constraint(one: Difference, there: Entry, context: Context, title: str) -> Step:
    key = one.key
    index_key = Key("index", *key[1:])
    built = _concurrently(there["_index"])
    word = "primary key" if there["_type"] == "p" else "unique"
    deferrable = _DEFERRABLE.search(there["definition"])
    use = (
        f"alter table {named(key)} add constraint {quoted(key.name)} {word}"
        f" using index {quoted(key.name)}{deferrable[0] if deferrable else ''};"
    )
    if context.table(key)["form"] == "partitioned table":
        return refused(one, title, _PARTITIONED, use)
    present = context.here.entries.get(index_key)
    if present and present["definition"] != there["_index"]:
        return refused(one, title, "another index has its name here", built, use)
    columns = [quoted(c) for c in there["_columns"]]
    reason = _duplicates(key, columns, None, there["_nulls_not_distinct"], context)
    if word == "primary key" and not reason:
        condition = " or ".join(f"{c} is null" for c in columns)
        nulls = f"select count(*) from {named(key)} where {condition}"
        if _all_here(key, there["_columns"], context):
            reason = context.objections(key, nulls, "rows without a value")
    return Step(key, title, (use,) if present else (built, use), reason)


def _all_here(key: Key, columns: list[str], context: Context) -> bool:
    return all(Key("column", key.schema, key.relation, c) in context.here.entries for c in columns)


def _duplicates(
    key: Key, expressions: list[str], predicate: str | None, nulls_equal: bool, context: Context
) -> str | None:
    """Why a unique index cannot be built: values that are there more than once."""
    conditions = [f"({predicate})"] if predicate else []
    if not nulls_equal:
        conditions += [f"({one}) is not null" for one in expressions]
    where = f" where {' and '.join(conditions)}" if conditions else ""
    groups = ", ".join(f"({one})" for one in expressions)
    query = (
        f"select coalesce(sum(n), 0) from (select count(*) as n from {named(key)}{where}"
        f" group by {groups} having count(*) > 1) duplicates"
    )
    return context.objections(key, query, "rows that share their values with another")


def _concurrently(definition: str) -> str:
    found = _INDEX.fullmatch(definition)
    assert found
    return (
        f"create {(found['unique'] or '').lower()}index concurrently {found['name']}"
        f" on {found['rest']};"
    )


def _changed_constraint(
    one: Difference, mine: Entry, theirs: Entry, context: Context
) -> Iterator[Step]:
    key = one.key
    if "definition" in one.facts:
        yield refused(
            one, f"another {described(key)}",
            f"here: {mine['definition']}; dropping it loosens a rule until the other one is there",
            f"alter table {named(key)} drop constraint {quoted(key.name)};",
            f"alter table {named(key)} add constraint {quoted(key.name)} {theirs['definition']};",
        )  # fmt: skip
    elif "validated" in one.facts and theirs["validated"]:
        reason = _objection(key, theirs, context)
        yield Step(key, f"validate {described(key)}", (_validate(key),), reason, late=True)
    elif "validated" in one.facts:
        yield refused(one, f"validation of {described(key)}", "it is not validated there")
    if "comment" in one.facts:
        yield comment_step(one, "constraint", f"{quoted(key.name)} on {named(key)}")


def index(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    if theirs is None and mine is not None:
        if not _renamed(mine, context, "missing"):
            yield refused(
                one, f"drop {described(key)}", "queries may need it",
                f"drop index concurrently {_name(key)};",
            )  # fmt: skip
    elif mine is None and theirs is not None:
        yield _new_index(one, theirs, context)
    elif mine and theirs:
        yield from _changed_index(one, mine, theirs)


def _name(key: Key) -> str:
    return f"{quoted(key.schema)}.{quoted(key.name)}"


def _new_index(one: Difference, there: Entry, context: Context) -> Step:
    key = one.key
    title = f"create {described(key)}"
    build = _concurrently(there["definition"])
    former = _renamed(there, context, "extra")
    if not there["valid"]:
        return refused(one, title, "it is invalid there: its build failed", build)
    if former:
        statement = f"alter index {_name(former)} rename to {quoted(key.name)};"
        return Step(key, f"rename {described(former)} to {key.name}", (statement,))
    if one.within:
        # Of a partitioned table, with the parts.
        text = re.sub(r" ON ONLY (?=\S+ USING )", " ON ", there["definition"])
        return Step(key, title, (f"{text};",))
    if context.table(key)["form"] == "partitioned table":
        return refused(one, title, _PARTITIONED, build)
    reason = None
    if there["_unique"]:
        reason = _duplicates(
            key, there["_expressions"], there["_predicate"], there["_nulls_not_distinct"], context
        )
    return Step(key, title, (build,), reason)


def _renamed(entry: Entry, context: Context, change: str) -> Key | None:
    """The index that is the same but for its name, on the side where this one is not. The first of
    each in the order of names, so that two equal ones do not claim one."""
    form = _nameless(entry["definition"])
    groups: dict[str, list[Key]] = {"missing": [], "extra": []}
    for key, other in context.differences.items():
        if key.kind == "index" and key.relation == entry.key.relation and other.change in groups:
            same = other.entry["valid"] and _nameless(other.entry["definition"]) == form
            if same and key.schema == entry.key.schema and not other.within:
                groups[other.change].append(key)
    mine = groups["missing" if change == "extra" else "extra"]
    if entry.key not in mine:
        return None
    place = mine.index(entry.key)
    return groups[change][place] if place < len(groups[change]) else None


def _nameless(definition: str) -> str:
    found = _INDEX.fullmatch(definition)
    assert found
    return f"{found['unique'] or ''}{found['rest']}"


def _changed_index(one: Difference, mine: Entry, theirs: Entry) -> Iterator[Step]:
    key = one.key
    if "definition" in one.facts:
        yield refused(
            one, f"another {described(key)}",
            f"here: {mine['definition']}; build the new one under another name, then drop this one",
            f"drop index concurrently {_name(key)};", _concurrently(theirs["definition"]),
        )  # fmt: skip
    elif "valid" in one.facts and theirs["valid"]:
        statement = f"reindex index concurrently {_name(key)};"
        yield Step(key, f"rebuild {described(key)}, which is invalid here", (statement,))
    elif "valid" in one.facts:
        yield refused(one, described(key), "it is invalid there: its build failed")
    if "comment" in one.facts:
        yield comment_step(one, "index", _name(key))
