"""The list of threads, fetched with as little as there is. Standard library only."""

import http.client
from urllib.parse import urlencode, urlsplit

FIELDS = (
    "id,updated_time,participants,message_count,messages.limit(25)"
    "{id,created_time,from,message,attachments,shares,sticker,reactions,reply_to,story}"
)
"""What the pipeline asks for too."""


class ListClient:
    """One connection, kept alive; answers as bytes."""

    def __init__(self, graph_url: str, page_id: str, token: str) -> None:
        split = urlsplit(graph_url)
        self._connection = http.client.HTTPConnection(split.hostname or "", split.port)
        self._path = f"{split.path}/v26.0/{page_id}/conversations"
        self._headers = {"Authorization": f"Bearer {token}"}

    def fetch(self, after: str | None, limit: int = 100) -> bytes:
        query = {"platform": "messenger", "fields": FIELDS, "limit": str(limit)}
        if after:
            query["after"] = after
        self._connection.request("GET", f"{self._path}?{urlencode(query)}", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}")
        return body
