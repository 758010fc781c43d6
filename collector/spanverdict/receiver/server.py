"""A listener and what answers there, as one thing."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from spanverdict.receiver.listener import Listener


class Server:
    """One listener from its start to its end. All methods belong to the event loop."""

    def __init__(
        self, listener: Listener, end_calls: Callable[[], None], tls: Callable[[], ssl.SSLContext] | None
    ) -> None:
        self._listener = listener
        self._end_calls = end_calls
        self._tls = tls

    async def start(self) -> None:
        """Accept connections from here on."""
        await self._listener.start(None if self._tls is None else self._tls())

    async def stop(self, grace_s: float) -> None:
        """Refuse connections, let calls end within `grace_s`, then tell those that are left to come again."""
        await self._listener.stop(grace_s, self._end_calls)
