"""How much one call asks for: less where Meta says that it is too much, then slowly more. Pure."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Portion:
    """Records asked for at once, and messages nested in each; up to `most` and `most_nested`.

    Until Meta first says that it is too much the portion doubles, then it grows by a sixteenth:
    each refusal costs a call.
    """

    records: int
    nested: int
    most: int
    most_nested: int
    refused: bool = False

    def smaller(self) -> "Portion | None":
        """Half of the records, then fewer messages in each; None where there is no less."""
        if self.records > 1:
            return replace(self, records=self.records // 2, refused=True)
        if self.nested > 1:
            return replace(self, nested=self.nested // 2, refused=True)
        return None

    def larger(self) -> "Portion":
        """What to ask for after an answer."""
        if not self.refused:
            return replace(self, records=min(self.most, 2 * self.records))
        if self.nested < self.most_nested:
            return replace(self, nested=min(self.most_nested, self.nested + 1 + self.nested // 16))
        return replace(self, records=min(self.most, self.records + 1 + self.records // 16))
