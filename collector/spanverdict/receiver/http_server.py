"""The OTLP/HTTP listener: uvicorn on a socket of ours, on the receiver's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from typing import TYPE_CHECKING

import uvicorn

from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.http_connection import connection_class
from spanverdict.receiver.tls import TlsIdentity

if TYPE_CHECKING:
    from spanverdict.receiver.http_app import HttpApp


_TICK_S = 1.0
_DRAIN_POLL_S = 0.01
_LAST_WORDS_S = 1.0


class _Server(uvicorn.Server):
    """uvicorn, told when to stop and telling when it listens instead of polling for either."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stop_asked = asyncio.Event()
        self.grace_s = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Keep the Date header right until somebody asks to stop."""
        while not self.stop_asked.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop_asked.wait(), _TICK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is idle, let requests end, then cancel what is left and let it say so to its clients."""
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._drained(self.grace_s)
        for task in self.server_state.tasks:
            task.cancel()
        await self._drained(_LAST_WORDS_S)

    async def _drained(self, within_s: float) -> None:
        state = self.server_state
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn's sets tell nobody that they change
                    await asyncio.sleep(_DRAIN_POLL_S)


class HttpServer:
    """One listener from its start to its end. All methods belong to the event loop."""

    def __init__(self, server: _Server, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections from here on."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait((listening, self._serving), return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._serving.done():
            self._serving.result()

    async def stop(self, grace_s: float) -> None:
        """Refuse connections, let requests end within `grace_s`, then cancel what is left."""
        if self._serving is None:
            self._listener.close()
            return
        self._server.grace_s = grace_s
        self._server.stop_asked.set()
        await self._serving


def open_http_server(
    app: HttpApp, listener: socket.socket, config: ReceiverConfig, identity: TlsIdentity | None = None
) -> HttpServer:
    """Make a server on a bound socket; it is not started."""
    settings = uvicorn.Config(
        app,
        http=connection_class(config),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(config.idle_timeout_s),
        h11_max_incomplete_event_size=config.max_header_bytes,
        ssl_context_factory=None if identity is None else lambda *_: identity.context(),
    )
    return HttpServer(_Server(settings), listener)
