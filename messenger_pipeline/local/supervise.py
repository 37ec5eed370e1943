"""Runs a command that ends when the process that started us ends, even if that is killed.

That process holds the other end of our standard input. When it closes, the command's process
group is interrupted, then killed. Until then we keep the embedded database server running, and
hold a lock, by which the next stack sees that processes of this one are left.

    python -m messenger_pipeline.local.supervise HOME LOCK COMMAND…
"""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from messenger_pipeline.errors import PipelineError

GRACE_SECONDS = 20.0


def main(arguments: list[str]) -> int:
    home, lock, command = Path(arguments[0]), Path(arguments[1]), arguments[2:]
    # Closing standard input ends us, Ctrl-C does not. Not SIG_IGN: the command would inherit it.
    signal.signal(signal.SIGINT, lambda *_: None)
    from messenger_pipeline.db.embedded import embedded_server

    with lock.open("w") as file, embedded_server(home):
        fcntl.flock(file, fcntl.LOCK_SH)
        child = subprocess.Popen(
            command,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,  # there are no threads yet
        )
        signal.signal(signal.SIGTERM, lambda *_: _end(child))
        while child.poll() is None:
            readable, _, _ = select.select([sys.stdin], [], [], 0.2)
            if readable and not os.read(sys.stdin.fileno(), 1):
                _end(child)
        _end(child)  # processes that the command left in its group
        # As a shell reports it: a signal's number has no other way through an exit code.
        return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _end_with_parent() -> None:
    """Interrupt the command if this process is killed: it could not do it any more."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the command's process group: interrupted, then killed after 20 seconds."""
    for which in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, which)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            child.poll()
            try:
                os.killpg(child.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PipelineError as error:
        sys.exit(f"Error: {error}")  # into the log, whose end is shown
