"""What waits to be committed: batches and changes, in the order in which they came, in groups of a bounded size."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias, TypeVar

from spanverdict.storage.batches import Entry

T = TypeVar("T")
Change: TypeAlias = Callable[[sqlite3.Connection], T]
"""Reads and writes within the transaction that the writer opened; never commits itself."""


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """How much one commit may hold; a single larger batch still goes, alone."""

    max_bytes: int = 16 * 1024 * 1024
    max_jobs: int = 4096
    rows_below: int = 48 * 1024
    """Batches that come to less in one commit stand in their rows, which costs less then; others in a segment."""
    segment_bytes: int = 16 * 1024 * 1024
    """How large a segment grows; a single larger commit still goes into one."""


LIMITS: Final = GroupLimits()
"""Where nothing else is said."""


@dataclass(frozen=True, eq=False)
class Append:
    """Batches to journal, all of them or none; the future gives the range of their ids, or the id of one `alone`."""

    entries: Sequence[Entry]
    alone: bool = False
    future: Future[Any] = field(default_factory=Future)

    @cached_property
    def size(self) -> int:
        """Bytes of payload."""
        return sum(len(entry.payload) for entry in self.entries)


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """A change of other tables; the future gives what the change returned, or its error."""

    change: Change[Any]
    future: Future[Any] = field(default_factory=Future)
    size: int = 0


Job: TypeAlias = Append | Apply


class WriteQueue:
    """What waits for the next commit, first come first served. Thread-safe."""

    def __init__(self, limits: GroupLimits) -> None:
        self._limits = limits
        self._jobs: deque[Job] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of payload not yet taken."""
        return self._bytes

    def put(self, job: Job, *, wake: bool = True) -> bool:
        """Queue a job; False when the queue is closed. Without `wake` nobody is told yet."""
        with self._changed:
            if self._closed:
                return False
            self._jobs.append(job)
            self._bytes += job.size
            if wake:
                self._changed.notify()
            return True

    def wake(self) -> None:
        """Wake who waits, if there is work."""
        with self._changed:
            if self._jobs:
                self._changed.notify()

    def wait(self) -> bool:
        """Wait for work; False when closed and all is done."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            return bool(self._jobs)

    def take(self) -> list[Job]:
        """Take one group of what is there, perhaps nothing."""
        with self._changed:
            group: list[Job] = []
            size = 0
            while self._jobs and self._fits(len(group), size + self._jobs[0].size):
                job = self._jobs.popleft()
                size += job.size
                group.append(job)
            self._bytes -= size
            return group

    def close(self) -> None:
        """Refuse new jobs; those waiting are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, jobs: int, size: int) -> bool:
        return jobs == 0 or (jobs < self._limits.max_jobs and size <= self._limits.max_bytes)
