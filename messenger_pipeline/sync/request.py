"""What a run is asked to do."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Mode = Literal["auto", "incremental", "full"]


@dataclass(frozen=True)
class SyncRequest:
    """A run of a page.

    `session` names the session to resume; None: the page's open one, else a new one. The run
    ends, with more to do, after the response that reaches max_conversations or max_seconds.
    """

    page_id: str
    run_id: str
    mode: Mode = "auto"
    session: UUID | None = None
    max_conversations: int | None = None
    max_seconds: float | None = None
