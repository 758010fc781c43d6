"""How many spans each kept span stands for, where samplers said so.

A sampler that decides by probability writes its threshold into the trace state (`ot=th:…`): of 2⁵⁶
equally likely random values it kept those at or above the threshold T. So a kept span stands for
2⁵⁶ / (2⁵⁶ - T) spans, its *adjusted count*. Without a threshold, or with one that would not have
kept the span, nothing is known. From OpenTelemetry's consistent probability sampling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

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
    sampled: bool
    """Some span says that others like it were not kept."""

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def known(self) -> Bools:
        """Tell which spans have an adjusted count."""
        return self.codes >= 0

    def adjusted(self) -> Float64s:
        """Return the adjusted count of each span, rounded to float64; NaN where unknown."""
        return np.array([*map(float, self.counts), np.nan])[self.codes]

    def take(self, rows: npt.NDArray[np.signedinteger]) -> Sampling:
        """Return the adjusted counts of some rows; one below zero is no span, so unknown."""
        codes = np.append(self.codes, UNKNOWN)[rows]
        return Sampling(np.where(rows >= 0, codes, UNKNOWN), self.counts, self.sampled)

    def total(self, chosen: Bools | None = None) -> Fraction:
        """Return exactly how many spans the chosen ones stand for, all without `chosen`; all have to be known."""
        codes = self.codes if chosen is None else self.codes[chosen]
        often = np.bincount(codes, minlength=len(self.counts)).tolist()
        return sum((count * times for count, times in zip(self.counts, often, strict=True)), Fraction(0))


def sampling_of(table: SpanTable) -> Sampling:
    """Read the adjusted counts of a table; a trace state is read once for every distinct text."""
    used, position = np.unique(table.trace_state, return_inverse=True)
    states = [probability_state(table.pool.string(number)) for number in used.tolist()]
    threshold = _column([state.threshold for state in states])[position]
    sampled = bool((threshold > 0).any())
    rows = np.flatnonzero(threshold >= 0)
    codes = np.full(len(table), UNKNOWN, np.int64)
    if not len(rows):
        return Sampling(codes, (), sampled)
    explicit = _column([state.randomness for state in states])[position[rows]]
    randomness = np.where(explicit >= 0, explicit, _low_bits(table, rows))
    rows = rows[randomness >= threshold[rows]]
    distinct, codes[rows] = np.unique(threshold[rows], return_inverse=True)
    return Sampling(codes, tuple(adjusted_count(number) for number in distinct.tolist()), sampled)


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


def _column(numbers: Sequence[int | None]) -> Int64s:
    return np.array([UNKNOWN if number is None else number for number in numbers], np.int64)


def _low_bits(table: SpanTable, rows: npt.NDArray[np.intp]) -> Int64s:
    """Return the low 56 bits of the trace id of each row."""
    used, position = np.unique(table.trace[rows], return_inverse=True)
    ids = table.pool.traces.items_by_id
    low = b"".join([b"\0" + ids[number][-_LOW_BYTES:] for number in used.tolist()])
    return np.frombuffer(low, ">i8").astype(np.int64)[position]
