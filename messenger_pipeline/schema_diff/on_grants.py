"""The steps for privileges and comments."""

import re
from collections.abc import Iterator

from messenger_pipeline.schema_diff.model import Difference, literal, quoted
from messenger_pipeline.schema_diff.step import Context, Step, described, refused

_PRIVILEGE = re.compile(r"(?P<name>[a-z ]+?)(?: (?P<column>\(.*\)))?(?P<star>\*)?", re.DOTALL)
_DEFAULTS = {"table": "tables", "sequence": "sequences", "function": "functions", "type": "types"}


def grant(one: Difference, context: Context) -> Iterator[Step]:
    mine, theirs = _privileges(one, context)
    entry = one.entry
    kind, grantee = entry["_kind"], entry["_grantee"]
    target = quoted(one.key.schema) if kind == "schema" else entry["_object"]
    on = f"on {kind} {target}"
    added = sorted(p for p in theirs - mine if f"{p}*" not in mine)
    removed = sorted(p for p in mine - theirs if f"{p}*" not in theirs)
    if added:
        title = f"grant on {one.key.name}"
        statements = _grants(added, on, grantee)
        reason = None
        if grantee == "public" and not one.within:
            reason = "it opens the object to every role"
        elif grantee != "public" and grantee not in context.here.roles:
            reason = f"there is no role {grantee} here"
        yield Step(one.key, title, statements, reason)
    if removed:
        statements = tuple(_revoke(p, on, grantee) for p in removed)
        yield refused(
            one, f"revoke on {one.key.name}", "whoever relies on it would be refused", *statements
        )  # fmt: skip


def grants_of_here(signature_key: tuple[str, str], context: Context) -> list[str]:
    """The grants on a function as this database has them, to be given again to a new one."""
    schema, signature = signature_key
    return [
        statement
        for entry in context.here.of("grant", schema, signature)
        for statement in _grants(
            sorted(entry["privileges"]), f"on {entry['_kind']} {entry['_object']}",
            entry["_grantee"],
        )
    ]  # fmt: skip


def closed(kind: str, name: str, context: Context) -> list[str]:
    """Take from a new object what the default privileges here give to others: the steps for grants
    give what the other database gives."""
    objects = _DEFAULTS["function" if kind == "procedure" else kind]
    grantees = {
        entry["_grantee"]
        for key, entry in context.here.entries.items()
        if key.kind == "default privilege" and entry["_objects"] == objects
    }
    if objects in ("functions", "types"):
        grantees.add("public")
    own = {context.here.server.role}
    return [f"revoke all on {kind} {name} from {one};" for one in sorted(grantees - own)]


def _privileges(one: Difference, context: Context) -> tuple[set[str], set[str]]:
    """The privileges here and there, of those that both servers know."""
    sides = (set(side["privileges"]) if side else set() for side in (one.here, one.there))
    common = min(context.here.server.major, context.there.server.major)
    mine, theirs = (
        {p for p in found if common >= 17 or not p.startswith("maintain")} for found in sides
    )
    return mine, theirs


def _grants(privileges: list[str], on: str, grantee: str) -> tuple[str, ...]:
    statements = []
    for star in ("", "*"):
        chosen = []
        for privilege in privileges:
            found = _PRIVILEGE.fullmatch(privilege)
            assert found
            if (found["star"] or "") == star:
                chosen.append(f"{found['name']} {found['column'] or ''}".strip())
        if chosen:
            option = " with grant option" if star else ""
            statements.append(f"grant {', '.join(chosen)} {on} to {grantee}{option};")
    return tuple(statements)


def _revoke(privilege: str, on: str, grantee: str) -> str:
    found = _PRIVILEGE.fullmatch(privilege)
    assert found
    return f"revoke {found['name']} {found['column'] or ''} {on} from {grantee};".replace("  ", " ")


def default_privilege(one: Difference, context: Context) -> Iterator[Step]:
    entry = one.entry
    mine, theirs = _privileges(one, context)
    role, grantee = entry["_role"], entry["_grantee"]
    head = f"alter default privileges for role {role} in schema {quoted(one.key.schema)}"
    on = f"on {entry['_objects']}"
    added, removed = sorted(theirs - mine), sorted(mine - theirs)
    absent = sorted({role, grantee} - context.here.roles - {"public"})
    if added:
        reason = None
        if absent:
            reason = f"there is no role {', '.join(absent)} here"
        elif grantee == "public":
            reason = "it opens every new object to every role"
        statements = tuple(f"{head} {text}" for text in _grants(added, on, grantee))
        yield Step(one.key, described(one.key), statements, reason)
    if removed:
        yield refused(
            one, f"less of {described(one.key)}", "whoever relies on it would be refused",
            *(f"{head} {_revoke(p, on, grantee)}" for p in removed),
        )  # fmt: skip


def comment_step(one: Difference, kind: str, name: str) -> Step:
    """The step that copies a comment."""
    title = f"comment on {described(one.key)}"
    text = one.there["comment"] if one.there else None
    if text is None:
        return refused(one, title, "there is none there", f"comment on {kind} {name} is null;")
    return Step(one.key, title, (f"comment on {kind} {name} is {literal(text)};",))
