"""What each contestant needs: its passes, and a client for the list of threads. Its arguments
are the URLs of the Graph API and of a database without rows, and the id of the page.

Standard library only, because dlt runs in an environment of its own.
"""

import http.client
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

FIELDS = (
    "id,updated_time,participants,message_count,messages.limit(25)"
    "{id,created_time,from,message,attachments,shares,sticker,reactions,reply_to,story}"
)
"""The fields that the pipeline requests."""
TOKEN = "EAAbench" + "0123456789" * 18  # opens nothing; as long as one of Meta's
KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMDA="  # encrypts TOKEN in the registry


def run_passes(run: Callable[[], object]) -> None:
    """Run one pass for each "go" on standard input. Each line is answered with figures."""
    for line in sys.stdin:
        start = time.perf_counter()
        if line == "go\n":
            run()
        figures = {"seconds": time.perf_counter() - start, "peak_mb": _peak_mb()}
        print(json.dumps(figures), flush=True)  # noqa: T201


def _peak_mb() -> float:
    """The peak resident memory of this process; 0 where there is no /proc."""
    # Not getrusage: there a process inherits the peak of its parent.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


class ListClient:
    """Fetches a page's list of threads over one connection; responses as bytes."""

    def __init__(self, graph_url: str, page_id: str) -> None:
        split = urlsplit(graph_url)
        self._connection = http.client.HTTPConnection(split.hostname or "", split.port)
        self._path = f"{split.path}/v26.0/{page_id}/conversations"
        self._headers = {"Authorization": f"Bearer {TOKEN}"}

    def fetch(self, after: str | None) -> bytes:
        query = {"platform": "messenger", "fields": FIELDS, "limit": "100"}
        query |= {"after": after} if after else {}
        self._connection.request("GET", f"{self._path}?{urlencode(query)}", headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"HTTP status {response.status}")
        return body
