"""When to look at which run: the next due times of many runs, at a cost that does not grow with their number."""

from __future__ import annotations

import sys
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from spanverdict.app.liverun import LiveRun

_SPARE: Final = 64


class Agenda:
    """Due times, the earliest first. A run's own `due` is what counts; entries that differ from it are stale."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, LiveRun]] = []
        self._runs: dict[str, LiveRun] = {}
        """Those that are due at some time."""
        self._order = count()

    def __len__(self) -> int:
        """Return how many runs are due at some time."""
        return len(self._runs)

    def put(self, run: LiveRun, due: float | None) -> None:
        """Look at a run then, and at no other time; None takes it off."""
        run.due = due
        if due is None:
            self._runs.pop(run.id, None)
            return
        self._runs[run.id] = run
        heappush(self._entries, (due, next(self._order), run))
        if len(self._entries) > _SPARE + 2 * len(self._runs):
            self._forget_stale()

    def _forget_stale(self) -> None:
        self._entries = [(run.due, next(self._order), run) for run in self._runs.values() if run.due is not None]
        heapify(self._entries)

    def first(self) -> float | None:
        """Return the earliest due time."""
        while self._entries and self._entries[0][0] != self._entries[0][2].due:
            heappop(self._entries)
        return self._entries[0][0] if self._entries else None

    def take(self, now: float, at_most: int = sys.maxsize) -> list[LiveRun]:
        """Take off the runs that are due by now, so many at most, and return them, the longest due first."""
        found: dict[str, LiveRun] = {}
        while len(found) < at_most and (due := self.first()) is not None and due <= now:
            _, _, run = heappop(self._entries)
            found[run.id] = run
            self._runs.pop(run.id, None)
        return list(found.values())
