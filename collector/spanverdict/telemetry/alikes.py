"""Items of which many are alike: of those only what differs is kept.

Attributes with one key and of one size begin alike: `request.id` with 16 hexadecimal digits takes 8 bytes here, and 34
as it is sent. Nothing is lost, and an item can be read without the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Final, TypeAlias, overload

import numpy as np

from spanverdict.telemetry.blocks import (
    Block,
    Bools,
    Bytes,
    Int32s,
    Int64s,
    Laid,
    Places,
    Rows,
    by_width,
    items_of,
    laid,
)

KEY: Final = 0x0A
"""Begins an attribute, followed by the size of its key and the key."""
LONG: Final = 0x80
"""From here on a size takes several bytes."""

_MOST_KINDS: Final = 48
MOST_OTHERS: Final = 4
"""Items are left as they are where more than one part in so many is like no other."""
LEAST: Final = 8
"""Fewer items that are alike are kept as they are."""
OTHER: Final = 255
"""In place of a kind."""
_OBJECT_BYTES: Final = 60
_KIND_BYTES: Final = 500
_FEW: Final = 32
"""Nor are the last of the items, once they are less than one part in so many."""
_WORD: Final = 8
_TO_SIZE: Final = np.uint64(56)
_NO_DIGIT: Final = 255
DIGITS: Final = (b"0123456789abcdef", b"0123456789ABCDEF", b"0123456789-:. TZ")
"""Texts of these characters alone take half a byte each."""


def _values_of(digits: bytes) -> bytes:
    """Return what translates characters to their places among digits, and all others to none."""
    values = bytearray([_NO_DIGIT]) * 256
    for place, digit in enumerate(digits):
        values[digit] = place
    return bytes(values)


_VALUES: Final = tuple((digits, _values_of(digits)) for digits in DIGITS)


KindDescription: TypeAlias = tuple[bytes, tuple[int, int] | list[int], bytes | None, tuple[int, ...]]
Description: TypeAlias = tuple[int, int, Sequence[bytes], Sequence[KindDescription]]
"""What a kind, and items of some kinds, are but for what may be large; of that is told how many bytes it takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Items of one size that are the same in most places."""

    model: Bytes
    """One of them."""
    places: slice | Places
    """Where they differ."""
    digits: Bytes | None
    """The characters that stand there, where they are few."""
    differences: Bytes
    """What stands there, (n_items, n_places); of digits two to a byte."""

    def described(self) -> KindDescription:
        """Return all but the differences, to be marshalled."""
        places = self.places
        where = (places.start, places.stop) if isinstance(places, slice) else places.tolist()
        return (
            self.model.tobytes(),
            where,
            None if self.digits is None else self.digits.tobytes(),
            self.differences.shape,
        )

    @staticmethod
    def of(said: KindDescription, data: Bytes, at: int) -> Kind:
        """Return a kind whose differences stand in data from a place on."""
        model, where, digits, shape = said
        return Kind(
            np.frombuffer(model, np.uint8),
            slice(*where) if isinstance(where, tuple) else np.array(where, np.intp),
            None if digits is None else np.frombuffer(digits, np.uint8),
            data[at : at + shape[0] * shape[1]].reshape(shape),
        )

    def items(self, which: Places) -> list[bytes]:
        """Return some of the items."""
        data, size = self.data(which), len(self.model)
        return [data[size * place : size * (place + 1)] for place in range(len(which))]

    def data(self, which: Places) -> bytes:
        """Return some of the items end to end."""
        found = np.empty((len(which), len(self.model)), np.uint8)
        found[:] = self.model
        differences = self.differences.take(which, axis=0)
        if self.digits is not None:
            n_places = found[:1, self.places].shape[1]
            pairs = np.stack([differences >> 4, differences & 15], axis=2).reshape(len(which), -1)
            differences = self.digits.take(pairs[:, :n_places])
        found[:, self.places] = differences
        return found.tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class Alikes(Sequence[bytes]):
    """Items in order. What they are never changes."""

    _kinds: tuple[Kind, ...]
    _kind_of: Bytes
    """Of each item; `OTHER` for none."""
    _others: tuple[bytes, ...]
    _before: Int64s = field(default_factory=lambda: np.zeros(OTHER + 1, np.int64))
    """How many items of each kind stand before the first; none, unless these are a part of others."""

    @property
    def nbytes(self) -> int:
        """How much memory they take, about."""
        kinds = sum(kind.differences.nbytes + len(kind.model) + _KIND_BYTES for kind in self._kinds)
        return kinds + self._kind_of.nbytes + sum(map(len, self._others)) + _OBJECT_BYTES * len(self._others)

    def __len__(self) -> int:
        return len(self._kind_of)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        places = range(len(self))[place]
        if not isinstance(places, range):
            kind = int(self._kind_of[places])
            before = self._before[kind] + np.count_nonzero(self._kind_of[:places] == kind)
            return self._others[before] if kind == OTHER else self._kinds[kind].items(np.array([before]))[0]
        if places.step != 1:
            return self.take(np.array(places, np.intp))
        return self if len(places) == len(self) else self._part(places)

    def _part(self, places: range) -> Alikes:
        """Return items that follow each other, without a copy."""
        skipped = np.bincount(self._kind_of[: places.start], minlength=OTHER + 1)
        some = self._kind_of[places.start : places.stop]
        return Alikes(self._kinds, some, self._others, self._before + skipped)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.take(np.arange(len(self))))

    def take(self, places: Places | Int32s) -> list[bytes]:
        """Return items of many places, in any order."""
        wanted = self._kind_of.take(places)
        present = np.flatnonzero(np.bincount(wanted)).tolist()
        if len(present) == 1:
            return self._of_kind(present[0], places)
        found = np.empty(len(places), object)
        for kind in present:
            mine = wanted == kind
            found[mine] = self._of_kind(kind, places[mine])
        items: list[bytes] = found.tolist()
        return items

    def _of_kind(self, kind: int, places: Places | Int32s) -> list[bytes]:
        """Return items of places where all are of one kind."""
        before = self._places(kind, places)
        if kind == OTHER:
            return [self._others[number] for number in before.tolist()]
        return self._kinds[kind].items(before)

    def laid_out(self, places: Places | Int32s) -> Laid:
        """Return items of many places, in any order, laid out in bytes."""
        wanted = self._kind_of.take(places)
        starts, sizes = np.zeros(len(places), np.intp), np.zeros(len(places), np.int64)
        data, length = [], 0
        for kind in np.flatnonzero(np.bincount(wanted)).tolist():
            mine = np.flatnonzero(wanted == kind)
            part, first, size = self._laid_of_kind(kind, places[mine])
            starts[mine], sizes[mine] = first + length, size
            length += len(part)
            data.append(part)
        return b"".join(data), starts, sizes

    def _laid_of_kind(self, kind: int, places: Places | Int32s) -> Laid:
        before = self._places(kind, places)
        if kind == OTHER:
            return laid([self._others[number] for number in before.tolist()])
        size = len(self._kinds[kind].model)
        return self._kinds[kind].data(before), np.arange(len(before)) * size, np.full(len(before), size)

    def _places(self, kind: int, places: Places | Int32s) -> Places:
        """Return where items of a kind stand among those of the kind."""
        found: Places = np.cumsum(self._kind_of == kind).take(places) + (self._before[kind] - 1)
        return found

    def flattened(self) -> tuple[Description, list[Bytes]]:
        """Return what describes the items, to be marshalled, and all else, to be laid end to end; not of a part."""
        kinds = [kind.described() for kind in self._kinds]
        parts = [self._kind_of, *(kind.differences for kind in self._kinds)]
        return (sum(part.size for part in parts), len(self), self._others, kinds), parts

    @staticmethod
    def unflattened(description: Description, data: Bytes) -> Alikes:
        """Return items from what describes them and from all else; they keep the latter."""
        _, n_items, others, described = description
        kinds, at = [], n_items
        for said in described:
            kind = Kind.of(said, data, at)
            kinds.append(kind)
            at += kind.differences.size
        return Alikes(tuple(kinds), data[:n_items], tuple(others))

    def samples(self) -> tuple[list[bytes], Bytes | Int32s]:
        """Return items with every key that there is, and for each item which of these has its key."""
        models = [kind.model.tobytes() for kind in self._kinds]
        which = self._kind_of.astype(np.int32)
        others = which == OTHER
        which[others] = np.arange(np.count_nonzero(others)) + (len(models) + self._before[OTHER])
        return [*models, *self._others], which


def alikes_of(parts: Sequence[Sequence[bytes] | Rows]) -> Alikes | None:
    """Return the items of parts, one after the other; None when too few are alike."""
    found: dict[int, list[tuple[Rows, Places]]] = {}
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    for start, part in zip(starts, parts, strict=False):
        for rows, places in _in_rows(part):
            found.setdefault(rows.shape[1], []).append((rows, places + start))
    kinds: list[Kind] = []
    kind_of = np.full(starts[-1], OTHER, np.uint8)
    for pieces in found.values():
        rows, places = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        _find_kinds(rows, places, kinds, kind_of)
    others = np.flatnonzero(kind_of == OTHER)
    if len(others) > starts[-1] // MOST_OTHERS:
        return None
    edges = np.searchsorted(others, starts)
    left = [_some(part, others[a:b] - s) for part, s, (a, b) in zip(parts, starts, pairwise(edges), strict=False)]
    return Alikes(tuple(kinds), kind_of, tuple(chain.from_iterable(left)))


def _in_rows(part: Sequence[bytes] | Rows) -> Iterator[tuple[Rows, Places]]:
    """Yield items as rows, with their places; those that are too long for rows are left out."""
    if isinstance(part, np.ndarray):
        yield part, np.arange(len(part))
        return
    block = Block.of(part)
    sizes = np.fromiter(map(len, part), np.int64, len(part))
    starts = sizes.cumsum() - sizes
    for width, which in by_width(sizes):
        yield block.rows(starts.take(which), sizes.take(which), width), which


def _some(part: Sequence[bytes] | Rows, places: Places) -> list[bytes]:
    if isinstance(part, np.ndarray):
        return items_of(part.take(places, axis=0))
    return [part[place] for place in places.tolist()]


def _find_kinds(rows: Rows, places: Places, kinds: list[Kind], kind_of: Bytes) -> None:
    """Add the kinds that are among rows, whose items have the given places among all."""
    few = max(LEAST, len(rows) // _FEW)
    tries = _MOST_KINDS
    while len(rows) >= few and tries and len(kinds) < OTHER:
        tries -= 1
        words = np.ascontiguousarray(rows.T)
        alike = _like_first(words)
        which = np.flatnonzero(alike)
        if len(which) == len(rows):
            kind_of[places] = len(kinds)
            kinds.append(_kind(rows, words, None))
            return
        if len(which) >= LEAST:
            kind_of[places.take(which)] = len(kinds)
            words[:, ~alike] = words[:, :1]
            kinds.append(_kind(rows, words, which))
        left = np.flatnonzero(~alike)
        rows, places = rows.take(left, axis=0), places.take(left)


def _like_first(words: Rows) -> Bools:
    """Tell which items have the size and the key of the first; they stand side by side, one a column."""
    first = words[:, 0].copy()
    key_end = _key_end(first)
    alike: Bools = words[-1] >> _TO_SIZE == first[-1] >> _TO_SIZE
    for word in range(-(-key_end // _WORD)):
        left = key_end - word * _WORD
        if left >= _WORD:
            alike &= words[word] == first[word]
        else:
            shift = np.uint64(8 * (_WORD - left))
            alike &= words[word] << shift == first[word] << shift
    return alike


def _key_end(row: Rows) -> int:
    """Return the size of a row's attribute up to the end of its key; where that is not clear, its whole size."""
    octets = row.view(np.uint8)
    size, key_end = int(octets[-1]) - 1, int(octets[1]) + 2
    clear = octets[0] == KEY and octets[1] < LONG and key_end <= size
    return key_end if clear else size


