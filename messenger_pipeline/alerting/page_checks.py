"""The daily check of a page: whether its token is valid, until when, and whether the page is
subscribed to this app's webhooks.
"""

import logging
import threading
from dataclasses import dataclass, replace

from messenger_pipeline.db.page_checks import PageCheck, record_page_check
from messenger_pipeline.db.pages import PageRecord, get_page
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.db.refusals import record_page_refusal
from messenger_pipeline.engine import Engine, token_of
from messenger_pipeline.errors import (
    DatabaseUnavailable,
    GraphError,
    PipelineError,
    RateLimited,
    Stopped,
    TokenDead,
    TransientError,
    reason_of,
)
from messenger_pipeline.graph.access import TokenState
from messenger_pipeline.graph.client import GraphClient
from messenger_pipeline.redaction import redact

_RESERVE_PERCENT = 25  # of Meta's quota, left for syncs
_INVALID_CODE = "190"
"""What an invalid token counts as among the errors that pages meet: Meta's code."""
_NO_APP = "default"
"""MESSENGER_APP_ID if it is not set."""

_log = logging.getLogger(__name__)


@dataclass
class PageCheckTotals:
    """The figures of several checks."""

    pages: int = 0
    dead: int = 0
    """Pages whose token is no longer valid."""
    unsubscribed: int = 0
    incomplete: int = 0
    """Checks of which a call failed; they are due again in an hour."""

    def add(self, other: "PageCheckTotals") -> None:
        self.pages += other.pages
        self.dead += other.dead
        self.unsubscribed += other.unsubscribed
        self.incomplete += other.incomplete


def check_pages(engine: Engine, page_ids: list[str], stop: threading.Event) -> PageCheckTotals:
    """Check pages one after the other. A failure of one does not affect the others. Raises Stopped,
    DatabaseUnavailable."""
    total = PageCheckTotals()
    for page_id in page_ids:
        if stop.is_set():
            break
        total.pages += 1
        try:
            check = check_page(engine, page_id, stop)
        except (Stopped, DatabaseUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - the next page is checked
            _log.warning("page %s could not be checked: %s", page_id, reason_of(error))
            total.incomplete += 1
            if not isinstance(error, RateLimited):  # that passes
                _record_failure(engine, page_id, reason_of(error))
            continue
        total.dead += check.token_valid is False
        total.unsubscribed += check.subscribed is False
        total.incomplete += check.error is not None
    return total


def _record_failure(engine: Engine, page_id: str, reason: str) -> None:
    """Record that a page could not be checked. Otherwise it would be the first to be checked again
    and again, before pages that can be."""
    try:
        page = get_page(engine.database, page_id)
        record_page_check(engine.database, page, PageCheck(error=reason))
    except DatabaseUnavailable:
        raise
    except PipelineError as error:  # the page is not registered any more, for example
        _log.info("the failed check of page %s could not be recorded: %s", page_id, error)


def check_page(engine: Engine, page_id: str, stop: threading.Event) -> PageCheck:
    """Fetch the state of a page's token and subscription and store it. A page whose token
    is found dead twice is marked for re-authorization. Raises RateLimited, Stopped."""
    page = get_page(engine.database, page_id)
    try:
        token = token_of(engine, page)
    except PipelineError as error:
        check = PageCheck(error=str(error))
        record_page_check(engine.database, page, check)
        return check
    budget = Budget(
        engine.app_id,
        token,
        page.facebook_page_id,
        engine.calls_per_second,
        reserve_percent=_RESERVE_PERCENT,
    )
    pacer = Pacer(engine.database, budget, stop)
    with engine.graph.client(token, pacer) as client:
        check, dead = _check_token(engine, client, pacer, token)
        if not dead:
            check = _check_subscription(engine, client, page, check, token)
    if dead and _is_the_apps(engine, page, dead):
        check, dead = PageCheck(error=dead), None
    record_page_check(engine.database, page, check, dead)
    return check


def _check_token(
    engine: Engine, client: GraphClient, pacer: Pacer, token: str
) -> tuple[PageCheck, str | None]:
    """The check, and the reason if the token is dead."""
    try:
        state = _token_state(engine, client, pacer, token)
    except RateLimited:
        raise
    except TokenDead as error:
        return PageCheck(token_valid=False), redact(str(error), token)
    except GraphError as error:
        return PageCheck(error=redact(str(error), token)), None
    check = PageCheck(
        token_valid=state.valid,
        token_expires_at=state.expires_at,
        data_access_expires_at=state.data_access_expires_at,
        scopes=state.scopes,
    )
    if state.valid:
        return check, None
    return check, redact(f"Meta reports the token as invalid: {state.reason or ''}", token)


def _is_the_apps(engine: Engine, page: PageRecord, dead: str) -> bool:
    """Whether Meta rejects the tokens of several pages at once: then it refuses the app, and no
    page is marked."""
    found = record_page_refusal(
        engine.database, page.facebook_page_id, engine.app_id, _INVALID_CODE, dead
    )
    return found is not None


def _token_state(engine: Engine, client: GraphClient, pacer: Pacer, token: str) -> TokenState:
    """Fetch the token's state as the app, which learns of dead tokens too; as the page if the app
    is not configured, or Meta refuses it (as with the secret of another app)."""
    secret = engine.graph.app_secret
    if engine.app_id != _NO_APP and secret:
        with engine.graph.client(f"{engine.app_id}|{secret}", pacer) as app:
            try:
                return app.fetch_token_state(token).content
            except (RateLimited, TransientError):
                raise
            except GraphError as error:
                _log.info("Meta refuses debug_token for the app: %s", redact(str(error), token))
    return client.fetch_token_state(token).content


def _check_subscription(
    engine: Engine, client: GraphClient, page: PageRecord, check: PageCheck, token: str
) -> PageCheck:
    """The check, completed by the subscription. Meta refuses this call without a permission that
    syncs do not need, so a refusal does not concern the page."""
    try:
        apps = client.fetch_subscribed_apps(page.graph_id).content
    except RateLimited:
        raise
    except GraphError as error:
        reasons = [check.error, redact(str(error), token)]
        return replace(check, error="; ".join(reason for reason in reasons if reason))
    ours = [app for app in apps if engine.app_id in (_NO_APP, app.id) or app.id is None]
    fields = sorted({field for app in ours for field in app.fields})
    return replace(check, subscribed=bool(ours), subscribed_fields=fields)
