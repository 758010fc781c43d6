"""How many spans each kept span stands for, where samplers said so.

A sampler that decides by probability writes its threshold into the trace state (`ot=th:…`): of 2⁵⁶
equally likely random values it kept those at or above the threshold T. So a kept span stands for
2⁵⁶ / (2⁵⁶ - T) spans, its *adjusted count*. Without a threshold, or with one that would not have
kept the span, nothing is known. From OpenTelemetry's consistent probability sampling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.spantable import Bools, Int64s, SpanTable

Float64s: TypeAlias = npt.NDArray[np.float64]

UNKNOWN: Final = -1
_DIGITS: Final = 14
"""Hexadecimal digits of 56 bits."""
_RANGE: Final = 1 << 56
_LOW_BYTES: Final = 7
_LONGEST: Final = 256
"""Characters that the entry of one vendor may have."""
_ENTRY: Final = re.compile(r"ot=(.*)", re.ASCII | re.DOTALL)
_FIELD: Final = re.compile(r"([a-z][a-z0-9]*):([A-Za-z0-9._-]*)", re.ASCII)
_THRESHOLD: Final = re.compile(r"[0-9a-f]{1,14}", re.ASCII)
_RANDOMNESS: Final = re.compile(r"[0-9a-f]{14}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProbabilityState:
    """What a trace state says of sampling; both are 56-bit numbers, None where it says nothing."""

    threshold: int | None = None
    randomness: int | None = None
    """None: the low 56 bits of the trace id."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """The adjusted counts of the spans of a table."""

    codes: Int64s
    """(n,) positions in `counts`, `UNKNOWN` where nothing is known."""
    counts: tuple[Fraction, ...]
    """The distinct adjusted counts, exactly, ascending."""
    sampled: Bools
    """(n,) the span says that others like it were not kept, whether or not its count is known."""

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def known(self) -> Bools:
        """Tell which spans have an adjusted count."""
        return self.codes >= 0

    def adjusted(self) -> Float64s:
        """Return the adjusted count of each span, rounded to float64; NaN where unknown."""
        return np.array([*map(float, self.counts), np.nan])[self.codes]

    def take(self, rows: npt.NDArray[np.signedinteger[Any]]) -> Sampling:
        """Return what is known of some rows; a number below zero is no row, so unknown."""
        here = rows >= 0
        codes = np.append(self.codes, UNKNOWN)[rows]
        return Sampling(np.where(here, codes, UNKNOWN), self.counts, np.append(self.sampled, False)[rows] & here)

    def total(self, chosen: Bools | None = None) -> Fraction:
        """Return exactly how many spans the chosen ones stand for, all without `chosen`; all have to be known."""
        codes = self.codes if chosen is None else self.codes[chosen]
        often = np.bincount(codes, minlength=len(self.counts)).tolist()
        return sum((count * times for count, times in zip(self.counts, often, strict=True)), Fraction(0))

    def squares(self) -> Fraction:
        """Return the sum of the squared adjusted counts; all have to be known."""
        often = np.bincount(self.codes, minlength=len(self.counts)).tolist()
        return sum((count**2 * times for count, times in zip(self.counts, often, strict=True)), Fraction(0))


def sampling_of(table: SpanTable) -> Sampling:
    """Read the adjusted counts of a table; a trace state is read once for every distinct text."""
    used = np.zeros(len(table.pool.strings), np.bool_)
    used[table.trace_state] = True
    states = {number: probability_state(table.pool.string(number)) for number in np.flatnonzero(used).tolist()}
    threshold = _lookup(len(used), {number: state.threshold for number, state in states.items()})[table.trace_state]
    codes = np.full(len(table), UNKNOWN, np.int64)
    rows = np.flatnonzero(threshold >= 0)
    if not len(rows):
        return Sampling(codes, (), threshold > 0)
    explicit = _lookup(len(used), {number: state.randomness for number, state in states.items()})
    randomness = explicit[table.trace_state[rows]]
    randomness = np.where(randomness >= 0, randomness, _low_bits(table, rows))
    rows = rows[randomness >= threshold[rows]]
    distinct, codes[rows] = np.unique(threshold[rows], return_inverse=True)
    return Sampling(codes, tuple(adjusted_count(number) for number in distinct.tolist()), threshold > 0)


def _lookup(size: int, numbers: Mapping[int, int | None]) -> Int64s:
    found = np.full(size, UNKNOWN, np.int64)
    for place, number in numbers.items():
        found[place] = UNKNOWN if number is None else number
    return found


def adjusted_count(threshold: int) -> Fraction:
    """Return how many spans one that was kept at a threshold stands for.

    >>> [str(adjusted_count(t)) for t in (0, 0x8 << 52, 0xC << 52)]
    ['1', '2', '4']
    """
    return Fraction(_RANGE, _RANGE - threshold)


def probability_state(trace_state: str) -> ProbabilityState:
    """Read OpenTelemetry's entry of a W3C trace state; one that breaks the format says nothing.

    >>> probability_state("vendor=x,ot=th:8;rv:ffffffffffffff").threshold == 1 << 55
    True
    >>> probability_state("ot=th:X"), probability_state("ot=th:8,ot=th:4")
    (ProbabilityState(threshold=None, randomness=None), ProbabilityState(threshold=None, randomness=None))
    """
    entries = [match for part in trace_state.split(",") if (match := _ENTRY.fullmatch(part.strip(" \t")))]
    if len(entries) != 1 or len(entries[0][0]) > _LONGEST:
        return ProbabilityState()
    return _read(entries[0][1].split(";"))


def _read(parts: Sequence[str]) -> ProbabilityState:
    """Read the fields of the entry; fields of others' making are passed over, a field that comes twice is no field."""
    fields: dict[str, str] = {}
    for part in parts:
        match = _FIELD.fullmatch(part)
        if match is None or match[1] in fields:
            return ProbabilityState()
        fields[match[1]] = match[2]
    threshold, randomness = fields.get("th"), fields.get("rv")
    if threshold is not None and _THRESHOLD.fullmatch(threshold) is None:
        return ProbabilityState()
    if randomness is not None and _RANDOMNESS.fullmatch(randomness) is None:
        return ProbabilityState()
    return ProbabilityState(
        None if threshold is None else int(threshold.ljust(_DIGITS, "0"), 16),
        None if randomness is None else int(randomness, 16),
    )


def _low_bits(table: SpanTable, rows: npt.NDArray[np.intp]) -> Int64s:
    """Return the low 56 bits of the trace id of each row."""
    used = np.zeros(len(table.pool.traces), np.bool_)
    used[table.trace[rows]] = True
    numbers, ids = np.flatnonzero(used), table.pool.traces.items_by_id
    low = b"".join([b"\0" + ids[number][-_LOW_BYTES:] for number in numbers.tolist()])
    bits = np.zeros(len(used), np.int64)
    bits[numbers] = np.frombuffer(low, ">i8")
    return bits[table.trace[rows]]
