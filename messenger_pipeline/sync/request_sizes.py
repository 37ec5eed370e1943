"""The sizes of a page's requests: smaller where Meta refuses them, remembered from run to run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar

from messenger_pipeline.db.request_sizes import StoredSize
from messenger_pipeline.errors import TooMuchData, TransientError
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.sync.batch_size import BatchSize

Content = TypeVar("Content")

Kind = Literal["list", "probe", "thread", "history"]
"""Threads with messages, threads with one message, one thread with messages, or messages of one
thread."""

SMALLER_ATTEMPTS = 2
"""Attempts of a request in a smaller size than the one that failed in all of its attempts."""


class RequestSizes:
    """What Meta answered of one page.

    A size is remembered at the first answer after a refusal, and forgotten once the usual one is
    answered again. A size that was never answered is not remembered: if Meta answers nothing, no
    size is to blame.
    """

    def __init__(
        self,
        stored: dict[str, StoredSize] | None = None,
        save: Callable[[Kind, StoredSize | None], None] = lambda _kind, _size: None,
    ) -> None:
        """`save` stores a size, or forgets it with None."""
        self._stored = {**(stored or {})}
        self._save = save
        self._answered: dict[Kind, BatchSize] = {}
        self._largest: dict[Kind, tuple[int, int]] = {}

    def initial(self, kind: Kind, usual: BatchSize) -> BatchSize:
        """The size of the first request: the remembered one if that is smaller than the usual."""
        self._largest[kind] = (usual.max_limit, usual.max_nested_limit)
        stored = self._stored.get(kind)
        if stored is None and kind == "probe":
            # Whether Meta refused the threads or their messages is not known: start with as few.
            of_list = self._stored.get("list")
            stored = of_list and replace(of_list, patience=1)
        if stored is None:
            return usual
        limit = min(usual.max_limit, stored.size_limit)
        nested_limit = min(usual.max_nested_limit, stored.nested_limit)
        if limit >= usual.limit and nested_limit >= usual.nested_limit:
            # An incremental sync starts with less than the page is known to answer.
            return replace(usual, max_limit=limit)
        return replace(
            usual, limit=min(limit, usual.limit), nested_limit=nested_limit, was_refused=True,
            patience=stored.patience,
        )  # fmt: skip

    def record_answer(self, kind: Kind, size: BatchSize) -> None:
        """Meta answered a request of this size."""
        if not size.was_refused:
            return
        self._answered[kind] = size
        stored = self._stored.get(kind)
        if (
            stored is None
            or size.limit < stored.size_limit
            or size.nested_limit < stored.nested_limit
        ):
            self._store(kind, size)

    def save(self) -> None:
        """Remember how far the sizes have grown back. Call it when a run ends."""
        for kind, size in self._answered.items():
            self._store(kind, size)

    def _store(self, kind: Kind, size: BatchSize) -> None:
        new = None
        is_usual = (size.limit, size.nested_limit) == self._largest.get(kind)
        if not is_usual or (kind == "probe" and "list" in self._stored):
            new = StoredSize(size.limit, size.nested_limit, size.patience)
        if self._stored.get(kind) == new:
            return
        self._save(kind, new)
        if new is None:
            self._stored.pop(kind, None)
        else:
            self._stored[kind] = new


class SizedRequests:
    """Requests for single threads, of one kind: in smaller sizes while Meta refuses them."""

    def __init__(
        self,
        sizes: RequestSizes,
        kind: Kind,
        usual: BatchSize,
        check: Callable[[Exception], None],
    ) -> None:
        """`check` makes a control call for an error that lasted: it raises if Meta answers none."""
        self._sizes = sizes
        self._kind: Kind = kind
        self._check = check
        self._size = sizes.initial(kind, usual)

    def fetch(self, request: Callable[[BatchSize, int | None], Answer[Content]]) -> Answer[Content]:
        """The answer of `request`, which is called with a size and the attempts to make.

        Raises its error if Meta refuses the smallest size too: then the error is the object's, and
        the size stays as it was.
        """
        size, attempts = self._size, 1 if self._size.trial_of else None
        while True:
            try:
                answer = request(size, attempts)
            except (TooMuchData, TransientError) as error:
                lasting = isinstance(error, TransientError)
                smaller = size.smaller(lasting=lasting)
                if lasting and (attempts is None or smaller is None):
                    self._check(error)
                if smaller is None:
                    raise
                attempts = SMALLER_ATTEMPTS if lasting and not size.trial_of else None
                size = smaller
            else:
                self._sizes.record_answer(self._kind, size)
                self._size = size.larger()
                return answer
