"""How many frames a peer may send that bring nothing forward."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from spanverdict.receiver.http2.frames import ConnectionFault, ErrorCode

MOST: Final = 1000.0
PER_SECOND: Final = 100.0
PER_REQUEST: Final = 10.0


class Patience:
    """A bucket that pings, settings, resets, empty frames and their like are taken from.

    It fills up with time, and with every request that is answered, so a client that works hard may also ping and give
    credit as often as it likes.

    >>> patience = Patience(clock=lambda: 0.0)
    >>> for _ in range(1000): patience.spend()
    >>> patience.spend()
    Traceback (most recent call last):
    spanverdict.receiver.http2.frames.ConnectionFault: too many frames that bring nothing forward
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = MOST
        self._since = clock()

    def spend(self, cost: float = 1.0) -> None:
        """Take note of a frame.

        Raises:
            ConnectionFault: there were too many.
        """
        now = self._clock()
        self._left = min(MOST, self._left + (now - self._since) * PER_SECOND) - cost
        self._since = now
        if self._left < 0:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that bring nothing forward")

    def earn(self) -> None:
        """Take note of a request that was answered."""
        self._left += PER_REQUEST
