"""Writes the steps that bring this database to the other: what is safe as statements, the rest as
comments with the reason."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

from messenger_pipeline.schema_diff import (
    on_constraints,
    on_grants,
    on_routines,
    on_tables,
    on_views,
)
from messenger_pipeline.schema_diff.compare import is_owned
from messenger_pipeline.schema_diff.model import Catalog, Difference, Key, Oid
from messenger_pipeline.schema_diff.step import Context, Step, described

Writer = Callable[[Difference, Context], Iterable[Step]]

_WRITERS: dict[str, Writer] = {
    "extension": on_routines.extension,
    "schema": on_routines.schema,
    "type": on_routines.data_type,
    "sequence": on_routines.sequence,
    "function": on_routines.function,
    "table": on_tables.table,
    "column": on_tables.column,
    "constraint": on_constraints.constraint,
    "index": on_constraints.index,
    "view": on_views.view,
    "trigger": on_views.trigger,
    "rule": on_views.rule,
    "policy": on_views.policy,
    "statistics": on_views.statistics,
    "grant": on_grants.grant,
    "default privilege": on_grants.default_privilege,
}
_RANK = {kind: rank for rank, kind in enumerate(_WRITERS)}


def checks_of(differences: Iterable[Difference], here: Catalog, there: Catalog) -> list[str]:
    """Return the queries on this database whose numbers `plan` needs. Each counts rows that a rule
    of the other database would refuse."""
    context = _context(differences, here, there, {})
    for one in context.differences.values():
        list(_steps(one, context))
    return context.asked


def plan(
    differences: Iterable[Difference],
    here: Catalog,
    there: Catalog,
    counts: Mapping[str, int | None],
) -> list[Step]:
    """Return the steps in an order in which they can be run. `counts` has the number of each query
    of `checks_of`, None where it failed."""
    context = _context(differences, here, there, counts)
    steps = [step for one in context.differences.values() for step in _steps(one, context)]
    return _ordered(_possible(steps, context), context)


def _context(
    differences: Iterable[Difference],
    here: Catalog,
    there: Catalog,
    counts: Mapping[str, int | None],
) -> Context:
    return Context(here, there, {one.key: one for one in differences}, counts)


def _steps(one: Difference, context: Context) -> Iterator[Step]:
    if one.within and one.there is None:
        return  # it would go with its table or function
    outdated = _outdated(one.key, context)
    if outdated:
        yield Step(one.key, described(one.key), (), outdated)
        return
    steps = _WRITERS[one.key.kind](one, context)
    taken = _taken(one, context)
    yield from (dataclasses.replace(s, reason=s.reason or taken) for s in steps)


_NAMESPACE = ("table", "view", "sequence", "index", "type")
"""Kinds that share the names of a schema; a constraint may have an index of its name."""


def _taken(one: Difference, context: Context) -> str | None:
    """Why an object that is missing here cannot be made: another kind of object has its name."""
    if one.here is not None or one.key.kind not in _NAMESPACE:
        return None
    for key, entry in context.here.entries.items():
        relation = key.kind in _NAMESPACE or (
            key.kind == "constraint" and entry["_type"] in ("p", "u", "x")
        )
        if relation and (key.schema, key.name) == (one.key.schema, one.key.name):
            return f"here {described(key)} has its name"
    return None


_ID_TABLES = ("facebook_pages", "messenger_conversations", "contact_interaction_events")
_OTHER_IDS = (
    "the ids here have other types than there, because the replaced application's tables were"
    " adopted: `messenger-pipeline db upgrade` makes what fits them"
)


def _ids_differ(context: Context) -> bool:
    """Whether a column `id` or `user_id` of our tables has another type here than there."""
    return any(
        key.kind == "column" and key.relation in _ID_TABLES and key.name in ("id", "user_id")
        and key.schema == context.here.server.data and "type" in one.facts
        for key, one in context.differences.items()
    )  # fmt: skip


def _outdated(key: Key, context: Context) -> str | None:
    """Why an upgrade, and not this plan, changes an object of ours."""
    mine, theirs = context.here.revision, context.there.revision
    ours = key.kind == "schema" and key.schema == context.here.server.own
    owned = is_owned(key, context.here, context.there)
    if mine and theirs:
        # What stands on a table of ours may be ours, too: the older side does not know of it.
        owned = owned or is_owned(key.table, context.here, context.there)
    if not (ours or owned):
        return None
    if mine == theirs:
        # Our functions, defaults and rules of columns follow the types of ids.
        return _OTHER_IDS if key.kind in ("function", "column") and _ids_differ(context) else None
    return (
        f"made by messenger-pipeline, whose schema is at {mine or 'no revision'} here and at"
        f" {theirs or 'no revision'} there: run `messenger-pipeline db upgrade` on the older one"
    )


def _possible(steps: list[Step], context: Context) -> list[Step]:
    """Refuse what is built on an object that is missing here, or is another one, and that no step
    makes."""
    while True:
        lacking = _lacking(steps, context)
        oids = {one.entry.oid: key for key, one in lacking.items() if one.entry.oid}
        after = [_unless_impossible(step, lacking, oids, context) for step in steps]
        if after == steps:
            return steps
        steps = after


_OTHER = {"type", "collation", "generated", "identity"}
"""Facts of a column that make it another one for what is built on it."""


def _lacking(steps: list[Step], context: Context) -> dict[Key, Difference]:
    """The differences that no step removes, of objects that others are built on."""
    made = {step.key for step in steps if step.reason is None}
    left = {step.key for step in steps if step.reason is not None}
    return {
        key: one
        for key, one in context.differences.items()
        if (one.here is None and key not in made and one.within not in made)
        or (
            one.change == "changed" and key in left
            and (key.kind in ("type", "function", "view") or _OTHER & {*one.facts})
        )
    }  # fmt: skip


def _unless_impossible(
    step: Step, lacking: Mapping[Key, Difference], oids: Mapping[Oid, Key], context: Context
) -> Step:
    if step.reason is not None:
        return step
    one = context.differences[step.key]
    needed = {oids[oid] for oid in _needs(step, context) if oid in oids} - {step.key}
    if one.within and one.within in lacking:
        needed.add(one.within)
    if not needed:
        return step
    names = ", ".join(described(key) for key in sorted(needed, key=lambda key: key.place))
    return dataclasses.replace(step, reason=f"it needs what is not made here: {names}")


def _needs(step: Step, context: Context) -> frozenset[Oid]:
    """What must be there before a step: for a table, what its columns need, too."""
    entry = context.there.entries.get(step.key)
    return context.there.needs.get(entry.oid, frozenset()) if entry and entry.oid else frozenset()


def _ordered(steps: list[Step], context: Context) -> list[Step]:
    """What others need first; otherwise by kind and name."""
    ranked = sorted(steps, key=lambda step: (step.late, _RANK[step.key.kind], step.key.place))
    makers: dict[Oid, list[Step]] = {}
    for step in ranked:
        entry = context.there.entries.get(step.key)
        if entry and entry.oid and not step.late:
            makers.setdefault(entry.oid, []).append(step)
    done: dict[int, None] = {}
    by_number = {id(step): step for step in ranked}

    def visit(step: Step) -> None:
        if id(step) in done:
            return
        done[id(step)] = None
        before = len(done)
        for needed in sorted(_needs(step, context)):
            for maker in makers.get(needed, ()):
                visit(maker)
        if len(done) > before:  # after what it needs
            del done[id(step)]
            done[id(step)] = None

    for step in ranked:
        visit(step)
    return [by_number[number] for number in done]
