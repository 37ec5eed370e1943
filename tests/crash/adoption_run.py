"""An adoption in a process of its own, which kills itself at a statement.

python -m tests.crash.adoption_run URL STATEMENT

It prints how many statements it sent since its first step, if it gets so far. At an odd STATEMENT
it is killed before it sends it, at an even one while the server works on it.
"""

import os
import signal
import sys
import threading
from typing import Any

import psycopg

from messenger_pipeline.db import adoption_steps, migrate


def main(url: str, last: int) -> None:
    sent, begun = 0, False
    execute, prepare = psycopg.Cursor.execute, adoption_steps.Adoption.prepare

    def prepared(self: Any) -> None:
        nonlocal begun
        begun = True
        prepare(self)

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal sent
        sent += begun
        if begun and sent == last:
            if last % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return execute(self, *arguments, **options)

    adoption_steps.Adoption.prepare = prepared  # type: ignore[method-assign]
    psycopg.Cursor.execute = counted  # type: ignore[method-assign]
    migrate.upgrade(url, "public", lambda token: f"encrypted {token}")
    sys.stdout.write(f"{sent}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
