"""What every walk and drain works with: Meta's API, the database, the pace, the tokens' key."""

from dataclasses import dataclass

from messenger_pipeline.db.pages import PageRecord, unknown_page_error
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PageOwnerMustAct, needs_reauthorization
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault


@dataclass(frozen=True)
class Engine:
    """The connections and settings of a process. `calls_per_second` is the limit for each page."""

    database: Database
    graph: GraphApi
    vault: TokenVault
    calls_per_second: float
    app_id: str = "default"


def token_of(engine: Engine, page: PageRecord) -> str:
    """A page's token, decrypted. Raises UnknownPage, PageOwnerMustAct, ConfigurationError."""
    if page.status == "removed":
        raise unknown_page_error(page.facebook_page_id)
    if page.status == "needs_reauthorization":
        raise PageOwnerMustAct(needs_reauthorization(page.facebook_page_id, page.status_reason))
    if page.token_encrypted is None:
        raise PageOwnerMustAct(
            f"Page {page.facebook_page_id} has no token. Run `messenger-pipeline pages add"
            f" {page.facebook_page_id}` with one."
        )
    return engine.vault.decrypt(page.facebook_page_id, page.token_encrypted)
