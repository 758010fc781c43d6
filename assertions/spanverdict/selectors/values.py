"""A typed column of values of any kind, built per distinct value and not per span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias, cast

import numpy as np

from spanverdict.selectors.literals import fits
from spanverdict.selectors.numeric import Float64s, Numbers
from spanverdict.selectors.words import KINDS, STATUSES
from spanverdict.telemetry.manyvalues import numbers_in, types_in
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int8s, Int64s, Ints, Rows
from spanverdict.telemetry.vectors import constant


class Tag(IntEnum):
    """What a value is."""

    ABSENT = 0
    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    STATUS = 5
    KIND = 6
    ARRAY = 7
    OTHER = 8
    """Bytes and key-value lists: present, but equal to nothing that can be written."""


_WORDS = {Tag.STATUS: tuple(STATUSES), Tag.KIND: tuple(KINDS)}
Entries: TypeAlias = Bools


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Rows that point at entries; without `codes` every row is its own entry.

    An entry is a tag and, by tag, a number in `ints` (bool, int, status, kind), in `floats`, or an
    object (string, array, other).
    """

    tags: Int8s
    ints: Int64s
    floats: Float64s
    objects: Sequence[Value] = ()
    """One an entry where any entry needs it, else empty."""
    codes: Ints | None = None
    """(n_rows,) the entry of each row, -1 where absent."""

    def __len__(self) -> int:
        return len(self.tags) if self.codes is None else len(self.codes)

    def spread(self, entries: Entries) -> Bools:
        """Turn a truth of each entry into one of each row; absent rows are false."""
        return entries if self.codes is None else np.append(entries, False).take(self.codes)

    def take(self, rows: Rows) -> Values:
        """Return the given rows; -1 stands for an absent one."""
        codes = rows if self.codes is None else np.append(self.codes, -1).take(rows)
        return Values(self.tags, self.ints, self.floats, self.objects, codes)

    def row_tags(self) -> Int8s:
        """Return the tag of each row."""
        return self.tags if self.codes is None else np.append(self.tags, np.int8(Tag.ABSENT)).take(self.codes)

    def row_ints(self) -> Int64s:
        """Return the integer of each row, 0 where it has none."""
        return self.ints if self.codes is None else np.append(self.ints, 0).take(self.codes)

    def present(self) -> Bools:
        """Tell which rows have a value."""
        return self.spread(self.tags != Tag.ABSENT)

    def entry_numbers(self) -> Numbers:
        """Return the number of each entry."""
        return Numbers(self.tags == Tag.INT, self.tags == Tag.FLOAT, self.ints, self.floats)

    def numbers(self) -> Numbers:
        """Return the number of each row."""
        tags = self.row_tags()
        floats = self.floats if self.codes is None else np.append(self.floats, 0.0).take(self.codes)
        is_int = tags == Tag.INT
        return Numbers(is_int, tags == Tag.FLOAT, np.where(is_int, self.row_ints(), 0), floats)

    def entry(self, number: int) -> Value:
        """Return one entry as a Python value; status and kind are their words."""
        tag = self.tags[number]
        if tag == Tag.INT:
            return int(self.ints[number])
        if tag == Tag.FLOAT:
            return float(self.floats[number])
        if tag == Tag.BOOL:
            return bool(self.ints[number])
        if tag in _WORDS:
            words, place = _WORDS[Tag(tag)], int(self.ints[number])
            return words[place] if 0 <= place < len(words) else str(place)
        return None if tag == Tag.ABSENT else self.objects[number]

    @staticmethod
    def direct(tag: Tag, ints: Int64s, present: Bools | None = None) -> Values:
        """Return one value a row: a bool, an int, a status or a kind."""
        tags: Int8s = constant(tag, len(ints), np.int8)
        if present is not None:
            tags = np.where(present, tags, np.int8(Tag.ABSENT))
        return Values(tags, ints.astype(np.int64, copy=False), constant(0.0, len(ints), np.float64))

    @staticmethod
    def of_words(tag: Tag, numbers: Int8s) -> Values:
        """Return one status or kind a row."""
        if numbers.min(initial=0) < 0:
            return Values.direct(tag, numbers.astype(np.int64))
        known = np.arange(1 + int(numbers.max(initial=0)))
        return replace(Values.direct(tag, known), codes=numbers)

    @staticmethod
    def of_numbers(numbers: Numbers) -> Values:
        """Return numbers as values."""
        tags = np.where(numbers.is_int, np.int8(Tag.INT), np.where(numbers.is_float, np.int8(Tag.FLOAT), np.int8(0)))
        return Values(tags, numbers.ints, numbers.floats)

    @staticmethod
    def of_texts(codes: Ints, texts: Sequence[str]) -> Values:
        """Return strings; -1 stands for absent."""
        tags, none = constant(Tag.STRING, len(texts), np.int8), constant(0, len(texts), np.int64)
        return Values(tags, none, constant(0.0, len(texts), np.float64), texts, codes)

    @staticmethod
    def of_column(column: AttributeColumn) -> Values:
        """Return a decoded attribute; the loop is over distinct values."""
        count, kinds = len(column.values), types_in(column.values)
        if kinds == {str}:
            return Values.of_texts(column.codes, cast("Sequence[str]", column.values))
        numbers = numbers_in(column.values)
        if numbers is not None:
            return _of_numbers(numbers, column)
        tags, ints, floats = np.zeros(count, np.int8), np.zeros(count, np.int64), np.zeros(count)
        for number, value in enumerate(column.values):
            tags[number] = _tag(value)
            if isinstance(value, float):
                floats[number] = value
            elif isinstance(value, int) and tags[number] != Tag.OTHER:
                ints[number] = value
        return Values(tags, ints, floats, column.values, column.codes)

    def or_else(self, other: Values) -> Values:
        """Return these values, and those of `other` where these are absent."""
        first = _coded(self)
        second = _coded(other)
        moved = np.where(second.codes >= 0, second.codes + len(first.tags), -1)
        return Values(
            np.concatenate([first.tags, second.tags]),
            np.concatenate([first.ints, second.ints]),
            np.concatenate([first.floats, second.floats]),
            (*first.objects, *second.objects),
            np.where(first.present(), first.codes, moved),
        )


