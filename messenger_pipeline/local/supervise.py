"""Runs a command that ends when whoever started it ends, however that dies.

The starter holds the other end of our standard input. When that closes, the command's whole
process group is ended: asked first, then killed. While it runs we keep the embedded database
server and a lock, by which the next starter knows that nothing of this one is left.

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

GRACE_SECONDS = 20.0


def main(arguments: list[str]) -> int:
    home, lock, command = Path(arguments[0]), Path(arguments[1]), arguments[2:]
    # The starter decides when to end. A handler, not SIG_IGN, which the command would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    from messenger_pipeline.db.embedded import embedded_server

    with lock.open("w") as file, embedded_server(home):
        fcntl.flock(file, fcntl.LOCK_SH)
        child = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
        signal.signal(signal.SIGTERM, lambda *_: _end(child))
        while child.poll() is None:
            readable, _, _ = select.select([sys.stdin], [], [], 0.2)
            if readable and not os.read(sys.stdin.fileno(), 1):
                _end(child)
        _end(child)  # what it may have left behind
        return child.returncode


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the command's process group: asked, then killed."""
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
    sys.exit(main(sys.argv[1:]))
