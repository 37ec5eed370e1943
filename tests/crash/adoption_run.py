"""An adoption in a process of its own, which kills itself at a statement.

python -m tests.crash.adoption_run URL STATEMENT

It prints how many statements it sent, if it gets so far. At an odd STATEMENT it is killed before it
sends it, at an even one while the server works on it.
"""

import os
import signal
import sys
import threading
from typing import Any

import psycopg

from messenger_pipeline.db import migrate


def main(url: str, last: int) -> None:
    sent = 0
    execute = psycopg.Cursor.execute

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == last:
            if last % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return execute(self, *arguments, **options)

    psycopg.Cursor.execute = counted  # type: ignore[method-assign]
    migrate.upgrade(url, "public", lambda token: f"encrypted {token}")
    sys.stdout.write(f"{sent}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
