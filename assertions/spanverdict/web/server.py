"""The API on a socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_STOP_S: Final = 5
_MAX_HEAD: Final = 16 * 1024


class _Server(uvicorn.Server):
    """uvicorn, telling when it listens."""

    def __init__(self, settings: uvicorn.Config, listening: threading.Event) -> None:
        super().__init__(settings)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self._listening.set()


class WebServer:
    """Serves an application on a bound socket until it is stopped.

    `connections` is the class of uvicorn's connections, for one with more limits than its own. That on httptools
    is no choice: it skips the body of a POST that carries an Upgrade header. With `tls`, it speaks nothing else.
    """

    def __init__(
        self,
        application: ASGIApp,
        listener: socket.socket,
        connections: type[asyncio.Protocol] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._listening = threading.Event()
        settings = uvicorn.Config(
            application,
            http=connections or "h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_MAX_HEAD,
            timeout_graceful_shutdown=_STOP_S,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )
        self._server = _Server(settings, self._listening)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Serve; returns once requests are answered."""
        self._thread.start()
        self._listening.wait()

    def stop(self) -> None:
        """Finish the requests that are being answered, then end."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._listening.set()
