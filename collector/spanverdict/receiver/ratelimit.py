"""How much one client may send a second, so that nobody is slowed by somebody else's mistake."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.errors import RateLimited

BURST_S: Final = 2.0
"""A client that was quiet may send so many seconds' worth at once."""
MAX_CLIENTS: Final = 10_000
"""Clients that are remembered; of more, the ones heard of longest ago begin anew."""


class RateLimiter:
    """A bucket of bytes for every client. A message is let in while there is something left, however long it is,
    and the next one when its debt is paid. So any message that is not too long gets through. Thread-safe.

    >>> now = 0.0
    >>> limiter = RateLimiter(100, clock=lambda: now)
    >>> limiter.admit("a"); limiter.charge("a", 250)
    >>> limiter.admit("a")
    Traceback (most recent call last):
    spanverdict.receiver.errors.RateLimited: more than 100 bytes a second; send it again later
    >>> limiter.admit("b")
    >>> now = 0.6
    >>> limiter.admit("a")
    """  # noqa: D205 - one thought

    def __init__(self, bytes_per_s: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.bytes_per_s = bytes_per_s
        """Inflated bytes; None for no limit. May be set at any time."""
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What each client had left, and when that was."""
        self._lock = threading.Lock()

    def admit(self, client: str) -> None:
        """Let a client send one message, whose length nobody knows yet.

        Raises:
            RateLimited: it has sent too much lately; it says when there is room again.
        """
        rate = self.bytes_per_s
        if rate is None:
            return
        with self._lock:
            level = self._level(client, rate)
        if level <= 0:
            raise RateLimited(rate, -level / rate)

    def admit_caller(self, tokens: BearerTokens, authorization: bytes | None, address: str) -> str:
        """Let whoever calls send one message, as `admit` does, and name them to be charged; "" where nobody is."""
        if self.bytes_per_s is None:
            return ""
        client = tokens.client(authorization, address)
        self.admit(client)
        return client

    def charge(self, client: str, size: int) -> None:
        """Take note of a message that came."""
        rate = self.bytes_per_s
        if rate is None:
            return
        with self._lock:
            self._levels[client] = self._level(client, rate) - size, self._clock()
            self._levels.move_to_end(client)
            while len(self._levels) > MAX_CLIENTS:
                self._levels.popitem(last=False)

    def _level(self, client: str, rate: int) -> float:
        full = rate * BURST_S
        level, since = self._levels.get(client, (full, 0.0))
        return min(full, level + (self._clock() - since) * rate)
