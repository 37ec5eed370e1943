"""The steps for functions, types, sequences, schemas and extensions."""

import re
from collections.abc import Iterator

from messenger_pipeline.schema_diff.model import Difference, Entry, Key, literal, quoted
from messenger_pipeline.schema_diff.on_grants import closed, comment_step, grants_of_here
from messenger_pipeline.schema_diff.step import Context, Step, named, refused


def function(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    form = _form(one.entry)
    if theirs is None:
        yield refused(
            one, f"drop {form} {key.name}", "somebody may call it", f"drop {form} {_name(key)};"
        )  # fmt: skip
    elif theirs["form"] == "aggregate":
        yield refused(one, f"aggregate {key.name}", "aggregates are not written by this command")
    elif mine is None:
        yield _new_function(one, theirs, context)
    else:
        if set(one.facts) - {"comment"}:
            yield _changed_function(one, mine, theirs, context)
        if "comment" in one.facts:
            yield comment_step(one, form, _name(key))


def _form(entry: Entry) -> str:
    return entry["form"] if entry["form"] in ("procedure", "aggregate") else "function"


def _name(key: Key) -> str:
    """A function with its arguments, qualified. Its name is quoted already, where need be."""
    return f"{quoted(key.schema)}.{key.name}"


def _new_function(one: Difference, there: Entry, context: Context) -> Step:
    key = one.key
    title = f"create {_form(there)} {key.name}"
    create = _create(there)
    beside = _ambiguous(one, there, context)
    if beside:
        return refused(
            one, title, f"calls that now find {beside.name} might become ambiguous: whoever calls"
            " that one has to change first", f"drop {_form(there)} {_name(beside)};", create,
        )  # fmt: skip
    return Step(key, title, ("begin;", create, *_after(key, there, context), "commit;"))


def _create(there: Entry) -> str:
    text = there["_definition"].rstrip()
    return re.sub(r"^CREATE OR REPLACE", "create", text) + ";"


def _after(key: Key, there: Entry, context: Context) -> list[str]:
    form = _form(there)
    statements = closed(form, _name(key), context)
    if there["comment"] is not None:
        statements.append(f"comment on {form} {_name(key)} is {literal(there['comment'])};")
    return statements


def _ambiguous(one: Difference, there: Entry, context: Context) -> Key | None:
    """A function of the same name that exists only here, and could answer to the same call."""
    for key, other in context.differences.items():
        mine = other.here
        if (
            key.kind == "function" and other.there is None and mine is not None
            and key.schema == one.key.schema and mine["_name"] == there["_name"]
            and mine["_least"] <= there["_most"] and there["_least"] <= mine["_most"]
        ):  # fmt: skip
            return key
    return None


def _changed_function(one: Difference, mine: Entry, theirs: Entry, context: Context) -> Step:
    key, form = one.key, _form(theirs)
    if mine["form"] == "aggregate":
        return refused(one, f"aggregate {key.name}", "aggregates are not written by this command")
    if _is_replaceable(mine, theirs):
        text = f"{theirs['_definition'].rstrip()};"
        return Step(key, f"replace {form} {key.name} ({', '.join(one.facts)})", (text,))
    what = f"returns {theirs['returns']}" if "returns" in one.facts else "other arguments"
    title = f"replace {form} {key.name} ({what}; it cannot be replaced in place)"
    drop = f"drop {_form(mine)} {_name(key)};"
    dependents = mine["_dependents"]
    if dependents:
        reason = f"built on it: {', '.join(dependents)}"
        return refused(one, title, reason, drop, _create(theirs))
    statements = ["begin;", drop, _create(theirs), *closed(form, _name(key), context)]
    statements += grants_of_here((key.schema, key.name), context)
    if mine["comment"] is not None:
        statements.append(f"comment on {form} {_name(key)} is {literal(mine['comment'])};")
    if mine["_owner"] != context.here.server.role:
        statements.append(f"alter {form} {_name(key)} owner to {quoted(mine['_owner'])};")
    return Step(key, title, (*statements, "commit;"))


def _is_replaceable(mine: Entry, theirs: Entry) -> bool:
    """Whether `create or replace` does: it changes no result, no name of an argument, and removes
    no default."""
    names = mine["_argument_names"]
    return (
        all(mine[fact] == theirs[fact] for fact in ("form", "returns", "_argument_modes"))
        and (names is None or names == theirs["_argument_names"])
        and theirs["_least"] <= mine["_least"]
    )


def data_type(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    name = named(key)
    kind = "domain" if one.entry["form"] == "domain" else "type"
    if theirs is None:
        yield refused(one, f"drop {kind} {key.name}", "columns may have it", f"drop {kind} {name};")
    elif mine is None:
        create = _create_type(theirs, name)
        if create is None:
            yield refused(one, f"create range {key.name}", "ranges are not written by this command")
            return
        comment = theirs["comment"]
        statements = ["begin;", create, *closed("type", name, context)]
        if comment is not None:
            statements.append(f"comment on {kind} {name} is {literal(comment)};")
        yield Step(key, f"create {kind} {key.name}", (*statements, "commit;"))
    else:
        yield from _changed_type(one, mine, theirs, name, kind)


def _create_type(there: Entry, name: str) -> str | None:
    if there["form"] == "enum":
        return (
            f"create type {name} as enum ({', '.join(literal(x) for x in there['labels'] or [])});"
        )
    if there["form"] == "composite type":
        return f"create type {name} as ({', '.join(there['attributes'] or [])});"
    if there["form"] == "range":
        return None
    text = f"create domain {name} as {there['base']}"
    text += f" collate {there['collation']}" if there["collation"] else ""
    text += f" default {there['default']}" if there["default"] is not None else ""
    text += " not null" if there["nullability"] == "not null" else ""
    for one in there["constraints"] or []:
        text += f" constraint {one}"
    return f"{text};"


def _changed_type(
    one: Difference, mine: Entry, theirs: Entry, name: str, kind: str
) -> Iterator[Step]:
    key = one.key
    facts = [fact for fact in one.facts if fact != "comment"]
    if "comment" in one.facts:
        yield comment_step(one, kind, name)
    if (
        facts == ["labels"]
        and [x for x in theirs["labels"] if x in mine["labels"]] == mine["labels"]
    ):
        present, statements = list(mine["labels"]), []
        for place, label in enumerate(theirs["labels"]):
            if label not in present:
                where = (
                    f" after {literal(theirs['labels'][place - 1])}" if place
                    else f" before {literal(present[0])}" if present else ""
                )  # fmt: skip
                statements.append(f"alter type {name} add value {literal(label)}{where};")
                present.insert(place, label)
        yield Step(key, f"add labels to enum {key.name}", tuple(statements))
    elif facts:
        details = "; ".join(f"{fact} here: {mine[fact]}, there: {theirs[fact]}" for fact in facts)
        yield refused(one, f"{theirs['form']} {key.name}", f"stored values have it. {details}")


def sequence(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    name, title = named(key), f"sequence {key.name}"
    if theirs is None:
        yield refused(one, f"drop {title}", "defaults may use it", f"drop sequence {name};")
    elif mine is None:
        create = f"create sequence {name} as {theirs['type']} {theirs['options']};"
        statements = ["begin;", create, *closed("sequence", name, context)]
        if theirs["comment"] is not None:
            statements.append(f"comment on sequence {name} is {literal(theirs['comment'])};")
        yield Step(key, f"create {title}", (*statements, "commit;"))
        if theirs["owned_by"]:
            yield _owned(one, theirs, context)
    else:
        if "comment" in one.facts:
            yield comment_step(one, "sequence", name)
        for fact in sorted({*one.facts} - {"comment"}):
            if fact == "owned_by" and mine[fact] is None:
                yield _owned(one, theirs, context)
                continue
            yield refused(
                one, f"{fact.replace('_', ' ')} of {title}",
                f"here: {mine[fact]}; there: {theirs[fact]}",
                f"alter sequence {name} {theirs[fact]};" if fact == "options" else
                f"alter sequence {name} {fact.replace('_', ' ')} {theirs[fact] or 'none'};",
            )  # fmt: skip


def _owned(one: Difference, there: Entry, context: Context) -> Step:
    """Tie a new sequence to its column, beyond the values that are there."""
    name = named(one.key)
    statements = [f"alter sequence {name} owned by {there['owned_by']};"]
    table = Key("table", one.key.schema, None, there["_owner_table"])
    if not context.is_new(table):
        column_name = there["owned_by"].rpartition(".")[2]
        statements.append(
            f"select setval({literal(name)}, coalesce(max({column_name}), 0) + 1, false)"
            f" from {named(table)};"
        )
    return Step(one.key, f"owner of sequence {one.key.name}", tuple(statements), late=True)


def schema(one: Difference, context: Context) -> Iterator[Step]:
    if one.facts:
        yield comment_step(one, "schema", quoted(one.key.name))
    elif one.there is None:
        yield refused(one, f"drop schema {one.key.name}", "it would lose what is in it")
    else:
        statement = f"create schema {quoted(one.key.name)};"
        reason = "`messenger-pipeline db upgrade` makes it"
        yield refused(one, f"create schema {one.key.name}", reason, statement)


def extension(one: Difference, context: Context) -> Iterator[Step]:
    verb = "drop" if one.there is None else "create"
    yield refused(
        one, f"{verb} extension {one.key.name}", "extensions are the server's administrator's",
        f"{verb} extension {quoted(one.key.name)};",
    )  # fmt: skip
