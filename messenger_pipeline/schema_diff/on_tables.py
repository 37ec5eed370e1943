"""The steps for tables and their columns."""

import re
from collections.abc import Iterator

from messenger_pipeline.schema_diff.model import Difference, Entry, Key, literal, quoted
from messenger_pipeline.schema_diff.on_grants import closed, comment_step
from messenger_pipeline.schema_diff.step import Context, Step, described, named, refused

_CONSTANT = re.compile(
    r"(\(?-?(NULL|true|false|-?[\d.]+|'(?:[^']|'')*')\)?(::[\w .\"()\[\],]+)*"
    r"|(pg_catalog\.)?(now|statement_timestamp|transaction_timestamp)\(\)"
    r"|CURRENT_\w+|LOCALTIME\w*)\)?",
    re.IGNORECASE,
)
"""Defaults that PostgreSQL evaluates once for all rows of a column that is added."""


def table(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    title = f"table {key.name}"
    if theirs is None:
        yield refused(one, f"drop {title}", "it would lose its rows", f"drop table {named(key)};")
    elif mine is None:
        yield from _new_table(one, theirs, context)
    else:
        for fact in one.facts:
            yield _changed_table(one, fact, mine, theirs)


def _new_table(one: Difference, there: Entry, context: Context) -> Iterator[Step]:
    key = one.key
    if there["form"] == "foreign table":
        yield refused(one, f"create foreign table {key.name}", "its server and user are settings"
                      " of each environment")  # fmt: skip
        return
    columns = context.there.of("column", key.schema, key.name)
    columns.sort(key=lambda column: column["_position"])
    parents = there["parents"]
    if there["partition_bound"]:
        body = f"partition of {parents[0]}{_overrides(columns, parents[0], context)}"
        body += f" {there['partition_bound']}"
    else:
        lines = [_definition(c) for c in columns if c["_local"] or not parents]
        lines += [
            f"constraint {quoted(k.key.name)} {k['definition']}"
            for k in context.there.of("constraint", key.schema, key.name)
            if k["_type"] != "f" and k["validated"]
        ]
        body = "(\n    " + ",\n    ".join(lines) + "\n)" if lines else "()"
        body += f" inherits ({', '.join(parents)})" if parents else ""
    body += f" partition by {there['partition_key']}" if there["partition_key"] else ""
    body += f" with ({', '.join(there['options'])})" if there["options"] else ""
    unlogged = "unlogged " if there["unlogged"] else ""
    statements = ["begin;", f"create {unlogged}table {named(key)} {body};"]
    statements += closed("table", named(key), context)
    if there["row_security"]:
        statements.append(f"alter table {named(key)} enable row level security;")
    if there["force_row_security"]:
        statements.append(f"alter table {named(key)} force row level security;")
    if there["replica_identity"] in ("full", "nothing"):
        statements.append(f"alter table {named(key)} replica identity {there['replica_identity']};")
    statements += [
        f"comment on column {named(key)}.{quoted(c.key.name)} is {literal(c['comment'])};"
        for c in columns
        if c["comment"] is not None
    ]
    if there["comment"] is not None:
        statements.append(f"comment on table {named(key)} is {literal(there['comment'])};")
    yield Step(key, f"create table {key.name}", (*statements, "commit;"))
    if there["replica_identity"].startswith("index"):
        yield _replica_identity(key, there)


def _replica_identity(key: Key, there: Entry) -> Step:
    what = there["replica_identity"].partition(" ")[2]
    statement = f"alter table {named(key)} replica identity using index {quoted(what)};"
    return Step(key, f"replica identity of table {key.name}", (statement,), late=True)


def _overrides(columns: list[Entry], parent: str, context: Context) -> str:
    """The defaults of a partition that differ from those of its parent."""
    parents = {
        entry.key.name: entry
        for key, entry in context.there.entries.items()
        if key.kind == "column" and parent in (named(key), f"{key.schema}.{key.relation}")
    }
    own = [
        f"{quoted(c.key.name)} default {c['default'] or 'null'}"
        for c in columns
        if c.key.name in parents and c["default"] != parents[c.key.name]["default"]
    ]
    return f" ({', '.join(own)})" if own else ""


def _changed_table(one: Difference, fact: str, mine: Entry, theirs: Entry) -> Step:
    name, value = named(one.key), theirs[fact]
    title = f"{fact.replace('_', ' ')} of table {one.key.name}"
    if fact == "comment":
        return comment_step(one, "table", name)
    if fact == "options" and not [o for o in mine["options"] if o not in value]:
        new = [o for o in value if o not in mine["options"]]
        return Step(one.key, title, (f"alter table {name} set ({', '.join(new)});",))
    toggle = "enable" if theirs["row_security"] else "disable"
    force = "force" if theirs["force_row_security"] else "no force"
    reasons: dict[str, tuple[str, str]] = {
        "row_security": ("it decides who sees which rows", f"{toggle} row level security"),
        "force_row_security": ("it decides what the owner sees", f"{force} row level security"),
        "unlogged": ("it rewrites the table under an exclusive lock",
                     "set unlogged" if value else "set logged"),
        "options": ("another value is set here", f"set ({', '.join(theirs['options'])})"),
    }  # fmt: skip
    reason, action = reasons.get(fact, (f"here: {mine[fact]}; there: {value}", ""))
    return refused(one, title, reason, *([f"alter table {name} {action};"] if action else []))


def column(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    if one.within:
        return
    parents = _with_parent(one, context)
    if parents:
        for parent in parents:
            if any(step.reason for step in column(parent, context)):
                reason = f"it comes from {described(parent.key)}"
                yield refused(one, described(key), reason)
        return
    name = f"{named(key)}"
    if theirs is None:
        yield refused(
            one, f"drop {described(key)}", "it would lose its values",
            f"alter table {name} drop column {quoted(key.name)};",
        )  # fmt: skip
    elif mine is None:
        yield from _new_column(one, theirs, context)
    else:
        for fact in one.facts:
            yield from _changed_column(one, fact, mine, theirs, context)


def _with_parent(one: Difference, context: Context) -> list[Difference]:
    """The same difference of a parent table: the step for that corrects this column, too."""
    if not one.entry["_inherited"]:
        return []
    side = context.there if one.there else context.here
    parents = side.entries[one.key.table]["parents"]
    return [
        other
        for key, other in context.differences.items()
        if key.kind == "column" and key.name == one.key.name
        and {named(key), f"{key.schema}.{key.relation}"} & {*parents}
        and other.facts == one.facts and other.change == one.change
    ]  # fmt: skip


def _new_column(one: Difference, there: Entry, context: Context) -> Iterator[Step]:
    key, table_name = one.key, named(one.key)
    title = f"add {described(key)}"
    whole = f"alter table {table_name} add column {_definition(there)};"
    has_rows = context.objections(
        key, f"select count(*) from (select from {table_name} limit 1) one", "rows"
    )  # fmt: skip
    strict = there["nullability"] != "nullable"
    default = there["default"]
    constant = default is None or _CONSTANT.fullmatch(default) is not None
    rewrites = (
        there["_domain"] or there["identity"] or (there["generated"] or "").endswith("stored")
    )
    if (there["generated"] or "").endswith("virtual") and context.here.server.major < 18:
        yield refused(one, title, "virtual columns need PostgreSQL 18", whole)
        return
    if has_rows and (rewrites or (strict and default is None and not there["generated"])):
        reason = (
            "the table has rows: it would be rewritten under an exclusive lock"
            if rewrites
            else "the table has rows, which would have no value"
        )
        yield refused(one, title, reason, whole)
        return
    if not has_rows or constant:
        yield Step(key, title, (whole, *_comment(there, key)))
        return
    # A default that differs by row would be computed for all rows under an exclusive lock.
    loose = f"alter table {table_name} add column {_definition(there, plain=True)};"
    later = f"alter table {table_name} alter column {quoted(key.name)} set default {default};"
    yield Step(key, title, (loose, later, *_comment(there, key)))
    if strict:
        yield refused(
            one, f"not null for {described(key)}",
            "the rows that are there have no value yet; fill them first",
            *_not_null(key),
        )  # fmt: skip


def _changed_column(
    one: Difference, fact: str, mine: Entry, theirs: Entry, context: Context
) -> Iterator[Step]:
    key, name = one.key, described(one.key)
    alter = f"alter table {named(key)} alter column {quoted(key.name)}"
    value = theirs[fact]
    if fact == "comment":
        yield comment_step(one, "column", f"{named(key)}.{quoted(key.name)}")
    elif fact == "default" and mine["generated"] is None and theirs["generated"] is None:
        if value is None:
            yield refused(
                one, f"drop the default of {name}", f"inserts may rely on it: {mine[fact]}",
                f"{alter} drop default;",
            )  # fmt: skip
        else:
            before = f"was {mine[fact]}" if mine[fact] is not None else "had none"
            yield Step(key, f"default of {name} ({before})", (f"{alter} set default {value};",))
    elif fact == "nullability":
        yield _nullability(one, mine, theirs, context)
    elif fact == "type" or (fact == "collation" and "type" not in one.facts):
        collation = f" collate {theirs['collation']}" if theirs["collation"] else ""
        yield refused(
            one, f"{fact} of {name}",
            f"it is {mine[fact] or 'the default'} here: the table may be rewritten under an"
            " exclusive lock, and values may not fit",
            f"{alter} type {theirs['type']}{collation};",
        )  # fmt: skip
    elif fact in ("generated", "identity", "identity_options"):
        reason = f"here: {mine[fact] or 'none'}; there: {value or 'none'}"
        yield refused(one, f"{fact.replace('_', ' ')} of {name}", reason)


def _nullability(one: Difference, mine: Entry, theirs: Entry, context: Context) -> Step:
    key, name = one.key, described(one.key)
    alter = f"alter table {named(key)} alter column {quoted(key.name)}"
    if theirs["nullability"] == "nullable":
        return refused(one, f"null in {name}", "it loosens a rule", f"{alter} drop not null;")
    if theirs["nullability"] != "not null":
        return refused(one, f"not null for {name}", "it is not validated there either")
    nulls = f"select count(*) from {named(key)} where {quoted(key.name)} is null"
    reason = context.objections(key, nulls, "rows without a value")
    statements = _not_null(key)
    if mine["_constraint"]:
        validate = f"alter table {named(key)} validate constraint {quoted(mine['_constraint'])};"
        statements = (validate,)
    return Step(key, f"not null for {name}", statements, reason)


def _not_null(key: Key) -> tuple[str, ...]:
    """Not null without reading the table under an exclusive lock: a validated check vouches."""
    name = quoted(f"{key.name.encode()[:40].decode(errors='ignore')}_not_null_check")
    column_name = quoted(key.name)
    return (
        f"alter table {named(key)} add constraint {name} check ({column_name} is not null)"
        " not valid;",
        f"alter table {named(key)} validate constraint {name};",
        f"alter table {named(key)} alter column {column_name} set not null;",
        f"alter table {named(key)} drop constraint {name};",
    )


def _definition(column: Entry, *, plain: bool = False) -> str:
    """A column as in `create table`; `plain`: without default and not null."""
    text = f"{quoted(column.key.name)} {column['type']}"
    if column["collation"]:
        text += f" collate {column['collation']}"
    if plain:
        return text
    if column["generated"]:
        text += f" generated always as {column['generated']}"
    elif column["identity"]:
        options = column["identity_options"]
        text += f" generated {column['identity']} as identity"
        text += f" ({options})" if options else ""
    elif column["default"] is not None:
        text += f" default {column['default']}"
    return text + (" not null" if column["nullability"] != "nullable" else "")


def _comment(there: Entry, key: Key) -> tuple[str, ...]:
    if there["comment"] is None:
        return ()
    return (f"comment on column {named(key)}.{quoted(key.name)} is {literal(there['comment'])};",)