def _of_numbers(numbers: Int64s | Float64s, column: AttributeColumn) -> Values:
    """Return an attribute whose values are all integers of 64 bits, or all floats."""
    whole = numbers.dtype == np.int64
    return Values(
        constant(Tag.INT if whole else Tag.FLOAT, len(numbers), np.int8),
        numbers.astype(np.int64, copy=False) if whole else constant(0, len(numbers), np.int64),
        constant(0.0, len(numbers), np.float64) if whole else numbers.astype(np.float64, copy=False),
        column.values,
        column.codes,
    )


class _Coded(Values):
    """Values that have codes."""

    __slots__ = ()
    codes: Ints


def _coded(values: Values) -> _Coded:
    codes = np.arange(len(values)) if values.codes is None else values.codes
    return _Coded(values.tags, values.ints, values.floats, values.objects, codes)


def _tag(value: Value) -> Tag:
    match value:
        case None:
            return Tag.ABSENT
        case bool():
            return Tag.BOOL
        case int():
            return Tag.INT if fits(value) else Tag.OTHER
        case float():
            return Tag.FLOAT
        case str():
            return Tag.STRING
        case tuple():
            return Tag.ARRAY
        case _:
            return Tag.OTHER


def identities(values: Values) -> Int64s:
    """Number the rows so that equal values have equal numbers; -1 where absent. Integer 1 equals float 1.0."""
    if values.objects:
        known: dict[object, int] = {}
        of_entry = np.array([known.setdefault(_key(value), len(known)) for value in values.objects], np.int64)
        of_entry[values.tags == Tag.ABSENT] = -1
        return of_entry if values.codes is None else np.append(of_entry, -1).take(values.codes)
    tags, ints = values.row_tags(), values.row_ints()
    numbers = values.numbers()
    inside = (numbers.floats >= -(2.0**63)) & (numbers.floats < 2.0**63)
    whole = numbers.is_float & inside & (numbers.floats == np.floor(numbers.floats))
    bits = np.where(np.isnan(numbers.floats), np.nan, numbers.floats).view(np.int64)
    payload = np.where(numbers.is_float & ~whole, bits, ints)
    payload[whole] = numbers.floats[whole].astype(np.int64)
    kinds = np.where(whole, np.int8(Tag.INT), tags)
    _, found = np.unique(np.stack([kinds.astype(np.int64), payload], axis=1), axis=0, return_inverse=True)
    return np.where(tags == Tag.ABSENT, -1, found.reshape(-1))


def _key(value: Value) -> object:
    """Return what equal values share; True is not 1, and not-a-number equals itself."""
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ("number", value if value == value else "nan")  # noqa: PLR0124 - nothing else differs from itself
    return (type(value).__name__, value if isinstance(value, str | bool | bytes) else repr(value))
