"""The errors of this project, by who must act and whether a retry helps.

Each error has the exit code of a command that ends with it. Messages name the object and the
remedy, and never contain a secret.
"""

from datetime import datetime
from uuid import UUID


class PipelineError(Exception):
    """The base class of all errors but Stopped."""

    exit_code = 1


class UsageError(PipelineError):
    """The command, a setting or an argument is wrong: its user must correct it."""

    exit_code = 2


class ConfigurationError(UsageError):
    """A setting is missing or wrong."""


class UnknownPage(UsageError):
    """The page is not in the registry."""


class UnknownSession(UsageError):
    """The page has no such sync session."""

    def __init__(self, page_id: str, session: UUID) -> None:
        super().__init__(
            f"Page {page_id} has no sync session {session}: it never existed, or it was deleted 30"
            " days after its end. Without a session, a sync fetches what is new."
        )


class Stopped(Exception):
    """A run ends before its work is done; the text is the reason."""


# -- The database -------------------------------------------------------------------------------


class DatabaseError(PipelineError):
    """PostgreSQL refused a statement."""


class DatabaseUnavailable(DatabaseError):
    """PostgreSQL cannot be reached: a later retry helps."""


class UnfitServer(DatabaseError):
    """The server cannot keep our data: it is too old, read only, or in another encoding."""


class BlindRole(DatabaseError):
    """Row level security hides rows from the role that we connect as."""


class DatabaseConflict(DatabaseError):
    """The transaction lost a deadlock or a serialization conflict: a retry helps."""


class DatabaseBusy(DatabaseError):
    """Another transaction holds a lock for longer than this one may wait."""


class SchemaError(DatabaseError):
    """The schema is not the one that this version needs."""


class UpgradeRefused(SchemaError):
    """An upgrade would have to touch what is somebody else's, or cannot be done here."""


class VerificationError(DatabaseError):
    """The stored rows break an invariant."""


class LeaseLost(DatabaseError):
    """Another run holds the page's lease now: this one must not write any more."""


class SessionMoved(DatabaseError):
    """Another run has advanced the sync session since this run read it."""


class PageRemoved(DatabaseError):
    """The page was removed from the registry while a run walked it."""

    @classmethod
    def named(cls, page_id: str) -> "PageRemoved":
        """The error for a page, as the load raises it."""
        return cls(
            f"Page {page_id} was removed while this run synced it, so the run ended. What it loaded"
            f" is kept. To sync the page again, run `messenger-pipeline pages add {page_id}`."
        )


class VersionConflict(DatabaseError):
    """The conversation changed since it was read."""


class MostlyRefused(DatabaseError):
    """PostgreSQL refused more rows of one response than a few bad records explain."""


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
    """The Graph API answered with an error, or did not answer.

    `code`, `subcode` and `trace_id` are Meta's; `date` is the answer's Date. Each is None if the
    answer has none.
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
    """A temporary failure of Meta or the network: a retry helps. `seconds` is the pause that the
    answer asks for, if it does."""

    seconds: float | None = None


class TooMuchData(GraphError):
    """The request asks for more than Meta returns at once: retry with less."""


class RateLimited(GraphError):
    """Meta's quota of an app, a token or a page is exhausted.

    `seconds` is the pause that the answer asks for, if it does.
    """

    scope: str = "page"
    seconds: float | None = None


class AppRefused(RateLimited):
    """Meta refuses the calls of the app for several pages at once, so that all of them pause."""

    @classmethod
    def because(cls, reason: str | None) -> "AppRefused":
        """The error, with Meta's words if they are known."""
        words = f". Meta's words: {reason.rstrip('.')}" if reason else ""
        return cls(
            "Meta refuses the app's calls for several pages at once: see the alert app_refused"
            + words
        )


class PageBlocked(RateLimited):
    """Meta blocked the page or the app temporarily, for example for spam: it ends within hours."""

    seconds = 4 * 3600.0


class ObjectRefused(GraphError):
    """Permanent for the requested object: deleted, unknown, or not accessible to us."""


class ThreadSetAside(PipelineError):
    """A thread that must not be read now."""


class CursorRefused(ObjectRefused):
    """A cursor has expired, or points deeper than Meta allows."""


class RequestUnsupported(GraphError):
    """Meta does not serve this kind of request now. It has met all accounts of an app at once, so
    it proves nothing about an object or a page."""


class SendingRestricted(GraphError):
    """Meta restricts the page from sending messages for a time. Reading is not restricted."""


class ListRefused(GraphError):
    """Meta refuses to list a page's threads, with any page size."""


class GraphConfigurationError(GraphError):
    """Meta refused the signature or the query: the app's settings or this program are wrong."""

    exit_code = 2


class UnexpectedAnswer(GraphError):
    """The answer does not have the documented shape."""


class PageOwnerMustAct(GraphError):
    """The token is dead or lacks a permission: only the page's owner can fix it."""

    exit_code = 5

    def name_page(self, page_id: str) -> None:
        """Say whose page it is and what to do."""
        self.args = (needs_reauthorization(page_id, str(self)),)


class TokenDead(PageOwnerMustAct):
    """The page's token is no longer valid: authorize the page again."""


class PermissionMissing(PageOwnerMustAct):
    """The token lacks a permission, such as pages_messaging."""


class ContactTermsNotAccepted(PageOwnerMustAct):
    """An admin of the page has to accept the Page Contact Terms. A new token does not help."""

    def name_page(self, page_id: str) -> None:
        self.args = (
            f"An admin of page {page_id} has to accept Meta's Page Contact Terms, on the page's own"
            f" account; its token stays valid. The page is then synced again without further steps."
            f" Meta's error: {self}",
        )


def name_first_refusal(error: GraphError, page_id: str) -> None:
    """Say whose page Meta refuses, and that another refusal has to confirm it."""
    remedy = ""
    if isinstance(error, PageOwnerMustAct):
        remedy = (
            " If Meta refuses it again a minute later, the page needs re-authorization. To give it"
            f" a new token now, run `messenger-pipeline pages add {page_id}`."
        )
    reason = str(error).rstrip(".")
    error.args = (f"Meta refuses page {page_id}: {reason}. It is tried again by itself.{remedy}",)


def refusal_of(error: GraphError) -> str:
    """The kind of an error with which Meta refuses a page, as the database groups them: Meta's code
    and subcode, or a name."""
    names = {
        ContactTermsNotAccepted: "terms",
        SendingRestricted: "sending",
        RequestUnsupported: "unsupported",
    }
    code = "/".join(str(number) for number in (error.code, error.subcode) if number is not None)
    return names.get(type(error), code or type(error).__name__)


# -- Errors that nobody foresaw -----------------------------------------------------------------


def reason_of(error: BaseException) -> str:
    """Why something failed, to be stored and shown.

    The text of an error that is not ours may quote a customer's message or a token, so only its
    type and place are returned.
    """
    if isinstance(error, PipelineError | Stopped):
        return str(error)
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "messenger_pipeline" in code.co_filename:
            place = f" in {code.co_name} ({code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"unforeseen {type(error).__name__}{place}"


def needs_reauthorization(page_id: str, reason: str | None) -> str:
    """The sentence for a page whose owner must act."""
    return (
        f"Page {page_id} needs re-authorization: {(reason or 'the reason is unknown').rstrip('.')}."
        f" Run `messenger-pipeline pages add {page_id}` with a new token."
    )
