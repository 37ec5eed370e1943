"""How many examples and rounds the tests run. CONVERGENCE_SCALE=50 runs fifty times as many."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

SCALE: Final = int(os.environ.get("CONVERGENCE_SCALE", "1"))


def examples(count: int, **options: int) -> settings:
    return settings(
        max_examples=count * SCALE,
        deadline=None,
        suppress_health_check=[*HealthCheck],
        **options,  # type: ignore[arg-type]
    )
