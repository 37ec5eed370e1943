"""How much one request asks for: less where Meta refuses it as too much, then slowly more. Pure."""

from dataclasses import dataclass, replace

_LASTING_PATIENCE = 16
_MAX_PATIENCE = 256


@dataclass(frozen=True)
class BatchSize:
    """A `limit` of records per request, and a `nested_limit` of messages in each record.

    Until Meta first refuses a size as too much the limit doubles with each answer. From then on
    it grows by a sixteenth after `patience` answers, because each refusal costs a call. A larger
    size is a trial at first: if Meta refuses it, the next size is the one that it answered before,
    and the patience doubles. `max_limit` and `max_nested_limit` bound both.
    """

    limit: int
    nested_limit: int
    max_limit: int
    max_nested_limit: int
    was_refused: bool = False
    patience: int = 1
    answers: int = 0
    """Answers of this size so far."""
    trial_of: tuple[int, int] | None = None
    """The limits that Meta answered, if this size is a trial of larger ones."""

    def smaller(self, *, lasting: bool = False) -> "BatchSize | None":
        """The size to retry with after a refusal; None if there is no smaller one.

        Halves the records first, then the messages nested in the last one. After a trial it is the
        size before. `lasting`: the refusal was a temporary error, not one that names the size.
        """
        refused = replace(self, was_refused=True, answers=0, trial_of=None)
        if self.trial_of is not None:
            limit, nested_limit = self.trial_of
            longer = max(2 * self.patience, _LASTING_PATIENCE if lasting else 0)
            patience = min(_MAX_PATIENCE, longer)
            return replace(refused, limit=limit, nested_limit=nested_limit, patience=patience)
        if self.limit > 1:
            return replace(refused, limit=self.limit // 2)
        if self.nested_limit > 1:
            return replace(refused, nested_limit=self.nested_limit // 2)
        return None

    def larger(self) -> "BatchSize":
        """The size of the next request after an answer."""
        if not self.was_refused:
            return replace(self, limit=min(self.max_limit, 2 * self.limit))
        answered = replace(self, answers=self.answers + 1, trial_of=None)
        is_largest = (self.limit, self.nested_limit) == (self.max_limit, self.max_nested_limit)
        if is_largest or answered.answers < self.patience:
            return answered
        trial = replace(answered, answers=0, trial_of=(self.limit, self.nested_limit))
        if self.nested_limit < self.max_nested_limit:
            grown = self.nested_limit + 1 + self.nested_limit // 16
            return replace(trial, nested_limit=min(self.max_nested_limit, grown))
        return replace(trial, limit=min(self.max_limit, self.limit + 1 + self.limit // 16))
