"""What the next request of the list asks for: whole threads, or a probe of them. Pure."""

from dataclasses import dataclass, replace

from messenger_pipeline.sync.batch_size import BatchSize
from messenger_pipeline.sync.request_sizes import Kind, RequestSizes

WHOLE = BatchSize(100, 25, max_limit=100, max_nested_limit=25)
"""Threads with their newest messages, for a list of which all may be new."""
WHOLE_INCREMENTAL = replace(WHOLE, limit=25)
"""The first request above a cutoff: usually few threads changed, and the rest costs time."""
PROBE = BatchSize(200, 1, max_limit=200, max_nested_limit=1)
"""Threads with their newest message, which is enough to see that a thread did not change. Meta
silently cuts a greater limit to about 200."""

SMALLEST = BatchSize(1, 1, max_limit=1, max_nested_limit=1)
"""Shows whether Meta lists a page's threads again."""


@dataclass(frozen=True)
class RequestPolicy:
    """Chooses between two sizes: `whole` where threads changed, `probe` where few did.

    `probing` says which one the next request has. Each size shrinks and grows by itself.
    """

    whole: BatchSize
    probe: BatchSize = PROBE
    probing: bool = False

    @classmethod
    def start(
        cls,
        sizes: RequestSizes,
        *,
        has_cutoff: bool,
        likely_known: bool,
        was_refused: bool = False,
    ) -> "RequestPolicy":
        """Probe first a list whose threads are likely to be stored already.

        The sizes are those that Meta is known to answer. Of a list that Meta refused last time as
        little as possible is requested.
        """
        if was_refused:
            return cls(SMALLEST, SMALLEST, probing=likely_known)
        whole = sizes.initial("list", WHOLE_INCREMENTAL if has_cutoff else WHOLE)
        return cls(whole, sizes.initial("probe", PROBE), probing=likely_known)

    @property
    def kind(self) -> Kind:
        """The kind of the next request."""
        return "probe" if self.probing else "list"

    @property
    def size(self) -> BatchSize:
        """The size of the next request."""
        return self.probe if self.probing else self.whole

    def with_size(self, size: BatchSize) -> "RequestPolicy":
        """This policy with another size for requests of the current kind."""
        return replace(self, probe=size) if self.probing else replace(self, whole=size)

    def must_repeat(self, changed: int, total: int) -> bool:
        """Whether to repeat a probe, of whose threads `changed` changed, with whole threads.

        Then one call brings their messages, instead of one call for each thread.
        """
        return self.probing and not _is_mostly_unchanged(changed, total)

    def after(self, changed: int, total: int) -> "RequestPolicy":
        """The policy for the next request: probe if few threads of the last answer changed."""
        return replace(self, probing=_is_mostly_unchanged(changed, total))


def _is_mostly_unchanged(changed: int, total: int) -> bool:
    return changed <= max(2, total // 20)
