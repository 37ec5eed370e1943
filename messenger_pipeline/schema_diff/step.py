"""The steps of a plan, and what is known where they are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from messenger_pipeline.schema_diff.model import Catalog, Difference, Entry, Key, qualified


@dataclass(frozen=True)
class Step:
    """Statements with a title. With a `reason` they are not to be run as they stand."""

    key: Key
    title: str
    statements: tuple[str, ...] = ()
    reason: str | None = None
    late: bool = False  # after the indexes: a foreign key needs the unique index of its target


@dataclass
class Context:
    """The two catalogs and their differences; the numbers of rows that stand against a step.

    `counts` maps queries to their numbers; None where a query failed. Queries that are not in it
    are noted in `asked`, and count as 0.
    """

    here: Catalog
    there: Catalog
    differences: Mapping[Key, Difference]
    counts: Mapping[str, int | None]
    asked: list[str] = field(default_factory=list)

    def count(self, query: str) -> int | None:
        if query not in self.counts:
            self.asked.append(query)
            return 0
        return self.counts[query]

    def is_new(self, key: Key) -> bool:
        """Whether a table, view, function or type is missing here, so that the plan makes it."""
        return key not in self.here.entries

    def table(self, key: Key) -> Entry:
        """The table or materialized view that an object belongs to."""
        view = key.table._replace(kind="view")
        for side in (self.here.entries, self.there.entries):
            found = side.get(key.table) or side.get(view)
            if found:
                return found
        raise KeyError(key)

    def unreadable(self, key: Key) -> str | None:
        """Why the rows of a table cannot be counted, if they cannot."""
        if self.table(key)["_readable"]:
            return None
        return (
            f"role {self.here.server.role} may not see all rows of {key.table.name}, so that it"
            " could not be checked"
        )

    def objections(
        self, key: Key, query: str | None, rows: str, *, more: Sequence[str] = ()
    ) -> str | None:
        """Why a rule for rows cannot be added: how many break it, or that nobody can tell.

        `rows` says which they are, for example "rows without a value".
        """
        if query is None or self.table(key).key not in self.here.entries:
            return None
        hidden = self.unreadable(key)
        if hidden or more:
            return hidden or more[0]
        count = self.count(query)
        if count is None:
            return "the rows could not be checked: what the check needs is not there yet"
        if count:
            return f"{rows}: {count:,}; correct them first"
        return None


def named(key: Key) -> str:
    """The table or view of an object, as statements name it."""
    return qualified(key.schema, key.relation or key.name)


def refused(one: Difference, title: str, reason: str, *statements: str) -> Step:
    return Step(one.key, title, statements, reason)


def described(key: Key) -> str:
    """An object in words: column chats.title."""
    if key.kind == "grant":
        return f"grant on {key.name}"
    inside = f"{key.relation}." if key.relation else ""
    return f"{key.kind} {inside}{key.name}"
