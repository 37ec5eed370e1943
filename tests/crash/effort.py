"""How many kills there are to be, and how many there were."""

import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

Case = TypeVar("Case")

# Read before the tests put the settings of the user away.
KILLS = int(os.environ.get("MESSENGER_CRASH_KILLS", "0"))
"""About how many interruptions to make in all; 0: a selection that takes little time."""
_FEW = 32

made: Counter[str] = Counter()
"""Interruptions that were really made, by kind."""
_lock = threading.Lock()


def note(kind: str) -> None:
    with _lock:
        made[kind] += 1


def some(cases: Sequence[Case]) -> Sequence[Case]:
    """All of them, or in little time the first."""
    return cases if KILLS else cases[:1]


def share(of: float) -> int:
    """So much of all interruptions, but one at least."""
    return max(1, round(of * (KILLS or _FEW)))


def selection(cases: Sequence[Case], number: int, seed: int = 1) -> list[Case]:
    """So many of the cases, from all over them; all, where there are no more."""
    if number >= len(cases):
        return list(cases)
    chance = random.Random(seed)
    width = len(cases) / number
    return [cases[int((at + chance.random()) * width)] for at in range(number)]
