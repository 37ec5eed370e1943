"""The figures of a drain."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class DrainResult:
    """The figures of one batch, or of several."""

    deliveries: int = 0
    states: Counter[str] = field(default_factory=Counter)
    """done, ignored, failed; retry and waiting are still pending."""
    events: Counter[str] = field(default_factory=Counter)
    """Applied events by type, including those that were stored already."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Ignored items by reason."""
    events_created: int = 0
    inserted: int = 0
    updated: int = 0
    quarantined: int = 0
    oldest: datetime | None = None
    """When the oldest of the deliveries was received."""
    new_contacts: list[tuple[str, str]] = field(default_factory=list)
    """Page and contact id of the new conversations, whose names are unknown."""

    def add(self, other: "DrainResult") -> None:
        self.deliveries += other.deliveries
        self.states.update(other.states)
        self.events.update(other.events)
        self.ignored.update(other.ignored)
        self.events_created += other.events_created
        self.inserted += other.inserted
        self.updated += other.updated
        self.quarantined += other.quarantined
        self.new_contacts += other.new_contacts
        if other.oldest and (self.oldest is None or other.oldest < self.oldest):
            self.oldest = other.oldest
