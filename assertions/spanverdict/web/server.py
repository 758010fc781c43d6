"""The API on a socket, in a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_STOP_S: Final = 5


class WebServer:
    """Serves an application on a bound socket until it is stopped."""

    def __init__(self, application: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        # h11 is chosen on purpose: httptools skips the body of a POST that carries an Upgrade header.
        settings = uvicorn.Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="web", daemon=True
        )

    def start(self) -> None:
        """Serve; returns once requests are answered."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)

    def stop(self) -> None:
        """Finish the requests that are being answered, then end."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
