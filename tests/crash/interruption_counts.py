"""How many interruptions the tests make, and how many they have made.

MESSENGER_CRASH_KILLS is about how many to make in all. Without it the tests make a small selection.
"""

import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

Case = TypeVar("Case")

# Read at import, before a fixture removes the user's settings from the environment.
KILLS = int(os.environ.get("MESSENGER_CRASH_KILLS", "0"))
_DEFAULT_KILLS = 32

interruptions: Counter[str] = Counter()
"""The interruptions made so far, by kind."""
_lock = threading.Lock()


def record(kind: str) -> None:
    """Count an interruption."""
    with _lock:
        interruptions[kind] += 1


def subset(cases: Sequence[Case]) -> Sequence[Case]:
    """All cases with MESSENGER_CRASH_KILLS, otherwise the first."""
    return cases if KILLS else cases[:1]


def case_count(share: float) -> int:
    """This share of all interruptions, at least one."""
    return max(1, round(share * (KILLS or _DEFAULT_KILLS)))


def sample(cases: Sequence[Case], number: int, seed: int = 1) -> list[Case]:
    """This number of cases, spread evenly over all of them, or all if there are fewer."""
    if number >= len(cases):
        return list(cases)
    chance = random.Random(seed)
    width = len(cases) / number
    return [cases[int((at + chance.random()) * width)] for at in range(number)]
