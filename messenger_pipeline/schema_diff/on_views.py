"""The steps for views, triggers, rules, policies and statistics."""

import re
from collections.abc import Iterator

from messenger_pipeline.schema_diff.model import Difference, Entry, Key, literal, quoted
from messenger_pipeline.schema_diff.on_grants import closed, comment_step
from messenger_pipeline.schema_diff.step import Context, Step, described, named, refused


def view(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    name, form = named(key), one.entry["form"]
    if theirs is None:
        yield refused(
            one, f"drop {form} {key.name}", "somebody may read it", f"drop {form} {name};"
        )
    elif mine is None:
        statements = ["begin;", _create_view(theirs, "create"), *closed("table", name, context)]
        if theirs["comment"] is not None:
            statements.append(f"comment on {form} {name} is {literal(theirs['comment'])};")
        yield Step(key, f"create {form} {key.name}", (*statements, "commit;"))
    else:
        facts = set(one.facts) - {"comment"}
        replaced = _create_view(theirs, "create or replace")
        before = mine["columns"] or []
        if facts and "form" not in facts and form == "view" and (
            (theirs["columns"] or [])[: len(before)] == before
        ):  # fmt: skip
            yield Step(key, f"replace view {key.name}", (replaced,))
        elif facts:
            yield refused(
                one, f"another {form} {key.name}",
                "it cannot be replaced in place; what is built on it would have to be dropped",
                f"drop {mine['form']} {name};", _create_view(theirs, "create"),
            )  # fmt: skip
        if "comment" in one.facts:
            yield comment_step(one, form, name)


def _create_view(there: Entry, verb: str) -> str:
    options = f" with ({', '.join(there['options'])})" if there["options"] else ""
    query = there["definition"].strip().rstrip(";")
    return f"{verb} {there['form']} {named(there.key)}{options} as\n{query};"


def trigger(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    if theirs is None:
        yield refused(
            one, f"drop {described(key)}", "rows would no longer be treated by it",
            f"drop trigger {quoted(key.name)} on {named(key)};",
        )  # fmt: skip
    elif mine is None:
        state = _state(key, theirs)
        statements = (f"{theirs['definition']};", *([state] if theirs["enabled"] != "yes" else []))
        yield Step(key, f"create {described(key)}", statements)
    else:
        yield from _changed_trigger(one, mine, theirs)


def _changed_trigger(one: Difference, mine: Entry, theirs: Entry) -> Iterator[Step]:
    key = one.key
    if "definition" in one.facts:
        definition = theirs["definition"]
        if theirs["_constraint"] or mine["_constraint"]:
            yield refused(
                one, f"another {described(key)}", "a constraint trigger cannot be replaced",
                f"drop trigger {quoted(key.name)} on {named(key)};", f"{definition};",
            )  # fmt: skip
        else:
            text = re.sub(r"^CREATE ", "create or replace ", definition)
            kept = [] if mine["enabled"] == "yes" else [_state(key, mine)]
            yield Step(key, f"replace {described(key)}", (f"{text};", *kept))
    if "enabled" in one.facts:
        reason = "it switches the trigger off" if theirs["enabled"] == "no" else None
        title = f"{described(key)}: enabled {theirs['enabled']} (here {mine['enabled']})"
        yield Step(key, title, (_state(key, theirs),), reason)
    if "comment" in one.facts:
        yield comment_step(one, "trigger", f"{quoted(key.name)} on {named(key)}")


def _state(key: Key, entry: Entry) -> str:
    word = {"yes": "enable", "no": "disable", "always": "enable always"}
    verb = word.get(entry["enabled"], "enable replica")
    return f"alter table {named(key)} {verb} trigger {quoted(key.name)};"


def rule(one: Difference, context: Context) -> Iterator[Step]:
    definition = [one.there["definition"]] if one.there else []
    yield refused(
        one, described(one.key), "a rule rewrites the statements of others", *definition
    )  # fmt: skip


def policy(one: Difference, context: Context) -> Iterator[Step]:
    key, mine, theirs = one.key, one.here, one.there
    name = f"{quoted(key.name)} on {named(key)}"
    if theirs is None:
        yield refused(
            one, f"drop {described(key)}", "it decides who sees which rows", f"drop policy {name};"
        )  # fmt: skip
        return
    create = _create_policy(key, theirs, context)
    if mine is None:
        absent = [r for r in theirs["roles"] if r not in ("public", "(owner)")
                  and r not in context.here.roles]  # fmt: skip
        reason = f"there is no role {', '.join(absent)} here" if absent else None
        yield Step(key, f"create {described(key)}", (create,), reason)
        return
    if set(one.facts) - {"comment"}:
        details = "; ".join(f"{f} here: {mine[f]}" for f in one.facts if f != "comment")
        yield refused(
            one, f"another {described(key)}", f"it decides who sees which rows. {details}",
            "begin;", f"drop policy {name};", create, "commit;",
        )  # fmt: skip
    if "comment" in one.facts:
        yield comment_step(one, "policy", name)


def _create_policy(key: Key, there: Entry, context: Context) -> str:
    owner = context.here.entries.get(key.table)
    owner_name = quoted(owner["_owner"]) if owner else "current_user"
    roles = ", ".join(owner_name if r == "(owner)" else r for r in there["roles"])
    text = f"create policy {quoted(key.name)} on {named(key)}"
    text += "" if there["permissive"] else " as restrictive"
    text += f" for {there['command']} to {roles}"
    text += f" using ({there['using']})" if there["using"] is not None else ""
    text += f" with check ({there['check']})" if there["check"] is not None else ""
    return f"{text};"


def statistics(one: Difference, context: Context) -> Iterator[Step]:
    key = one.key
    if one.here is None and one.there is not None:
        yield Step(key, f"create {described(key)}", (f"{one.there['definition']};",))
    else:
        yield refused(
            one, f"another {described(key)}" if one.there else f"drop {described(key)}",
            "plans may rely on it",
            f"drop statistics {quoted(key.schema)}.{quoted(key.name)};",
            *([f"{one.there['definition']};"] if one.there else []),
        )  # fmt: skip
