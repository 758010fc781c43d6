"""Attribute columns read as numbers; whole numbers stay whole unless a column mixes them with others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import compress
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.checks.missing import Missing, Reason
from spanverdict.checks.runview import RunView, StageTimes
from spanverdict.checks.taken import take
from spanverdict.checks.valueof import ValueOf
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.manyvalues import numbers_in, types_in
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int32s, Int64s, Rows

Float64s: TypeAlias = npt.NDArray[np.float64]

_BEYOND: Final = 2**63
_EXAMPLE: Final = 40
"""Characters of an example."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column read as numbers."""

    values: Int64s | Float64s
    """(n,) int64 where every number is whole, else float64; meaningless where not `valid`."""
    valid: Bools
    """(n,) there is a value, and it is a finite number."""
    wrong: Bools
    """(n,) there is a value that is none."""
    example: str
    """One of the wrong ones, the same for the same values; empty when there is none."""

    def part(self, rows: Rows) -> Numbers:
        """Return some of them."""
        return Numbers(self.values[rows], self.valid[rows], self.wrong[rows], self.example)

    def missing(self, request: Rows, row: Rows, lacking: str, kind: str = "finite number") -> Missing:
        """Return the rows without a number: those that lack it, and those with what cannot be read as one.

        `request` and `row` say whose each of the values is.
        """
        absent, wrong = ~self.valid & ~self.wrong, self.wrong
        found = Missing.of_members(request[absent], row[absent], Reason(lacking))
        if not wrong.any():
            return found
        reason = Reason(f"hold what is no {kind}, such as {self.example}", impossible=True)
        return found.also(Missing.of_members(request[wrong], row[wrong], reason))


def _of_floats(table: Float64s, known: Bools, codes: Int32s) -> Numbers:
    """Read values that are all floats, all at once; of those that are not `known` none is a number."""
    wrong = (codes >= 0) & ~known[codes]
    example = _example(table[ascending(codes[wrong])].tolist())
    return Numbers(np.where(known, table, 0.0)[codes], known[codes], wrong, example)


Reading: TypeAlias = Callable[[Value], int | float | None]


def numbers_of(column: AttributeColumn, rows: Rows, read_one: Reading | None = None) -> Numbers:
    """Read the values of some rows as numbers, once for each distinct value."""
    codes = column.codes[rows]
    used = np.zeros(len(column.values) + 1, np.bool_)
    used[codes] = True
    used = used[:-1]
    all_at_once = None if read_one is not None else numbers_in(column.values)
    if all_at_once is not None and all_at_once.dtype == np.int64:
        return Numbers(np.append(all_at_once, 0)[codes], codes >= 0, np.zeros(len(codes), np.bool_), "")
    if all_at_once is not None:
        floats = np.asarray(all_at_once, np.float64)
        finite = np.append((floats >= -_BEYOND) & (floats < _BEYOND), False)
        if finite[codes].any():
            return _of_floats(np.append(floats, 0.0), finite, codes)
    read = [_bounded(found) for found in map(read_one or number, compress(column.values, used))]
    known = np.zeros(len(used) + 1, np.bool_)
    known[np.flatnonzero(used)] = [found is not None for found in read]
    whole = all(isinstance(found, int) for found in read if found is not None)
    table: Int64s | Float64s = np.zeros(len(known), np.int64) if whole else np.zeros(len(known), np.float64)
    table[np.flatnonzero(used)] = [0 if found is None else found for found in read]
    wrong = (codes >= 0) & ~known[codes]
    if type(None) in types_in(column.values):
        wrong &= ~np.array([*(value is None for value in column.values), False])[codes]
    return Numbers(table[codes], known[codes], wrong, _example(compress(column.values, used & ~known[:-1])))


def numbers_at(
    value: ValueOf,
    times: StageTimes,
    view: RunView,
    lacking: str,
    how: tuple[Reading | None, str] = (None, "finite number"),
) -> tuple[Numbers, Missing]:
    """Read the number at every span of a stage, and say which have none and why.

    `lacking` says in words what a span without it is, `how` how a value is read and what it has to be.
    """
    taken = take(value, view, times.member, lacking)
    read_one, kind = how
    numbers = numbers_of(taken.column, np.arange(len(times.member)), read_one)
    here = taken.here
    wrong = numbers.part(here).missing(times.request[here], times.member[here], lacking, kind)
    return numbers, taken.missing(times.request, times.member).also(wrong)


def _bounded(found: float | None) -> int | float | None:
    """Refuse what does not fit 64 bits, and what is no number at all."""
    return found if found is not None and -_BEYOND <= found < _BEYOND else None


def _example(values: Iterable[Value]) -> str:
    shown = min((repr(value) for value in values if value is not None), default="")
    return shown if len(shown) <= _EXAMPLE else f"{shown[:_EXAMPLE]}…"


def number(value: Value) -> int | float | None:
    """Return a number as it is, None for everything else; true is no number."""
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def each_of(read_one: Reading, pick: Callable[[list[int | float]], int | float]) -> Reading:
    """Return a reading that takes arrays too: `pick` of their values, None when one cannot be read."""

    def read(value: Value) -> int | float | None:
        if not isinstance(value, tuple):
            return read_one(value)
        parts = [_bounded(read_one(item)) for item in value]
        known = [part for part in parts if part is not None]
        return pick(known) if known and len(known) == len(parts) else None

    return read
