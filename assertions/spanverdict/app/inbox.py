"""What waits to be looked at by one thread, which need not be woken for each item."""

from __future__ import annotations

import math
import threading
from collections import deque
from queue import Empty
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items in the order they came. Any thread puts, one takes. A queue would wake it for everything that is put."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._weight = 0.0
        """Of the items here, and perhaps of some that were taken since there last were none."""
        self._wanted = 0.0
        """Who waits is woken when they weigh so much."""

    def put(self, item: T, weight: float = math.inf) -> None:
        """Add an item; one without a weight ends any rest."""
        with self._changed:
            self._items.append(item)
            self._weight += weight
            if self._weight >= self._wanted:
                self._changed.notify()

    def get(self, timeout: float | None = None) -> T:
        """Wait for an item and take it; raises `Empty` when none came in time."""
        with self._changed:
            self._wanted = 0.0
            self._changed.wait_for(lambda: self._items, timeout)
            return self._take()

    def get_nowait(self) -> T:
        """Take an item; raises `Empty` when there is none."""
        with self._changed:
            return self._take()

    def rest(self, seconds: float, weight: float) -> None:
        """Wait, but no longer than until the items weigh so much."""
        with self._changed:
            self._wanted = weight
            self._changed.wait_for(lambda: self._weight >= weight, seconds)

    def _take(self) -> T:
        if not self._items:
            raise Empty
        item = self._items.popleft()
        if not self._items:
            self._weight = 0.0
        return item
