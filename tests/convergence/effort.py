"""How much is tried. CONVERGENCE_EFFORT=50 tries fifty times the examples and the rounds."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

EFFORT: Final = int(os.environ.get("CONVERGENCE_EFFORT", "1"))


def examples(count: int, **given: int) -> settings:
    return settings(
        max_examples=count * EFFORT,
        deadline=None,
        suppress_health_check=[*HealthCheck],
        **given,  # type: ignore[arg-type]
    )
