"""Bytes of a request that come in pieces, put into the place where they stay."""

from __future__ import annotations

import ctypes
import io
from collections.abc import Callable, Sequence
from typing import Any, Final

from spanverdict.receiver.limits import Lease

AHEAD: Final = 64 * 1024
"""Kept free for what comes next where nobody may count on the whole."""
_NOTHING: Final = memoryview(b"")
_prototype: Final[Any] = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t)
_bytes_of_size: Final[Callable[[None, int], bytes]] = _prototype(("PyBytes_FromStringAndSize", ctypes.pythonapi))
"""Makes a `bytes` of whatever the memory held before, which is for us to write over before anybody sees it. `bytes(n)`
fills it with zeros first."""


class IncomingBytes:
    """Up to `size` bytes that become one object without being copied once more.

    Memory is leased before it is taken. While most of the budget is free that is all of it at once, where `size` is
    what comes and not only the most that may come. Else it is what came and half as much again, or 64 KiB.
    """

    __slots__ = ("_file", "_held", "_is_exact", "_lease", "_size", "_view", "received")

    _file: io.BytesIO
    """Its memory is a `bytes`, given away as it is where nothing else refers to it."""

    def __init__(self, size: int, lease: Lease, *, is_exact: bool = True) -> None:
        self._size = size
        self._is_exact = is_exact
        self._lease = lease
        self._held = lease.size
        """Of the lease, for what is kept here."""
        self._view = _NOTHING
        self.received = 0

    def add(self, pieces: Sequence[memoryview]) -> None:
        """Copy pieces, together no longer than what is missing.

        Raises:
            Overloaded: there is no room for them now.
        """
        at = self.received
        end = at + sum(map(len, pieces))
        if end > len(self._view):
            self._extend(end)
        view, self.received = self._view, end
        for piece in pieces:
            start, at = at, at + len(piece)
            view[start:at] = piece

    def room(self, most: int) -> memoryview:
        """Lend memory for the next bytes, at least one and `most` at most; `took` says how many came.

        Raises:
            Overloaded: there is none now.
        """
        if self.received == len(self._view):
            self._extend(self.received + 1)
        return self._view[self.received : self.received + most]

    def took(self, count: int) -> None:
        """Take note of bytes that were put where there was room."""
        self.received += count

    @property
    def missing(self) -> int:
        """How many bytes may come yet."""
        return self._size - self.received

    def whole(self) -> bytes:
        """Return what came, once, after memory that was lent is no longer referred to."""
        capacity = len(self._view)
        if not capacity:
            return b""
        self._view.release()
        file = self._file
        del self._file  # or what it gives away would stay as long as this
        if self.received < capacity:
            file.truncate(self.received)
            self._hold(self.received)
        return file.getvalue()

    def _extend(self, least: int) -> None:
        """Make room for so many bytes in all, and lease it."""
        ahead = max(least, self.received + max(AHEAD, self.received // 2))
        capacity = min(self._size, ahead)
        if self._is_exact and capacity < self._size and self._lease.is_easy(self._size - self._held):
            capacity = self._size
        if capacity > self._held:
            self._hold(capacity)
        if not self._view:
            self._file = io.BytesIO(_bytes_of_size(None, capacity))
        else:
            self._view.release()
            self._file.seek(capacity - 1)
            self._file.write(b"\0")
        self._view = self._file.getbuffer()

    def _hold(self, size: int) -> None:
        self._lease.grow(size - self._held)
        self._held = size
