"""What numbers stand for: bytes in the order they were numbered."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Never, TypeAlias, overload

import numpy as np

from spanverdict.telemetry.alikes import Alikes, alikes_of
from spanverdict.telemetry.blocks import Int32s, Laid, Places, Rows, items_of, joined, laid, sizes_of

Part: TypeAlias = "list[bytes] | Rows | Alikes | _Gone"

_FEW: Final = 16
MANY: Final = 8192
"""So many items are made compact together."""
_OBJECT_BYTES: Final = 120
"""What an item takes besides its bytes: an object, and a place in a list and in a dictionary."""


class _Gone(Sequence[bytes]):
    """Items that were let go."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int | slice) -> Never:
        raise LookupError("these items were let go")


class Items(Sequence[bytes]):
    """Bytes in order. Many at a time are kept as rows, which take less room than Python objects, or compact.

    Only ever added to, by one thread at a time; readers need no lock.
    """

    __slots__ = ("_kept", "_length", "_n_settled", "nbytes")

    def __init__(self) -> None:
        self.nbytes = 0
        """How much memory they take, about; what was let go is not forgotten in it."""
        self._kept: tuple[list[int], list[Part]] = [0], [[]]
        """The number of the first item of each part, and the parts; replaced as one, so that readers see what fits."""
        self._length = 0
        self._n_settled = 0
        """So many items are as compact as they will be."""

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, number: int) -> bytes: ...
    @overload
    def __getitem__(self, number: slice) -> list[bytes]: ...
    def __getitem__(self, number: int | slice) -> bytes | list[bytes]:
        if isinstance(number, slice):
            return self._slice(*number.indices(self._length))
        if not -self._length <= number < self._length:
            raise IndexError("no item has that number")
        number %= self._length
        starts, parts = self._kept
        at = bisect_right(starts, number) - 1
        part, place = parts[at], number - starts[at]
        return items_of(part[place : place + 1])[0] if isinstance(part, np.ndarray) else part[place]

    def _slice(self, start: int, stop: int, step: int) -> list[bytes]:
        if step == 1:
            return [item for _, part in self.parts(start, stop) for item in _as_list(part)]
        return [self[number] for number in range(start, stop, step)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self[:])

    def parts(self, start: int, stop: int | None = None) -> Iterator[tuple[int, Sequence[bytes] | Rows]]:
        """Yield the items from `start` on as they are kept, each part with the number of its first item."""
        end = self._length if stop is None else stop
        starts, parts = self._kept
        at = bisect_right(starts, start) - 1
        while start < end:
            first, part = starts[at], parts[at]
            last = min(starts[at + 1] if at + 1 < len(starts) else end, end)
            if last > start:
                yield start, part[start - first : last - first]
            start, at = max(start, last), at + 1

    def take(self, numbers: Int32s) -> list[bytes]:
        """Return items of many numbers, which must not fall."""
        if len(numbers) < _FEW:
            return [self[number] for number in numbers.tolist()]
        found: list[bytes] = []
        starts, parts = self._kept
        bounds = np.searchsorted(numbers, starts).tolist()
        for at, (start, stop) in enumerate(zip(bounds, [*bounds[1:], len(numbers)], strict=True)):
            if start < stop:
                found += _some(parts[at], numbers[start:stop] - starts[at])
        return found

    def laid_out(self, numbers: Int32s, end: bytes = b"") -> Laid:
        """Return items of many numbers, which must not fall, laid out in bytes, with an end behind the last."""
        starts, parts = self._kept
        bounds = np.searchsorted(numbers, starts)
        ends = np.append(bounds[1:], len(numbers))
        found = (
            _laid(parts[at], numbers[bounds[at] : ends[at]] - np.int32(starts[at]))
            for at in np.flatnonzero(bounds < ends).tolist()
        )
        return joined(found, len(numbers), end)

    def extend(self, items: Sequence[bytes]) -> None:
        """Add items."""
        if not isinstance(self._kept[1][-1], list):
            self._begin([])
        last = self._kept[1][-1]
        assert isinstance(last, list)
        last += items
        self._length += len(items)
        self.nbytes += weight(items)

    def extend_rows(self, rows: Rows) -> None:
        """Add the items of rows, which are kept unless they are few."""
        if len(rows) < _FEW:
            self.extend(items_of(rows))
            return
        self._begin(rows)
        self._length += len(rows)
        self.nbytes += rows.nbytes

    def extend_alikes(self, alikes: Alikes) -> None:
        """Add items that are compact already; what was added before them and is not becomes so."""
        if self._length > self._n_settled:
            self._settle()
        self._begin(alikes)
        self._length += len(alikes)
        self.nbytes += alikes.nbytes
        self._n_settled = self._length

    def extend_parts(self, others: Items) -> None:
        """Add all items of others as they are kept there."""
        for _, part in others.parts(0, len(others)):
            if isinstance(part, np.ndarray | Alikes):
                self._begin(part)
                self._length += len(part)
                self.nbytes += part.nbytes
            else:
                self.extend(part)

    def settle(self) -> None:
        """Make compact what was added, once it is enough; by the thread that adds."""
        if self._length - self._n_settled >= MANY:
            self._settle()

    def _settle(self) -> None:
        first = self._n_settled
        new = [part for _, part in self.parts(first)]
        alikes = alikes_of(new)
        if alikes is None:
            self._begin([])
        else:
            starts, parts = self._kept
            at = bisect_left(starts, first)
            self._kept = [*starts[:at], first], [*parts[:at], alikes]
            self.nbytes += alikes.nbytes - sum(map(_nbytes, new))
        self._n_settled = self._length

    def let_go(self) -> None:
        """Forget all items but not their numbers: nobody here reads them any more."""
        self._kept = [0], [_Gone(self._length)]
        self._n_settled = self._length

    def _begin(self, part: list[bytes] | Rows | Alikes) -> None:
        starts, parts = self._kept
        parts.append(part)
        starts.append(self._length)


def _nbytes(part: Sequence[bytes] | Rows) -> int:
    return part.nbytes if isinstance(part, np.ndarray | Alikes) else weight(part)


def weight(items: Sequence[bytes]) -> int:
    """Return how much memory Python objects take, about."""
    return sum(map(len, items)) + _OBJECT_BYTES * len(items)


def _laid(part: Part, places: Int32s) -> Laid:
    if isinstance(part, np.ndarray):
        rows = part[places]
        return rows.tobytes(), np.arange(len(rows)) * (8 * rows.shape[1]), sizes_of(rows)
    return part.laid_out(places) if isinstance(part, Alikes) else laid([part[place] for place in places.tolist()])


def _as_list(part: Sequence[bytes] | Rows) -> Sequence[bytes]:
    return items_of(part) if isinstance(part, np.ndarray) else part


def _some(part: Part, places: Places | Int32s) -> Sequence[bytes]:
    if isinstance(part, np.ndarray):
        return items_of(part[places])
    return part.take(places) if isinstance(part, Alikes) else [part[place] for place in places.tolist()]
