"""Whether a thread does one thing for most of the time, and would do it with a processor of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

BUSY_S: Final = 0.15
"""Who is at something for so long …"""
COMPUTING_S: Final = 0.075
"""… and computes for so long of it …"""
WITHIN_S: Final = 0.25
"""… in a time of this length has a lot to do."""


@dataclass(slots=True, eq=False)
class Workload:
    """How much of the time goes into something. For one thread.

    Both times count: on a machine that is busy with other things little work takes long, and more processes would only
    make it slower; where the interpreter is what all wait for, what takes all the time computes for half of it.
    """

    clock: Callable[[], float] = time.perf_counter
    computing: Callable[[], float] = time.thread_time
    _since: float = 0.0
    _busy: float = 0.0
    _computed: float = 0.0

    @property
    def is_high(self) -> bool:
        """Whether it was done for most of the time lately."""
        return self._busy > BUSY_S and self._computed > COMPUTING_S

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count the time that the block takes."""
        begun, computed = self.clock(), self.computing()
        if begun - self._since > WITHIN_S:
            self._since, self._busy, self._computed = begun, 0.0, 0.0
        try:
            yield
        finally:
            self._busy += self.clock() - begun
            self._computed += self.computing() - computed
