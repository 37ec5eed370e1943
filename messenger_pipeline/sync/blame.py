"""Whose fault an error is: the requested object's, or the page's and thus the run's.

One answer proves nothing permanent, and one object nothing about its page. So before an error
counts as the page's, a control call has to fail as well.
"""

from collections.abc import Callable

from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.errors import (
    DatabaseConflict,
    DatabaseUnavailable,
    GraphConfigurationError,
    LeaseLost,
    ObjectRefused,
    PageOwnerMustAct,
    PageRemoved,
    PermissionMissing,
    RateLimited,
    RequestUnsupported,
    SchemaError,
    SendingRestricted,
    SessionMoved,
    Stopped,
    TokenDead,
    TooMuchData,
    TransientError,
)
from messenger_pipeline.graph.client import GraphClient

_RUNS = (
    Stopped, RateLimited, GraphConfigurationError, DatabaseUnavailable, DatabaseConflict,
    SchemaError, LeaseLost, SessionMoved, PageRemoved,
)  # fmt: skip
"""Errors that end a run, whatever it was doing."""
_TRANSIENT_IN_A_ROW = 3
"""Objects that fail one after another with a temporary error, until a control call shows whether
Meta answers at all."""


def check_page(client: GraphClient, page: PageRecord, error: Exception) -> None:
    """Make the control call for a refusal. Returns if Meta answers it: the page is not refused.

    Raises PageOwnerMustAct or RequestUnsupported if Meta refuses the page, and any other error of
    the control call.
    """
    try:
        if isinstance(error, TokenDead):
            client.check_token()
        else:
            client.check_list(page.graph_id, page.platform)
    except PageOwnerMustAct:
        raise
    except ObjectRefused as refused:
        missing = PermissionMissing(
            f"The token has no access to the page's conversations: {refused}"
        )
        missing.code, missing.subcode = refused.code, refused.subcode
        raise missing from None


class Blame:
    """Decides for the errors of one run's objects: threads, and gaps in their history."""

    def __init__(
        self,
        client: GraphClient,
        page: PageRecord,
        on_restricted: Callable[[SendingRestricted], object] = lambda _error: None,
    ) -> None:
        """`on_restricted` is called if Meta restricts the page from sending, which ends no run."""
        self._client = client
        self._page = page
        self._on_restricted = on_restricted
        self._transient = 0
        self._unanswered: Exception | None = None

    def require_own_fault(self, error: Exception) -> None:
        """Return if an error concerns the requested object alone: the run sets it aside.

        Otherwise raises the error that ends the run.
        """
        if isinstance(error, _RUNS) or error is self._unanswered:
            raise error
        if isinstance(error, SendingRestricted):
            self._on_restricted(error)
        if isinstance(error, (PageOwnerMustAct, RequestUnsupported)):
            self._check_page(error)
        if isinstance(error, TransientError):
            self._transient += 1
            if self._transient >= _TRANSIENT_IN_A_ROW:
                self._transient = 0
                self._check_page(error)

    def _check_page(self, error: Exception) -> None:
        try:
            check_page(self._client, self._page, error)
        except (TooMuchData, TransientError):
            # Of some pages Meta refuses the list alone, and answers for their threads.
            self._client.check_token()

    def require_answer(self, error: Exception) -> None:
        """Make a control call for an error that lasted. Returns if Meta answers it: the error
        concerns the object, or the size of the request. Raises the control call's error."""
        try:
            self._check_page(error)
        except Exception as refusal:
            self._unanswered = refusal
            raise
        self._transient = 0

    def record_success(self) -> None:
        """Meta answered for an object."""
        self._transient = 0
