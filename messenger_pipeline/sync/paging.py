"""Following the cursors of one of Meta's lists, with loop detection."""

from messenger_pipeline.errors import UnexpectedAnswer


class Pager:
    """The position in a list: `after` is the cursor of the next request, None at the top.

    Detects a list that leads back to where it was. Of the cursors already passed it keeps only
    one, which moves up at each power of two (Brent's algorithm): memory stays flat however long
    the list is, and a loop of n answers is detected within 3 times the answers up to its end. A
    cursor that does not move is detected at once.
    """

    def __init__(self, what: str, after: str | None = None) -> None:
        """`what` names the list in errors."""
        self._what = what
        self.after = after
        self.at_end = False
        self._checkpoint = after
        self._steps = 0
        self._next_checkpoint = 1

    def advance(self, cursor: str | None) -> None:
        """Move to the cursor that the last answer gave; None ends the list.

        Raises UnexpectedAnswer if the cursor was followed before.
        """
        if cursor is None:
            self.at_end = True
            return
        if cursor in (self.after, self._checkpoint):
            raise UnexpectedAnswer(
                f"{self._what} never ends: Meta returned a cursor that was already followed."
            )
        self.after = cursor
        self._steps += 1
        if self._steps == self._next_checkpoint:
            self._checkpoint, self._next_checkpoint = cursor, 2 * self._next_checkpoint
