"""The embedded server, where several processes start one at the same moment."""

import threading
from pathlib import Path

import pytest

from messenger_pipeline.db import embedded
from messenger_pipeline.errors import DatabaseUnavailable


def test_the_system_user_is_created_by_one_starter_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`useradd` fails if another process runs it at the same moment."""
    inside, together = threading.Semaphore(1), threading.Event()
    overlaps: list[str] = []

    def get_server(*_: object, **__: object) -> None:
        if not inside.acquire(blocking=False):
            overlaps.append(threading.current_thread().name)
            return
        together.wait(0.3)  # long enough for the other to come in, were it let in
        inside.release()
        raise RuntimeError("no server in this test")

    def start(home: Path) -> None:
        with pytest.raises(DatabaseUnavailable), embedded.embedded_server(home):
            pass

    monkeypatch.setattr(embedded, "get_server", get_server)
    starters = [threading.Thread(target=start, args=[tmp_path / name]) for name in ("a", "b")]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert not overlaps
