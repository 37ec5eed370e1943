"""An interpreter with Dagster imported, which does nothing: what its memory is compared with."""

import dagster  # noqa: F401 - for its memory

from bench.turns import take_turns

if __name__ == "__main__":
    take_turns(lambda: None)
