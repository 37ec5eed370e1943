"""What can go wrong, by who must act and whether trying again helps.

Each error carries the exit code of the command that ends with it. Messages name the thing and
the remedy, and never hold a secret.
"""

from datetime import datetime


class PipelineError(Exception):
    """Something failed."""

    exit_code = 1


class UsageError(PipelineError):
    """The command, a setting or an argument is wrong: whoever typed it must correct it."""

    exit_code = 2


class ConfigurationError(UsageError):
    """A setting is missing or wrong."""


class UnknownPage(UsageError):
    """No such page in the registry."""


class Stopped(Exception):
    """A run ends with more to do; the text says why."""


# -- The database -------------------------------------------------------------------------------


class DatabaseError(PipelineError):
    """PostgreSQL refused a statement."""


class DatabaseUnavailable(DatabaseError):
    """PostgreSQL cannot be reached: trying again later helps."""


class DatabaseConflict(DatabaseError):
    """Two transactions stood in each other's way, and this one gave way: it can be made again."""


class SchemaError(DatabaseError):
    """The schema is not the one that this version works with."""


class UpgradeRefused(SchemaError):
    """An upgrade would have to touch what is somebody else's, or cannot be done here."""


class VerificationError(DatabaseError):
    """The stored rows break an invariant."""


class LeaseLost(DatabaseError):
    """The lease on walking the page went to another run: this one may write no more."""


class SessionMoved(DatabaseError):
    """The sync session is not where this run left it: another run went on with it."""


class VersionConflict(DatabaseError):
    """The conversation changed since it was read."""


class MostlyRefused(DatabaseError):
    """PostgreSQL refused more rows of one answer than a few bad records explain."""


class SyncInProgress(PipelineError):
    """A sync of this page is in progress."""

    exit_code = 4

    def __init__(self, page_id: str, locked_by: str, locked_at: datetime) -> None:
        super().__init__(
            f"Sync already in progress for this page. Page {page_id} is being walked by run"
            f" {locked_by} since {locked_at:%Y-%m-%d %H:%M:%S %Z}."
        )


# -- Meta's Graph API ---------------------------------------------------------------------------


class GraphError(PipelineError):
    """The Graph API answered with an error, or not at all.

    `code`, `subcode` and `trace_id` are Meta's, `date` is when Meta said it; None where the answer
    had none.
    """

    date: datetime | None = None

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        subcode: int | None = None,
        trace_id: str | None = None,
        status: int | None = None,
    ) -> None:
        numbers = {"code": code, "subcode": subcode, "HTTP": status, "trace": trace_id}
        known = ", ".join(f"{name} {value}" for name, value in numbers.items() if value is not None)
        super().__init__(f"{message} ({known})" if known else message)
        self.code = code
        self.subcode = subcode
        self.trace_id = trace_id
        self.status = status


class TransientError(GraphError):
    """Service trouble: trying again helps. `seconds` is after how long, where the answer told."""

    seconds: float | None = None


class TooMuchData(GraphError):
    """Asked for more than Meta will answer at once: ask again for less."""


class RateLimited(GraphError):
    """Meta's quota is used up for an app, a token or a page.

    `seconds` is how long to wait, where the answer told.
    """

    scope: str = "page"
    seconds: float | None = None


class PageBlocked(RateLimited):
    """Meta blocked the page or the app for a time, as for spam: it passes within hours."""

    seconds = 4 * 3600.0


class ObjectRefused(GraphError):
    """Permanent for the object asked for: gone, never there, or not ours to see."""


class CursorRefused(ObjectRefused):
    """A cursor has expired, or points deeper than Meta lets one read."""


class ListRefused(GraphError):
    """Meta does not list a page's threads, however few are asked for at once."""


class GraphConfigurationError(GraphError):
    """Signature or query refused: the app's settings or this program are wrong."""

    exit_code = 2


class UnexpectedAnswer(GraphError):
    """The answer is not of the shape that Meta documents."""


class PageOwnerMustAct(GraphError):
    """Token dead or permission missing: only the page's owner can repair it."""

    exit_code = 5


class TokenDead(PageOwnerMustAct):
    """The page's token no longer works: authorise the page again."""


class PermissionMissing(PageOwnerMustAct):
    """The token lacks a permission, such as pages_messaging."""
