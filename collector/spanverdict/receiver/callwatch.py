"""How long calls may take, and which give way where too many are slow to send what they carry."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from spanverdict.receiver.errors import Overloaded, RequestRefused

QUICK_S: Final = 0.5
"""A message that has come by then is none that is slow."""
_CHECKS: Final = 2
"""How often within that time calls are looked at."""


class Watched:
    """A call in the eyes of the watch."""

    __slots__ = ("begun", "due", "is_reading", "late")

    def __init__(self) -> None:
        self.begun = 0.0
        self.is_reading = True
        """Whether its message is still on its way."""
        self.due = math.inf
        self.late: RequestRefused | None = None
        """What is wrong with a call that is not over when it is due."""

    @property
    def held(self) -> int:
        """Bytes that are kept free for it, or hold what has come."""
        return 0

    def give_up(self, reason: RequestRefused) -> None:
        """End the call, for a reason."""
        raise NotImplementedError


class CallWatch:
    """The calls that are open. Belongs to one event loop.

    Of messages that are slow to come only so many go on as would fit, were each as long as a message may be; of more,
    those that began first give way and are told to come again, and so they do where what slow ones hold is more than
    `slow_bytes`. That keeps room for who comes now, however many have stopped in the middle of a long message.
    """

    def __init__(self, places: int, retry_after_s: float, slow_bytes: float = math.inf) -> None:
        self._places = places
        self._slow_bytes = slow_bytes
        self._retry_after_s = retry_after_s
        self._calls: dict[Watched, None] = {}
        """In the order in which they began."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Watched, within_s: float, late: RequestRefused) -> None:
        """Watch a call that begins, and give it some time."""
        loop = asyncio.get_running_loop()
        call.begun = loop.time()
        call.due, call.late = call.begun + within_s, late
        self._calls[call] = None
        if self._timer is None:
            self._timer = loop.call_later(QUICK_S / _CHECKS, self._sweep, loop)

    def remove(self, call: Watched) -> None:
        """Watch a call no more. More than once is fine."""
        self._calls.pop(call, None)

    def end_all(self, reason: RequestRefused) -> None:
        """End all calls."""
        for call in list(self._calls):
            call.give_up(reason)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = [call for call in self._calls if now >= call.due]
        for call in late:
            if call.late is not None:
                call.give_up(call.late)
        slow = [call for call in self._calls if call.is_reading and now - call.begun >= QUICK_S]
        too_many, held = len(slow) - self._places, sum(call.held for call in slow)
        for count, call in enumerate(slow):
            if count >= too_many and held <= self._slow_bytes:
                break
            held -= call.held
            call.give_up(Overloaded(self._retry_after_s, "too many senders are slow; send it again later"))
        self._timer = loop.call_later(QUICK_S / _CHECKS, self._sweep, loop) if self._calls else None
