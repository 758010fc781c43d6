"""What `alikes.py` makes of many new attributes, by compiled loops: their keys are known, each is looked at twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.alikes import DIGITS, LEAST, MOST_OTHERS, OTHER, Alikes, Kind
from spanverdict.telemetry.blocks import WIDTHS, Bytes, Int32s, Int64s, Rows, items_of
from spanverdict.telemetry.compiling import part, routine

Parts: TypeAlias = Sequence[Sequence[bytes] | Rows]

MOST_KINDS: Final = 64
_FEW: Final = 128
"""No kind are those that are less than one in so many."""
_SLOTS: Final = 256
_WIDTH: Final = max(WIDTHS)
_WORD: Final = 8
_SIZE_BITS: Final = 8
_WORDS_BITS: Final = 5
_SPREAD: Final = 0x9E3779B1
_SPREAD_BITS: Final = 24
"""Of a number of four bytes these many are cut off to find a slot."""
_FOUR_BYTES: Final = 0xFFFF_FFFF


def _alphabets() -> tuple[Bytes, Bytes]:
    """Return for each byte in which alphabets it is, a bit each, and for each alphabet what it stands for in it."""
    within, values = np.zeros(256, np.uint8), np.zeros((len(DIGITS), 256), np.uint8)
    for number, digits in enumerate(DIGITS):
        characters = np.frombuffer(digits, np.uint8)
        within[characters] |= np.uint8(1 << number)
        values[number, characters] = np.arange(len(characters))
    return within, values


_WITHIN, _VALUES = _alphabets()


class New(NamedTuple):
    """Attributes as rows."""

    rows: Rows
    octets: Bytes
    """(n, width): the same."""
    keys: Int32s
    """The numbers of their keys."""
    kind_of: Bytes
    """Of each the kind, which is written; `OTHER` for none."""


class Kinds(NamedTuple):
    """Attributes with one key and of one size are of a kind, if their rows are of one width."""

    slots: Int32s
    """By hash the next number of a kind, 0 where there is none."""
    said: Int64s
    """Key, width and size of each."""
    models: Rows
    """The first of each."""
    differ: Rows
    """The bits in which any other differs from it."""
    counts: Int64s
    filled: Int64s
    """How many kinds there are."""


class Plan(NamedTuple):
    """What is written of each kind."""

    numbers: Bytes
    """The number that it gets, `OTHER` if it is not kept."""
    places: Bytes
    """(kinds, width): where its items differ …"""
    n_places: Int64s
    """… in so many places."""
    at: Int64s
    """Where among the differences the next is written."""
    differences: Bytes
    within: Bytes
    """The alphabets in which all of them are, a bit each."""


class Digits(NamedTuple):
    """Texts of few characters, to be packed."""

    texts: Bytes
    """(n, size)"""
    values: Bytes
    """What each character stands for."""
    packed: Bytes
    """(n, half of the size)"""


@routine((New, "u8,2 u1,2 i4 u1"), (Kinds, "i4 i8 u8,2 u8,2 i8 i8"))
def find_kinds(new: New, kinds: Kinds) -> int:
    """Find out of which kind each attribute is, and where those of a kind differ; returns how many kinds there are."""
    rows, octets, keys, kind_of = new
    n_words, last = rows.shape[1], octets.shape[1] - 1
    for row in range(len(rows)):
        kind = _kind(kinds, (np.int64(keys[row]) << _WORDS_BITS | n_words) << _SIZE_BITS | octets[row, last])
        kind_of[row] = kind
        if kind == OTHER:
            continue
        if kinds.counts[kind] == 0:
            for word in range(n_words):
                kinds.models[kind, word] = rows[row, word]
        for word in range(n_words):
            kinds.differ[kind, word] |= kinds.models[kind, word] ^ rows[row, word]
        kinds.counts[kind] += 1
    return int(kinds.filled[0])


@part
def _kind(kinds: Kinds, said: np.int64) -> int:
    """Return the number of a kind, which may be new."""
    slots, n = kinds.slots, kinds.filled[0]
    slot = (said * _SPREAD & _FOUR_BYTES) >> _SPREAD_BITS
    while slots[slot]:
        if kinds.said[slots[slot] - 1] == said:
            return int(slots[slot]) - 1
        slot = (slot + 1) % _SLOTS
    if n == MOST_KINDS:
        return OTHER
    slots[slot] = n + 1
    kinds.said[n] = said
    kinds.filled[0] = n + 1
    return int(n)


@routine((New, "u8,2 u1,2 i4 u1"), (Plan, "u1 u1,2 i8 i8 u1 u1"))
def take_differences(new: New, plan: Plan) -> int:
    """Write in what attributes differ, those of a kind side by side; returns how many are of none that is kept."""
    _, octets, _, kind_of = new
    n_others = 0
    for row in range(len(kind_of)):
        kind = kind_of[row]
        number = OTHER if kind == OTHER else plan.numbers[kind]
        kind_of[row] = number
        if number == OTHER:
            n_others += 1
            continue
        at, within = plan.at[kind], plan.within[kind]
        for place in range(plan.n_places[kind]):
            byte = octets[row, plan.places[kind, place]]
            plan.differences[at + place] = byte
            within &= _WITHIN[byte]
        plan.at[kind] = at + plan.n_places[kind]
        plan.within[kind] = within
    return n_others


@routine((Digits, "u1,2 u1 u1,2"))
def pack_digits(digits: Digits) -> int:
    """Put two digits into each byte; returns how many bytes each text takes."""
    texts, values, packed = digits
    size, n_bytes = texts.shape[1], int(packed.shape[1])
    for row in range(len(texts)):
        for place in range(n_bytes):
            low = values[texts[row, 2 * place + 1]] if 2 * place + 1 < size else 0
            packed[row, place] = values[texts[row, 2 * place]] << 4 | low
    return n_bytes


def likened(parts: Parts, keys: Int32s) -> Alikes | None:
    """Return the items of parts, one after the other, whose keys have these numbers; None when too few are alike."""
    kinds = Kinds(
        slots=np.zeros(_SLOTS, np.int32),
        said=np.zeros(MOST_KINDS, np.int64),
        models=np.zeros((MOST_KINDS, _WIDTH // _WORD), np.uint64),
        differ=np.zeros((MOST_KINDS, _WIDTH // _WORD), np.uint64),
        counts=np.zeros(MOST_KINDS, np.int64),
        filled=np.zeros(1, np.int64),
    )
    kind_of = np.full(len(keys), OTHER, np.uint8)
    news = [*_in_rows(parts, keys, kind_of)]
    for new in news:
        find_kinds(new, kinds)
    kept = np.flatnonzero(kinds.counts >= max(LEAST, len(keys) // _FEW))
    n_others = len(keys) - int(kinds.counts[kept].sum())
    if n_others > len(keys) // MOST_OTHERS:
        return None
    plan = _plan(kinds, kept)
    for new in news:
        take_differences(new, plan)
    return Alikes(tuple(_kinds(kinds, kept, plan)), kind_of, tuple(_others(parts, kind_of)))


def _in_rows(parts: Parts, keys: Int32s, kind_of: Bytes) -> list[New]:
    """Return the parts that are rows, each with its piece of what goes along with all items."""
    found, start = [], 0
    for items in parts:
        end = start + len(items)
        if isinstance(items, np.ndarray):
            found.append(New(items, items.view(np.uint8), keys[start:end], kind_of[start:end]))
        start = end
    return found


def _plan(kinds: Kinds, kept: npt.NDArray[np.intp]) -> Plan:
    numbers, places = np.full(MOST_KINDS, OTHER, np.uint8), np.zeros((MOST_KINDS, _WIDTH), np.uint8)
    numbers[kept] = np.arange(len(kept))
    n_places = np.zeros(MOST_KINDS, np.int64)
    for kind in kept.tolist():
        # Where nothing differs, there is one place, as a kind has to have its items somewhere.
        differing = kinds.differ[kind].view(np.uint8).nonzero()[0] if kinds.differ[kind].any() else np.zeros(1, np.intp)
        n_places[kind] = len(differing)
        places[kind, : len(differing)] = differing
    sizes = kinds.counts * n_places
    return Plan(
        numbers,
        places,
        n_places,
        at=np.cumsum(sizes) - sizes,
        differences=np.empty(int(sizes.sum()), np.uint8),
        within=np.full(MOST_KINDS, (1 << len(DIGITS)) - 1, np.uint8),
    )


def _kinds(kinds: Kinds, kept: npt.NDArray[np.intp], plan: Plan) -> list[Kind]:
    found = []
    for kind in kept.tolist():
        size, n, end = int(kinds.said[kind] & ((1 << _SIZE_BITS) - 1)) - 1, int(plan.n_places[kind]), int(plan.at[kind])
        differences = plan.differences[end - n * int(kinds.counts[kind]) : end].reshape(-1, n)
        model, within = kinds.models[kind].view(np.uint8)[:size].copy(), int(plan.within[kind])
        digits = None
        if within:
            alphabet = (within & -within).bit_length() - 1
            digits = np.frombuffer(DIGITS[alphabet], np.uint8)
            packed = np.empty((len(differences), -(-n // 2)), np.uint8)
            pack_digits(Digits(differences, _VALUES[alphabet], packed))
            differences = packed
        found.append(Kind(model, _closed(plan.places[kind, :n]), digits, differences))
    return found


def _closed(places: Bytes) -> slice | npt.NDArray[np.intp]:
    """Return places as a slice where they follow each other."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first == len(places) - 1 else places.astype(np.intp)


def _others(parts: Parts, kind_of: Bytes) -> list[bytes]:
    others, start = list[list[bytes]](), 0
    for items in parts:
        which = np.flatnonzero(kind_of[start : start + len(items)] == OTHER)
        if isinstance(items, np.ndarray):
            others.append(items_of(items.take(which, axis=0)))
        else:
            others.append([items[place] for place in which.tolist()])
        start += len(items)
    return [*chain.from_iterable(others)]


ROUTINES: Final = (find_kinds, take_differences, pack_digits)
