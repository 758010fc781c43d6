"""What a rule measured, as bytes to keep and back: the same sample, the same bytes, and nothing rounded."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from spanverdict.checks.check import Unit
from spanverdict.evaluation.baselinesample import BaselineSample, Float64s, Truths
from spanverdict.evaluation.sample import Interval, Number
from spanverdict.telemetry.spantable import Int64s

VERSION: Final = 1
_FAST: Final = 1
"""zlib's level: differences of sorted numbers are small already, and higher levels cost more than they save."""


class UnreadableSample(ValueError):  # noqa: N818 - says what is wrong
    """The bytes are no sample of this version."""


def to_bytes(sample: BaselineSample) -> bytes:
    """Write a sample."""
    arrays = [sample.numbers, *(sample.ends or ())]
    truths = sample.truths
    head = {
        "version": VERSION,
        "definition": sample.definition,
        "unit": str(sample.unit),
        "samples": sample.samples,
        "counted": sample.counted,
        "missing": sample.missing,
        "truths": truths and [str(truths.true), str(truths.known), str(truths.missing)],
        "categories": dict(sample.categories),
        "problem": sample.problem,
        "settled": {name: _interval_texts(interval) for name, interval in sorted(sample.settled.items())},
        "arrays": [[array.dtype.name, len(array)] for array in arrays],
    }
    text = json.dumps(head, separators=(",", ":"), sort_keys=True).encode()
    return text + b"\n" + zlib.compress(b"".join(_differences(array) for array in arrays), _FAST)


def from_bytes(data: bytes) -> BaselineSample:
    """Read a sample back.

    Raises:
        UnreadableSample: it is none.
    """
    text, _, packed = data.partition(b"\n")
    try:
        head = json.loads(text)
        if head["version"] != VERSION:
            raise UnreadableSample(f"it is of version {head['version']}, and {VERSION} can be read")
        arrays = list(_arrays(head["arrays"], zlib.decompress(packed)))
        return BaselineSample(
            head["definition"],
            Unit(head["unit"]),
            head["samples"],
            arrays[0],
            head["counted"],
            head["missing"],
            ends=(arrays[1], arrays[2]) if len(arrays) > 1 else None,
            truths=head["truths"] and Truths(*map(Fraction, head["truths"])),
            categories=head["categories"],
            problem=head["problem"],
            settled={name: _interval_of(texts) for name, texts in head["settled"].items()},
        )
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as fault:
        raise UnreadableSample(str(fault)) from fault


def _differences(array: Int64s | Float64s) -> bytes:
    """Write each number as its bits less those of the one before."""
    bits = np.ascontiguousarray(array).view(np.uint64)
    return np.diff(bits, prepend=np.uint64(0)).astype("<u8").tobytes()


def _arrays(shapes: Sequence[tuple[str, int]], data: bytes) -> Iterator[Int64s | Float64s]:
    at = 0
    for name, length in shapes:
        if name not in {"int64", "float64"} or at + 8 * length > len(data):
            raise UnreadableSample("its numbers are cut short")
        bits = np.cumsum(np.frombuffer(data, "<u8", length, at).astype(np.uint64), dtype=np.uint64)
        yield bits.view(np.int64) if name == "int64" else bits.view(np.float64)
        at += 8 * length


def _interval_texts(interval: Interval) -> list[Any]:
    return [_number_text(number) for number in (interval.observed, interval.low, interval.high)]


def _number_text(number: Number | None) -> object:
    return f"{number.numerator}/{number.denominator}" if isinstance(number, Fraction) else number


def _interval_of(texts: Sequence[Any]) -> Interval:
    observed, low, high = (Fraction(text) if isinstance(text, str) else text for text in texts)
    return Interval(observed, low, high)
