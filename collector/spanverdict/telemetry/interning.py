"""Interning: equal bytes are stored once and known by a small integer."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Final, Protocol, TypeAlias

import numpy as np

from spanverdict.telemetry.blocks import PADDING, Block, Int32s, Int64s, Places, Rows, by_width, items_of, laid
from spanverdict.telemetry.items import Items
from spanverdict.telemetry.recall import Recall

LIST_END: Final = os.urandom(8) + b"\xff"
"""Ends a list among items that are numbered together; random, so that no sender can mean it."""

FEW: Final = 300
"""So many items are numbered faster one by one."""

PIECE_BYTES: Final = 128 * 1024
"""So many bytes of rows are looked up at a time."""


class Recollection(Protocol):
    """Remembers items by compiled code, without making rows of all of them: `recollecting.Recollection`."""

    def number(self, block: Block, starts: Int32s, sizes: Int32s, first: int, /) -> tuple[Int32s, list[Rows], Int32s]:
        """Look items up, and number new ones from `first` on; if that is negative, not at all.

        Returns the numbers of all, rows of new ones in their order, and which have no number.
        """
        ...

    def learn(self, block: Block, starts: Int32s, sizes: Int32s, numbers: Int32s, /) -> None:
        """Remember items under the numbers that they have been given."""
        ...


Recollecting: TypeAlias = Callable[[], Recollection]


class Interner:
    """Maps distinct bytes to 0, 1, 2, … in order of first sight; `interner[b]` never fails.

    Items are only ever added, so readers need no lock. Whoever adds holds a lock of their own. With
    `recent`, about so many of the latest items are remembered: equal items may have several
    numbers. That bounds the memory and makes items that never come again cheap.
    """

    __slots__ = ("_listed", "_memories", "_numbers", "_recollection", "items_by_id", "judged", "recent", "unreadable")

    def __init__(self, recent: int = 0) -> None:
        self.recent = recent
        self._numbers = _numbering()
        self._listed = 0
        """How many of the dictionary's keys are listed among the items; it keeps them in the order they came."""
        self._memories: dict[int, Recall] = {}
        self._recollection: Recollection | None = None
        self.items_by_id: list[bytes] | Items = Items() if recent else []
        self.judged = 0
        """Items before this number have been looked at by a decoder …"""
        self.unreadable: set[int] = set()
        """… and these of them cannot be read: no table that it returned uses one."""

    def __len__(self) -> int:
        return len(self.items_by_id)

    def __getitem__(self, item: bytes) -> int:
        number = self._numbers.get(item, -1)
        return number if number >= 0 else int(self.number_all([item])[0])

    def find(self, item: bytes) -> int:
        """Return the number of an item, -1 when it was never seen; adds nothing."""
        return self._numbers.get(item, -1)

    def number_all(self, items: Sequence[bytes]) -> Int32s:
        """Return the numbers of many items, (n,) int32; `LIST_END` becomes -1."""
        if self._numbers.default_factory is None:
            # Looking an unknown item up numbers it, without a step of Python code.
            self._numbers.default_factory = count(len(self.items_by_id)).__next__
        try:
            return np.fromiter(map(self._numbers.__getitem__, items), np.int32, len(items))
        finally:
            self._settle()

    def _settle(self) -> None:
        """List what was numbered last."""
        n_new = len(self._numbers) - 1 - self._listed
        if n_new:
            new = list(islice(reversed(self._numbers), n_new))
            new.reverse()
            self.items_by_id.extend(new)
            self._listed += n_new
        if self.recent and self._listed > self.recent:
            self._numbers, self._listed = _numbering(), 0

    def add_all(self, source: Interner) -> int:
        """Add all items of another interner and return the number of the first; both remember recent ones only."""
        items, others = self.items_by_id, source.items_by_id
        assert isinstance(items, Items)
        assert isinstance(others, Items)
        first = len(items)
        self._numbers.default_factory = None
        items.extend_parts(others)
        return first

    def taken(self, numbers: Int32s) -> list[bytes]:
        """Return the items of many numbers, which must not fall."""
        items = self.items_by_id
        return items.take(numbers) if isinstance(items, Items) else [items[number] for number in numbers.tolist()]

    def block(self, numbers: Int32s) -> tuple[Block, Places, Int64s]:
        """Return the items of many numbers, which must not fall, in a block; with where each begins, and its size."""
        items = self.items_by_id
        if isinstance(items, Items):
            data, starts, sizes = items.laid_out(numbers, bytes(PADDING))
            return Block.around(data), starts, sizes
        data, starts, sizes = laid(self.taken(numbers))
        return Block.of([data]), starts, sizes

    def parts(self, start: int) -> Iterator[tuple[int, Sequence[bytes] | Rows]]:
        """Yield the items from a number on in parts, as they are kept, each with the number of its first."""
        items = self.items_by_id
        if isinstance(items, Items):
            yield from items.parts(start)
        elif start < len(items):
            yield start, items[start:]

    def number_within(self, block: Block, starts: Places, sizes: Int64s) -> Int32s:
        """Return the numbers of items that stand in a block, (n,) int32; faster than `number_all` of their bytes."""
        if len(starts) < FEW:
            return self.number_all(block.cut(starts, sizes))
        numbers = np.empty(len(starts), np.int32)
        numbers.fill(-1)
        n_left = len(numbers)
        for width, which in by_width(sizes):
            numbers[which] = self._number_rows(block, starts.take(which), sizes.take(which), width)
            n_left -= len(which)
        if not n_left:
            return numbers
        rest = (numbers < 0).nonzero()[0]
        numbers[rest] = self.number_all(block.cut(starts.take(rest), sizes.take(rest)))
        return numbers

    def number_recollected(self, block: Block, starts: Int32s, sizes: Int32s, recollecting: Recollecting) -> Int32s:
        """Return the same by compiled code, which remembers by itself what it has seen."""
        memory = self._recollection
        if memory is None:
            memory = self._recollection = recollecting()
        numbers, rows, left = memory.number(block, starts, sizes, len(self) if self.recent else -1)
        if rows:
            self._numbers.default_factory = None
            assert isinstance(self.items_by_id, Items)
            for part in rows:
                self.items_by_id.extend_rows(part)
        if len(left):
            starts, sizes = starts.take(left), sizes.take(left)
            numbers[left] = found = self.number_all(block.cut(starts, sizes))
            if not self.recent:
                memory.learn(block, starts, sizes, found)
        return numbers

    def _number_rows(self, block: Block, starts: Places, sizes: Int64s, width: int) -> Int32s:
        """Look rows up in pieces, so that what is made of one stays in the processor's cache, and add the others."""
        memory = self._memories.get(width) or self._memories.setdefault(width, Recall.of_width(width))
        numbers = np.empty(len(starts), np.int32)
        new_rows, new_slots = [], []
        for first in range(0, len(starts), piece := PIECE_BYTES // width):
            here = slice(first, first + piece)
            rows = block.rows(starts[here], sizes[here], width)
            slots = memory.slots(rows)
            numbers[here] = found = memory.look_up(rows, slots)
            new = (found < 0).nonzero()[0]
            if len(new):
                new_rows.append(rows.take(new, axis=0))
                new_slots.append(slots.take(new))
        if new_rows:
            add = self._add if self.recent else self._consult
            numbers[numbers < 0] = add(memory, np.concatenate(new_rows), np.concatenate(new_slots))
        return numbers

    def _add(self, memory: Recall, rows: Rows, slots: Places) -> Int32s:
        """Number rows anew, and remember them."""
        first, holds = memory.gather(rows, slots)
        own = np.arange(len(rows))
        new = (first == own).nonzero()[0]
        self._numbers.default_factory = None
        numbers = (own + len(self)).astype(np.int32)
        if len(new) < len(rows):
            numbers[new] = numbers[: len(new)].copy()
            numbers = numbers.take(first)
        assert isinstance(self.items_by_id, Items)
        self.items_by_id.extend_rows(rows if len(new) == len(rows) else rows.take(new, axis=0))
        held = holds.nonzero()[0]
        memory.remember(rows.take(held, axis=0), slots.take(held), numbers.take(held))
        return numbers

    def _consult(self, memory: Recall, rows: Rows, slots: Places) -> Int32s:
        """Number rows as `number_all` does, and remember those that are not new: many come just once."""
        n_known = len(self)
        numbers = self.number_all(items_of(rows))
        known = (numbers < n_known).nonzero()[0]
        if len(known):
            _, holds = memory.gather(rows.take(known, axis=0), slots.take(known))
            held = known[holds]
            memory.remember(rows.take(held, axis=0), slots.take(held), numbers.take(held))
        return numbers


def _numbering() -> defaultdict[bytes, int]:
    numbers: defaultdict[bytes, int] = defaultdict()
    numbers[LIST_END] = -1
    return numbers
