"""Rehearses the move from the replaced application: builds its database, adopts it, syncs it from
the simulator, verifies it, and rolls it back."""

from tools.rehearsal.rehearse import Rehearsal

__all__ = ["Rehearsal"]
