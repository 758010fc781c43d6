"""How many bytes may be in flight over all connections of both servers."""

from __future__ import annotations

import threading

from spanverdict.receiver.errors import Overloaded


class ByteBudget:
    """Bytes that were received and are not yet acknowledged, bounded. Safe for use from any thread."""

    def __init__(self, capacity: int, retry_after_s: float = 1.0) -> None:
        self.capacity = capacity
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._in_use = 0

    @property
    def in_use(self) -> int:
        """Bytes that are leased now."""
        return self._in_use

    def lease(self, size: int = 0) -> Lease:
        """Open a lease of `size` bytes, to be grown before more is kept.

        Raises:
            Overloaded: the bytes do not fit now.
        """
        lease = Lease(self)
        lease.resize(size)
        return lease

    def is_easy(self, size: int) -> bool:
        """Whether half of the budget would still be free with so much more."""
        return 2 * (self._in_use + size) <= self.capacity

    def _take(self, size: int) -> None:
        with self._lock:
            if size > 0 and self._in_use + size > self.capacity:
                raise Overloaded(self._retry_after_s)
            self._in_use += size


class Lease:
    """One request's share of a budget, from its first byte until its acknowledgement. Release it exactly where it ends.

    >>> budget = ByteBudget(capacity=100)
    >>> lease = budget.lease(60)
    >>> lease.resize(80)
    >>> budget.in_use
    80
    >>> lease.release()
    >>> lease.release()  # a second time changes nothing
    >>> budget.in_use
    0
    """

    __slots__ = ("_budget", "_lock", "_size")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    def resize(self, size: int) -> None:
        """Hold `size` bytes instead of what is held.

        Raises:
            Overloaded: the bytes do not fit now; what was held before is still held.
        """
        with self._lock:
            self._budget._take(size - self._size)  # noqa: SLF001 - a lease is the budget's other half
            self._size = size

    def is_easy(self, size: int) -> bool:
        """Whether `size` bytes more would leave half of the budget to others."""
        return self._budget.is_easy(size)

    def grow(self, size: int) -> None:
        """Hold `size` bytes more, or raise `Overloaded`."""
        self.resize(self._size + size)

    def release(self) -> None:
        """Give everything back. Any number of times, from any thread."""
        self.resize(0)
