"""How a contestant takes its turns: it says that it is ready, then runs one pass for each line on
its standard input and prints what came of it. Standard library only: contestants with packages
of their own import it too.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """What a contestant is asked for: `database_url` has the project's schema, empty."""

    graph_url: str
    database_url: str
    page_id: str
    token: str

    def arguments(self) -> list[str]:
        return [self.graph_url, self.database_url, self.page_id, self.token]


@dataclass(frozen=True)
class Turn:
    """One pass over the page: its seconds, and the process's greatest memory in bytes so far."""

    seconds: float
    peak_rss: int


def task() -> Task:
    """The task given on the command line."""
    return Task(*sys.argv[1:])


def take_turns(run: Callable[[], object]) -> None:
    """Run one pass per line of standard input."""
    _say("ready")
    for _ in sys.stdin:
        began = time.perf_counter()
        run()
        _say(json.dumps(asdict(Turn(time.perf_counter() - began, peak_rss()))))


def peak_rss() -> int:
    """The greatest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: there a started process inherits the peak of the one that started it.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
