"""How much one request asks for: less where Meta refuses it as too much, then slowly more. Pure."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class BatchSize:
    """A `limit` of records per request, and a `nested_limit` of messages in each record.

    Until Meta first refuses a size as too much the limit doubles with each answer. From then on
    it grows by a sixteenth, because each refusal costs a call. `max_limit` and
    `max_nested_limit` bound both.
    """

    limit: int
    nested_limit: int
    max_limit: int
    max_nested_limit: int
    was_refused: bool = False

    def smaller(self) -> "BatchSize | None":
        """The size to retry with after a refusal; None if there is no smaller one.

        Halves the records first, then the messages nested in the last one.
        """
        if self.limit > 1:
            return replace(self, limit=self.limit // 2, was_refused=True)
        if self.nested_limit > 1:
            return replace(self, nested_limit=self.nested_limit // 2, was_refused=True)
        return None

    def larger(self) -> "BatchSize":
        """The size of the next request after an answer."""
        if not self.was_refused:
            return replace(self, limit=min(self.max_limit, 2 * self.limit))
        if self.nested_limit < self.max_nested_limit:
            grown = self.nested_limit + 1 + self.nested_limit // 16
            return replace(self, nested_limit=min(self.max_nested_limit, grown))
        return replace(self, limit=min(self.max_limit, self.limit + 1 + self.limit // 16))
