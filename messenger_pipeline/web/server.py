"""The HTTP server of `serve`."""

import socket

import uvicorn

from messenger_pipeline.web.app import App


class Server(uvicorn.Server):
    """Ends the requests that wait for a sync before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.waits.end()
        await super().shutdown(sockets)
