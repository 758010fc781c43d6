"""Many small items in one block of bytes, and as rows of a matrix, so that numpy handles them all together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, TypeAlias, overload

import numpy as np
import numpy.typing as npt

Bools: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Places: TypeAlias = npt.NDArray[np.intp]
Rows: TypeAlias = npt.NDArray[np.uint64]
"""(n, width / 8): an item each, padded with zeros, the last byte one more than the size; so no row is all zero."""

WIDTHS: Final = (32, 64, 128)
"""Bytes a row; an item of 128 bytes or more has none."""
PADDING: Final = 512
"""Zeros behind a block, so that a row can be taken from its end."""

_FEW_WORDS: Final = 4
_FOUR_TRUE: Final = np.uint32(0x01010101)
_EIGHT_TRUE: Final = np.uint64(0x0101010101010101)


class Pieces(Sequence[memoryview]):
    """Bytes that lie end to end, with `PADDING` zeros behind the last, in memory that may be written to."""

    def __init__(self, array: Bytes, sizes: Iterable[int]) -> None:
        self.array = array
        self._ends = [*accumulate(sizes, initial=0)]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, number: int) -> memoryview: ...
    @overload
    def __getitem__(self, number: slice) -> list[memoryview]: ...
    def __getitem__(self, number: int | slice) -> memoryview | list[memoryview]:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError("there are not so many pieces")
        return self.array.data[self._ends[number] : self._ends[number + 1]]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Bytes that many items stand in, followed by `PADDING` zeros."""

    data: bytes | memoryview
    array: Bytes

    @staticmethod
    def writable(pieces: Sequence[bytes | memoryview]) -> Block:
        """Join bytes to a block as compiled code takes it; pieces that are one already stay where they are."""
        if isinstance(pieces, Pieces):
            return Block(pieces.array.data, pieces.array)
        data = bytearray().join((*pieces, bytes(PADDING)))
        return Block(memoryview(data), np.frombuffer(data, np.uint8))

    @staticmethod
    def of(pieces: Sequence[bytes], between: bytes = b"") -> Block:
        """Join bytes to a block, with something between two pieces and behind the last."""
        data = between.join((*pieces, bytes(PADDING)))
        return Block.around(data)

    @staticmethod
    def around(data: bytes) -> Block:
        """Return the block of bytes that end with `PADDING` zeros."""
        return Block(data, np.frombuffer(data, np.uint8))

    def every(self, dtype: str) -> npt.NDArray[Any]:
        """Return what begins at each byte, aligned or not, read as a type; a view."""
        kind = np.dtype(dtype)
        return np.ndarray((len(self.array) - kind.itemsize + 1,), kind, self.array, strides=(1,))

    def cut(self, starts: Places | Int32s, sizes: Int64s | Int32s) -> list[bytes]:
        """Return items as Python bytes."""
        data = self.data
        found = [data[start:end] for start, end in zip(starts.tolist(), (starts + sizes).tolist(), strict=True)]
        return [*map(bytes, found)]

    def rows(self, starts: Places, sizes: Int64s, width: int) -> Rows:
        """Return items of fewer than `width` bytes as rows."""
        rows: Rows = self.every(f"V{width}")[starts].view(np.uint64).reshape(-1, width // 8)
        rows &= KEPT[width].take(sizes, axis=0)
        rows.view(np.uint8)[:, -1] = sizes + 1
        return rows


Laid: TypeAlias = tuple[bytes, Places, Int64s]
"""Bytes that items stand in, where each begins, and the size of each."""


def laid(items: Sequence[bytes]) -> Laid:
    """Lay items out end to end."""
    sizes = np.fromiter(map(len, items), np.int64, len(items))
    return b"".join(items), sizes.cumsum() - sizes, sizes


def joined(parts: Iterable[Laid], count: int, end: bytes = b"") -> Laid:
    """Put what is laid out one behind the other, `count` items in all, and an end behind the last.

    >>> data, starts, sizes = joined([laid([b"abc", b"d"]), laid([b"ef"])], 3)
    >>> data, starts.tolist(), sizes.tolist()
    (b'abcdef', [0, 3, 4], [3, 1, 2])
    """
    starts, sizes = np.empty(count, np.intp), np.empty(count, np.int64)
    pieces, length, known = list[bytes](), 0, 0
    for piece, own_starts, own_sizes in parts:
        here = slice(known, known + len(own_sizes))
        starts[here], sizes[here] = own_starts + length, own_sizes
        pieces.append(piece)
        length, known = length + len(piece), here.stop
    return b"".join([*pieces, end]), starts, sizes


def _kept(width: int) -> Rows:
    """Return for each size what keeps that many bytes of a row."""
    kept = np.arange(width) < np.arange(width)[:, None]
    return np.where(kept, 0xFF, 0).astype(np.uint8).view(np.uint64)


KEPT: Final = {width: _kept(width) for width in WIDTHS}
"""By width: for each size what keeps that many bytes of a row."""


def kept(rows: Rows, sizes: Int64s) -> Rows:
    """Return rows in which only the first bytes are kept, and everything else is zero."""
    return rows & KEPT[8 * rows.shape[1]].take(sizes, axis=0)


def by_width(sizes: Int64s) -> Iterator[tuple[int, Places]]:
    """Yield for each width which items of given sizes have rows of it, where there are any."""
    narrow = np.minimum(sizes, WIDTHS[-1]).astype(np.uint8)
    least = 0
    for width in WIDTHS:
        which = (narrow - np.uint8(least) < np.uint8(width - least)).nonzero()[0]
        least = width
        if len(which):
            yield width, which


def items_of(rows: Rows) -> list[bytes]:
    """Return rows as Python bytes.

    >>> items_of(Block.of([b"abc"]).rows(np.array([0, 1]), np.array([3, 1]), 32))
    [b'abc', b'b']
    """
    width, sizes = 8 * rows.shape[1], sizes_of(rows)
    data = rows.tobytes()
    return [data[at : at + size] for at, size in zip(range(0, len(data), width), sizes.tolist(), strict=True)]


def sizes_of(rows: Rows) -> Int64s:
    """Return the sizes of the items in rows."""
    return rows.view(np.uint8)[:, -1].astype(np.int64) - 1


def equal_rows(some: Rows, others: Rows) -> Bools:
    """Compare row by row; `all(axis=1)` would be slow, as it is on many short rows."""
    same = some == others
    if same.shape[1] == _FEW_WORDS:
        equal: Bools = same.view(np.uint32)[:, 0] == _FOUR_TRUE
        return equal
    words = same.view(np.uint64)
    equal = words[:, 0] == _EIGHT_TRUE
    for column in range(1, words.shape[1]):
        equal &= words[:, column] == _EIGHT_TRUE
    return equal
