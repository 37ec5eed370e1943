"""Reading a page's list of threads: what each request asks for, and which answer is the last."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.errors import (
    CursorRefused,
    GraphError,
    ListRefused,
    ObjectRefused,
    PageOwnerMustAct,
    RequestUnsupported,
    SendingRestricted,
    TooMuchData,
    TransientError,
)
from messenger_pipeline.graph.client import Answer, GraphClient
from messenger_pipeline.graph.models import Thread
from messenger_pipeline.graph.reading import UnparsedThreads
from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.blame import check_page
from messenger_pipeline.sync.cutoff import Cutoff
from messenger_pipeline.sync.paging import Pager
from messenger_pipeline.sync.plan import is_unchanged
from messenger_pipeline.sync.request_policy import RequestPolicy
from messenger_pipeline.sync.request_sizes import SMALLER_ATTEMPTS, RequestSizes

KnownThreads = dict[str, ThreadState]

_REFUSALS = (
    TooMuchData, TransientError, ObjectRefused, PageOwnerMustAct, RequestUnsupported,
    SendingRestricted,
)  # fmt: skip
"""Errors that may mean the size of a request, whatever they state."""


@dataclass(frozen=True)
class ListAnswer:
    """An answer of the list. `known` are the states of its threads, None if not looked up yet."""

    answer: Answer[UnparsedThreads]
    is_last: bool
    known: KnownThreads | None = None
    is_out_of_order: bool = False


class ListReader:
    """One pass over the list."""

    def __init__(
        self,
        client: GraphClient,
        page: PageRecord,
        *,
        after: str | None,
        cutoff: Cutoff,
        max_threads: int | None,
        find_known: Callable[[list[str]], KnownThreads] | None,
        was_refused: bool = False,
        sizes: RequestSizes | None = None,
    ) -> None:
        """`after` is the cursor to start at, None for the top. `find_known` looks up the states of
        threads; give it only where most are stored already: the list is then probed. With
        `was_refused`, Meta refused the list last time: the smallest request shows whether it still
        does. `sizes` are those that Meta is known to answer."""
        self._client = client
        self._page = page
        self._pager = Pager("The list of conversations", after)
        self._cutoff = cutoff
        self._left = max_threads
        self._find_known = find_known
        self._was_refused = was_refused
        self._sizes = sizes or RequestSizes()
        self._attempts: int | None = None
        self._policy = self._start_policy()
        self._is_answered = False

    def fetch_answers(self) -> Iterator[ListAnswer]:
        """The answers to the end of the list, past the cutoff or to max_threads.

        Raises CursorRefused, ListRefused, PermissionMissing, UnexpectedAnswer.
        """
        is_last = False
        while not is_last and (self._left is None or self._left > 0):
            answer = self._fetch()
            listed = self._decide(answer)
            if listed is not None:
                self._pager.advance(answer.content.after)
                yield listed
                is_last = listed.is_last

    def _fetch(self) -> Answer[UnparsedThreads]:
        """The next answer, requested in smaller sizes while Meta refuses it as too much."""
        while True:
            size = self._policy.size
            limit = size.limit if self._left is None else min(size.limit, self._left)
            try:
                answer = self._client.fetch_conversations(
                    self._page.graph_id,
                    self._page.platform,
                    limit=limit,
                    messages=size.nested_limit,
                    after=self._pager.after,
                    attempts=1 if size.trial_of else self._attempts,
                )
            except _REFUSALS as error:
                self._shrink(error)
            else:
                self._attempts = None
                if self._was_refused:
                    self._was_refused = False
                    self._policy = self._start_policy()
                elif limit == size.limit:
                    self._sizes.record_answer(self._policy.kind, size)
                    self._policy = self._policy.with_size(size.larger())
                return answer

    def _start_policy(self) -> RequestPolicy:
        return RequestPolicy.start(
            self._sizes,
            has_cutoff=self._cutoff.time is not None,
            likely_known=self._find_known is not None,
            was_refused=self._was_refused,
        )

    def _shrink(self, error: GraphError) -> None:
        """Request less next time. Raises what the refusal means if that cannot help.

        Under load Meta states other reasons than the size: a control call shows whether it means
        the page, and whether Meta answers at all. A trial of a larger size needs none.
        """
        if isinstance(error, ObjectRefused) and self._pager.after is not None:
            # A page that was listed without a cursor is readable: it is the cursor.
            raise CursorRefused(str(error)) from None
        is_trial, lasting = bool(self._policy.size.trial_of), isinstance(error, TransientError)
        if not is_trial and (lasting or not (isinstance(error, TooMuchData) or self._is_answered)):
            check_page(self._client, self._page, error)
            self._is_answered = True
            self._attempts = SMALLER_ATTEMPTS if lasting else None
        smaller = self._policy.size.smaller(lasting=lasting)
        if smaller is not None:
            self._policy = self._policy.with_size(smaller)
        elif isinstance(error, TooMuchData) or self._pager.after is not None:
            raise ListRefused(str(error)) from None
        else:
            raise TransientError(
                f"Meta refuses the list of conversations, though it answers a control call: {error}"
            ) from None

    def _decide(self, answer: Answer[UnparsedThreads]) -> ListAnswer | None:
        """Decide from an answer what to request next; None: the same again with whole threads."""
        at_end = answer.content.after is None
        if self._find_known is None and self._cutoff.time is None and self._left is None:
            # Its threads decide nothing, so the next request need not wait until they are parsed.
            return ListAnswer(answer, is_last=at_end)
        threads = answer.content.parse().records
        known = None
        if self._find_known is not None:
            known = self._find_known([thread["id"] for thread in threads])
            if self._must_repeat(threads, known):
                return None
        if self._left is not None:
            self._left -= len(threads)
        times = [thread["updated_time"] for thread in threads]
        cutoff, self._cutoff = self._cutoff, self._cutoff.after(times)
        return ListAnswer(
            answer,
            is_last=at_end or cutoff.is_past(times),
            known=known,
            is_out_of_order=cutoff.is_out_of_order(times),
        )

    def _must_repeat(self, threads: list[Thread], known: KnownThreads) -> bool:
        changed = sum(
            thread["id"] not in known or not is_unchanged(thread, known[thread["id"]])
            for thread in threads
        )
        policy, self._policy = self._policy, self._policy.after(changed, len(threads))
        return policy.must_repeat(changed, len(threads))
