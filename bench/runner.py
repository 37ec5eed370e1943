"""One run of one contestant: a fresh process against a fresh database, one pass after another."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.cluster import HOME
from bench.payloads import MESSAGES
from bench.replay import TOKEN
from bench.stage import Stage
from bench.turns import Task, Turn
from messenger_pipeline.project import PROJECT

DLT_PYTHON = HOME / "bench-venv" / "bin" / "python"
PASSES = ("fresh", "unchanged")

_OURS = "messenger_conversations", "contact_interaction_events"
_DLT = "bench.conversations", "bench.messages"


@dataclass(frozen=True)
class Contestant:
    """A program, and where its conversations and messages land."""

    module: str
    python: Path = Path(sys.executable)
    tables: tuple[str, str] | None = _OURS


CONTESTANTS = {
    "ours": Contestant("ours"),
    "floor": Contestant("floor"),
    "per_row": Contestant("per_row"),
    "dlt": Contestant("dlt_merge", DLT_PYTHON, _DLT),
    "command": Contestant("command"),
    "dagster": Contestant("dagster_alone", tables=None),
}


@dataclass(frozen=True)
class Case:
    """What is measured: a contestant on a page of so many threads, or on two such at once."""

    contestant: str
    threads: int
    latency_ms: int = 0
    pages: int = 1


@dataclass(frozen=True)
class Result:
    """One pass of a case: its seconds, Graph calls, and the greatest memory of a process."""

    case: Case
    name: str
    seconds: float
    calls: int
    peak_rss: int


class Failed(Exception):
    """A contestant ended early, or did not load what there was."""


def run_case(stage: Stage, case: Case) -> list[Result]:
    """The passes of a case. Raises Failed if one did not end in the rows that it should."""
    contestant = CONTESTANTS[case.contestant]
    stage.set_latency(case.latency_ms)
    results = []
    with ExitStack() as running:
        url = running.enter_context(stage.database())
        processes = [
            running.enter_context(_started(stage, contestant, url, page_id))
            for page_id in stage.page_ids[case.threads][: case.pages]
        ]
        for name in PASSES:
            stage.checkpoint()
            stage.calls()
            turns = _take_turn(processes)
            seconds = max(turn.seconds for turn in turns)
            peak = max(turn.peak_rss for turn in turns)
            results.append(Result(case, name, seconds, stage.calls(), peak))
            if contestant.tables:
                _check_rows(url, contestant.tables, case)
    return results


def _take_turn(processes: "list[subprocess.Popen[str]]") -> list[Turn]:
    """One pass of all, begun together."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [Turn(**json.loads(_line(process))) for process in processes]


@contextmanager
def _started(
    stage: Stage, contestant: Contestant, url: str, page_id: str
) -> "Iterator[subprocess.Popen[str]]":
    """A contestant that is ready; it ends with its standard input."""
    task = Task(stage.replay_url, url, page_id, TOKEN)
    settings = ("MESSENGER_", "DAGSTER_")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(settings)
    }
    log = stage.folder / f"{contestant.module}.log"
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [contestant.python, "-m", f"bench.contestants.{contestant.module}", *task.arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=stage.folder,
            env={**environment, "PYTHONPATH": str(PROJECT)},
        ) as process,
    ):
        try:
            _line(process)
            yield process
        except EOFError:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise Failed(f"{contestant.module} ended with {process.wait()}:\n{tail}") from None
        except BaseException:
            process.kill()
            raise


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise EOFError
    return line


def _check_rows(url: str, tables: tuple[str, str], case: Case) -> None:
    expected = [case.threads * case.pages, case.threads * case.pages * MESSAGES]
    with psycopg.connect(url) as connection:
        rows = [connection.execute(f"select count(*) from {table}".encode()) for table in tables]  # noqa: S608
        found = [count for cursor in rows for (count,) in cursor]
    if found != expected:
        raise Failed(f"{case}: {found} conversations and messages, not {expected}")