def _kind(rows: Rows, words: Rows, which: Places | None) -> Kind:
    """Return the kind of the first of some items, and of those that are like it; None for all."""
    model = words[:, 0].copy().view(np.uint8)
    size = int(model[-1]) - 1
    differing = np.bitwise_or.reduce(words ^ words[:, :1], axis=1).view(np.uint8)[:size].nonzero()[0]
    start, end = (int(differing[0]), int(differing[-1]) + 1) if len(differing) else (0, 1)
    # All bytes from the first to the last that differs, copied as one.
    pieces = np.ndarray((len(rows),), f"V{end - start}", rows, start, (8 * rows.shape[1],))
    between = (pieces.copy() if which is None else pieces.take(which, axis=0)).view(np.uint8).reshape(-1, end - start)
    if len(differing) == end - start:
        return _of_digits(model[:size], slice(start, end), between)
    return _of_digits(model[:size], differing, between.take(differing - start, axis=1))


def _of_digits(model: Bytes, places: slice | Places, differences: Bytes) -> Kind:
    """Return a kind whose differences take half the room if they are digits."""
    first = differences[0].tobytes()
    for digits, values in _VALUES:
        if not first.translate(None, digits):
            numbers = np.frombuffer(differences.tobytes().translate(values), np.uint8).reshape(differences.shape)
            if numbers.max(initial=0) != _NO_DIGIT:
                return Kind(model, places, np.frombuffer(digits, np.uint8), _in_pairs(numbers))
    return Kind(model, places, None, differences)


def _in_pairs(numbers: Bytes) -> Bytes:
    if numbers.shape[1] % 2:
        numbers = np.concatenate([numbers, np.zeros((len(numbers), 1), np.uint8)], axis=1)
    pairs = numbers.view("<u2")
    packed: Bytes = (pairs << 4 | pairs >> 8).astype(np.uint8)
    return packed
