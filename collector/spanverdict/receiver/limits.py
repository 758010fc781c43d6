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
        if size:
            self.take(lease, size)
        return lease

    def is_easy(self, size: int) -> bool:
        """Whether half of the budget would still be free with so much more."""
        return 2 * (self._in_use + size) <= self.capacity

    def take(self, lease: Lease, more: int) -> None:
        """Give a lease so many bytes more, or fewer.

        Raises:
            Overloaded: they do not fit now, and nothing has changed.
        """
        with self._lock:
            if more > 0 and self._in_use + more > self.capacity:
                raise Overloaded(self._retry_after_s)
            self._in_use += more
            lease.size += more

    def give_back(self, lease: Lease) -> None:
        """Take all bytes of a lease back."""
        with self._lock:
            self._in_use -= lease.size
            lease.size = 0


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

    __slots__ = ("_budget", "size")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.size = 0
        """Bytes held; the budget alone changes it."""

    def resize(self, size: int) -> None:
        """Hold `size` bytes instead of what is held.

        Raises:
            Overloaded: the bytes do not fit now; what was held before is still held.
        """
        self._budget.take(self, size - self.size)

    def is_easy(self, size: int) -> bool:
        """Whether `size` bytes more would leave half of the budget to others."""
        return self._budget.is_easy(size)

    def grow(self, size: int) -> None:
        """Hold `size` bytes more, or raise `Overloaded`."""
        self._budget.take(self, size)

    def release(self) -> None:
        """Give everything back. Any number of times, from any thread."""
        self._budget.give_back(self)
