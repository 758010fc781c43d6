"""How long requests wait for each other: at low rates what a group costs hardly depends on how many are in it.

Caches are cold after some idle milliseconds, and a wake-up, a commit and some hundred calls cost the same for one small
request as for three. So after a group the next one begins no sooner than a period later. The first request after a
quiet period does not wait at all, and none waits longer than a period for others.

That must not slow down clients that wait for an answer before they send again. They are told by what they do: one
alone waits for nobody else, and several send less while they have to wait. Where either is seen nobody waits for a
while, longer each time; and every few seconds it is looked again how many come then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

PERIOD_S: Final = 0.012
"""From the begin of a group to that of the next one."""
ENOUGH_BYTES: Final = 128 * 1024
"""After a group of so much nobody waits: there is a lot to do, and requests gather while it is done."""
LOOK_S: Final = 0.25
"""For so long it is counted how many come."""
VAIN: Final = 3
"""After so many requests that waited for nobody, one after the other, nobody waits any more."""
TOLERANCE: Final = 2.0
"""By so many standard deviations fewer requests may come while they wait for each other; what is more is no chance …"""
TOLERANCE_AT_ONCE: Final = 4.0
"""… nor is so much before it was counted for long, and it need not be counted any longer."""
PACED_S: Final = 4.0
"""After so long it is counted again how many come when nobody waits."""
FIRST_PAUSE_S: Final = 0.4
"""For so long nobody waits where it is of no use …"""
LONGEST_PAUSE_S: Final = 25.6
"""… and twice as long each time that it was not, up to this."""


@dataclass(slots=True, eq=False)
class Pace:
    """When to take in what has come. For one thread."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _begun: float = 0.0
    """When the last group was begun."""
    _rested: bool = False
    """Whether there was a rest before the next one."""
    _vain: int = 0
    """Requests that waited for nobody lately, one after the other."""
    _paced: bool = False
    _usual: float = 0.0
    """Requests a second when nobody waits."""
    _since: float = 0.0
    """Since when requests are counted …"""
    _count: int = 0
    """… and how many came."""
    _again: float = 0.0
    """When to go over from requests that wait to those that do not, or not before when to go back."""
    _pause: float = FIRST_PAUSE_S

    def rest(self) -> None:
        """Sleep for as long as what comes is to wait for more."""
        now, end = self.clock(), self._begun + PERIOD_S
        self._rested = self._paced and now < end
        if self._rested:
            self.sleep(end - now)

    def patience(self, arrivals: Sequence[float]) -> float:
        """Return for how many seconds more requests that came at these times are to wait for another one."""
        alone = self._has_kept(arrivals) and len(arrivals) == 1
        return max(0.0, arrivals[0] + PERIOD_S - self.clock()) if alone else 0.0

    def begin(self, arrivals: Sequence[float], n_bytes: int) -> None:
        """Take note that a group begins, and what it holds."""
        now = self.clock()
        if self._has_kept(arrivals):
            self._vain = self._vain + 1 if len(arrivals) == 1 else 0
        self._count += len(arrivals)
        took = now - self._since
        if self._vain == VAIN or (self._paced and self._are_few(took, TOLERANCE_AT_ONCE)):
            self._leave_off(now)
        elif took >= LOOK_S:
            self._compare(now, took)
            self._since, self._count = now, 0
        self._begun = now if n_bytes < ENOUGH_BYTES else 0.0

    def _has_kept(self, arrivals: Sequence[float]) -> bool:
        """Tell whether requests that came at these times were kept waiting by the rest."""
        return self._rested and len(arrivals) > 0 and arrivals[0] < self._begun + PERIOD_S

    def _compare(self, now: float, took: float) -> None:
        if not self._paced:
            self._usual = self._count / took
            if now >= self._again and took < 2 * LOOK_S:  # else there were pauses in it
                self._paced, self._again = True, now + PACED_S
        elif self._are_few(took, TOLERANCE):
            self._leave_off(now)
        else:
            self._pause = FIRST_PAUSE_S
            self._paced = now < self._again

    def _are_few(self, took: float, tolerance: float) -> bool:
        usual = self._usual * took
        return self._count < usual - tolerance * math.sqrt(usual)

    def _leave_off(self, now: float) -> None:
        """Let nobody wait for a while."""
        self._paced, self._again = False, now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        self._since, self._count, self._vain = now, 0, 0
