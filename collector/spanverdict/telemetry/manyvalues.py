"""Many values of one attribute without a Python object each: numbers are read together, texts when one is asked for.

Serialised `KeyValue`s of one key begin alike, so what they hold is told from a few bytes of each. Whatever is not
laid out as nearly all writers do it, and values of several types, are left to whoever reads them one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import WIDTHS, Block, Bytes, Int64s, Places, Rows, by_width, equal_rows

Numbers: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]

MANY: Final = 256
"""Fewer values are read one by one."""
_PIECE: Final = 1 << 16
"""So many values are looked at as rows at a time."""
_FIRST: Final = 0x0A
"""Before a key, and before a text."""
_SECOND: Final = 0x12
"""Before a value."""
_INTEGER: Final = 0x18
_DOUBLE: Final = 0x21
_DOUBLE_BYTES: Final = 8
_LONGEST_INTEGER: Final = 10
_LONG: Final = 0x80
"""From here on a length takes more than one byte, and a byte of an integer is not its last."""


class Texts(Sequence[Any]):
    """Texts in a block of bytes."""

    __slots__ = ("_block", "_ends", "_known", "_starts")
    kind: Final = str

    def __init__(self, block: Block, starts: Places, ends: Places) -> None:
        self._block, self._starts, self._ends = block, starts, ends
        self._known: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[str, ...]: ...
    def __getitem__(self, number: int | slice) -> str | tuple[str, ...]:
        if isinstance(number, slice) or self._known is not None:
            return self._all()[number]
        return str(self._block.data[self._starts[number] : self._ends[number]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def _all(self) -> tuple[str, ...]:
        if self._known is None:
            self._known = tuple([item.decode() for item in self._block.cut(self._starts, self._ends - self._starts)])
        return self._known


class ManyNumbers(Sequence[Any]):
    """Integers, or floats."""

    __slots__ = ("kind", "numbers")

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.kind: type = float if numbers.dtype == np.float64 else int

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, number: int) -> float: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[float, ...]: ...
    def __getitem__(self, number: int | slice) -> float | tuple[float, ...]:
        found = self.numbers[number].tolist()
        return tuple(found) if isinstance(number, slice) else found

    def __iter__(self) -> Iterator[float]:
        return iter(self.numbers.tolist())


def types_in(values: Sequence[Any]) -> set[type]:
    """Return the types of values."""
    return {values.kind} if isinstance(values, Texts | ManyNumbers) else set(map(type, values))


def numbers_in(values: Sequence[Any]) -> Numbers | None:
    """Return values that are all floats, or all integers of 64 bits, as they are; None for others, and for none."""
    if isinstance(values, ManyNumbers):
        return values.numbers
    return np.array(values, np.float64) if types_in(values) == {float} else None


def many_values(block: Block, starts: Places, sizes: Int64s) -> Texts | ManyNumbers | None:
    """Return the values of serialised `KeyValue`s of one key; None where they have to be read one by one."""
    array = block.array
    head = int(array[starts[0] + 1])
    at = starts + 2 + head  # where the value begins
    left = sizes - 2 - head
    if head >= _LONG or int(left.min()) < 2 + 2:
        return None
    usual = (array[starts] == _FIRST) & (array[starts + 1] == head) & (array[at] == _SECOND)
    if not (usual & (left - 2 < _LONG) & (array[at + 1] == left - 2)).all():
        return None
    kind = int(array[at[0] + 2])
    if not (array[at + 2] == kind).all():
        return None
    if kind == _FIRST and (array[at + 3] == left - 4).all():
        return Texts(block, at + 4, starts + sizes)
    if kind == _DOUBLE and (left - 3 == _DOUBLE_BYTES).all():
        return ManyNumbers(block.every("<f8")[at + 3].astype(np.float64, copy=False))
    return _integers(array, at + 3, left - 3) if kind == _INTEGER else None


def _integers(array: Bytes, starts: Places, sizes: Int64s) -> ManyNumbers | None:
    """Read variable-length integers, seven bits a byte."""
    if int(sizes.max()) > _LONGEST_INTEGER:
        return None
    numbers = np.zeros(len(starts), np.uint64)
    for piece in _pieces(len(starts)):
        if not _add_integers(numbers[piece], array, starts[piece], sizes[piece]):
            return None
    return ManyNumbers(numbers.view(np.int64))


def _add_integers(numbers: npt.NDArray[np.uint64], array: Bytes, starts: Places, sizes: Int64s) -> bool:
    """Add integers to zeros; False where one does not end where it should."""
    for place in range(int(sizes.max())):
        byte = np.where(sizes > place, array[starts + place], 0)
        if ((byte >= _LONG) != (sizes > place + 1)).any():
            return False
        numbers |= (byte.astype(np.uint64) & np.uint64(_LONG - 1)) << np.uint64(7 * place)
    return True


def first_equals(block: Block, starts: Places, sizes: Int64s) -> Places:
    """Return for each item the place of the first that is equal to it."""
    first = np.arange(len(starts))
    for width, which in by_width(sizes):
        if len(which) == len(starts):
            return _first_equals(block, starts, sizes, width)
        first[which] = which.take(_first_equals(block, starts.take(which), sizes.take(which), width))
    long = np.flatnonzero(sizes >= WIDTHS[-1])
    if len(long):
        known: dict[bytes, int] = {}
        items = block.cut(starts.take(long), sizes.take(long))
        first[long] = [*map(known.setdefault, items, long.tolist())]
    return first


def _first_equals(block: Block, starts: Places, sizes: Int64s, width: int) -> Places:
    """Sort items by a hash, so that equal ones meet, the first of them first; they have rows of a width."""
    hashes = np.empty(len(starts), np.uint64)
    for piece in _pieces(len(starts)):
        hashes[piece] = block.rows(starts[piece], sizes[piece], width) @ _FACTORS[: width // 8]
    sorted_hashes = np.sort(hashes)
    if (sorted_hashes[1:] != sorted_hashes[:-1]).all():
        return np.arange(len(starts))
    order = np.argsort(hashes, kind="stable")
    del hashes
    meet = np.flatnonzero(sorted_hashes[1:] == sorted_hashes[:-1])
    for piece in _pieces(len(meet)):
        some, others = order.take(meet[piece]), order.take(meet[piece] + 1)
        rows = (block.rows(starts.take(which), sizes.take(which), width) for which in (some, others))
        if not equal_rows(*rows).all():  # of different items two have one hash; this takes longer, and is certain
            return _first_equal_rows(block.rows(starts, sizes, width))
    return _firsts(order, meet)


def _first_equal_rows(rows: Rows) -> Places:
    order = np.lexsort(rows.T[::-1])
    sorted_rows = rows.take(order, axis=0)
    return _firsts(order, np.flatnonzero(equal_rows(sorted_rows[1:], sorted_rows[:-1])))


def _firsts(order: Places, meet: Places) -> Places:
    """Return the first that each is equal to, where those at places `meet` of an order are equal to the next ones."""
    heads = np.ones(len(order), np.bool_)
    heads[meet + 1] = False
    first = np.empty(len(order), np.intp)
    first[order] = order.take(np.flatnonzero(heads)).take(np.cumsum(heads) - 1)
    return first


def _pieces(count: int) -> Iterator[slice]:
    """Cut many items into pieces, whose rows do not take much at a time."""
    return (slice(start, start + _PIECE) for start in range(0, count, _PIECE))


_FACTORS: Final = np.frombuffer(os.urandom(WIDTHS[-1]), np.uint64) | np.uint64(1)
"""Of a hash; what meets in it costs one more sort. Not from numpy's generator, which is 2 MB to load."""
