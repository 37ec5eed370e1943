"""What a run is asked to do."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from messenger_pipeline.errors import UsageError

Mode = Literal["auto", "incremental", "sweep", "full"]
"""auto: resume the open session, else fetch what is new. sweep: walk all threads, and read those
that changed or of which messages are missing. full: read every message that Meta still gives."""


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

    def __post_init__(self) -> None:
        """Raises UsageError: with a bound of 0 no walk would ever end."""
        if self.max_conversations is not None and self.max_conversations < 1:
            raise UsageError(f"max_conversations is {self.max_conversations}: give at least 1.")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise UsageError(f"max_seconds is {self.max_seconds:g}: give more than 0.")
