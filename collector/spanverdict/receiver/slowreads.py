"""Bounds what gRPC holds of messages that are still on their way, which it does not tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from spanverdict.receiver.errors import BodyTimeout, Overloaded

QUICK_S: Final = 0.5
"""A message that has come by then is counted as it is; one that has not may be as long as the limit."""


@dataclass(slots=True, eq=False)
class _Read:
    begun: float
    deadline: asyncio.Timeout
    evicted: bool = False


class SlowReads:
    """The messages that are being received. Belongs to one event loop.

    How much of a message is here is not known before all of it is. So only so many may be slow as would fit, were each
    as long as a message may be; of more, those that began first give way and are told to come again. That keeps a
    place for who comes now, however many have stopped in the middle.
    """

    def __init__(self, places: int, retry_after_s: float, quick_s: float = QUICK_S) -> None:
        self._places = places
        self._retry_after_s = retry_after_s
        self._quick_s = quick_s
        self._reads: dict[int, _Read] = {}
        """In the order in which they began."""
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def reading(self, timeout_s: float) -> Iterator[asyncio.Timeout]:
        """Give the time-out to await one message under.

        Raises:
            BodyTimeout: it did not come in time.
            Overloaded: it was slow, and others needed its place.
        """
        loop = asyncio.get_running_loop()
        read = _Read(loop.time(), asyncio.timeout(timeout_s))
        self._reads[id(read)] = read
        if self._timer is None and len(self._reads) > self._places:
            self._timer = loop.call_later(self._quick_s, self._sweep, loop)
        try:
            yield read.deadline
        except TimeoutError:
            if read.evicted:
                raise Overloaded(self._retry_after_s, "too many senders are slow; send it again later") from None
            raise BodyTimeout(timeout_s) from None
        finally:
            del self._reads[id(read)]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the oldest give way where too many are slow, and look again while there may be more."""
        self._timer = None
        now = loop.time()
        waiting = [read for read in self._reads.values() if not read.evicted]
        slow = [read for read in waiting if now - read.begun >= self._quick_s]
        for read in slow[: max(0, len(slow) - self._places)]:
            read.evicted = True
            read.deadline.reschedule(now)
        if len(waiting) > self._places:
            self._timer = loop.call_later(self._quick_s / 2, self._sweep, loop)
