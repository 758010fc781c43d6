"""Is an answer the golden one? Numbers within a tolerance, texts within a similarity, everything else as it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final, TypeGuard

from spanverdict.checks.golden import Allowance
from spanverdict.checks.likeness import are_similar, similarity
from spanverdict.telemetry.pool import Value

_SHOWN: Final = 80
"""Characters of a value in a message."""
_UNSURE: Final = 2.0**-50
"""Differences of floats are this exact, as a part of what is subtracted."""


def are_alike(expected: Value, got: Value, allowance: Allowance) -> bool:
    """Compare an answer with the golden value.

    Numbers are compared as the decimals that they are written as, so 0.91 is 0.01 from 0.9; an int
    equals the same float, and what is not finite equals nothing. Truths are no numbers. Arrays and
    objects are compared part by part, bytes as hexadecimal digits.

    >>> are_alike(1, 1.0, Allowance()), are_alike(True, 1, Allowance()), are_alike(("a", 2), ("a", 2), Allowance())
    (True, False, True)
    >>> are_alike(0.9, 0.91, Allowance(Fraction(1, 100))), are_alike(float("nan"), float("nan"), Allowance())
    (True, False)
    """
    if isinstance(got, bytes):
        got = got.hex()
    match expected:
        case None | bool():
            return expected is got
        case str():
            return isinstance(got, str) and _texts_alike(expected, got, allowance)
        case int() | float():
            return _is_number(got) and _numbers_alike(expected, got, allowance)
        case _:
            return all(are_alike(*pair, allowance) for pair in _parts(expected, got))


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(number: float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _texts_alike(expected: str, got: str, allowance: Allowance) -> bool:
    if allowance.similarity is None:
        return expected == got
    return are_similar(expected, got, allowance.similarity)


def _parts(expected: Value, got: Value) -> Iterator[tuple[Value, Value]]:
    """Yield the parts to compare; a pair that is never alike where they have different ones."""
    if isinstance(expected, tuple) and isinstance(got, tuple) and len(expected) == len(got):
        yield from zip(expected, got, strict=True)
    elif isinstance(expected, Mapping) and isinstance(got, Mapping) and expected.keys() == got.keys():
        yield from ((expected[name], got[name]) for name in expected)
    else:
        yield None, False


def _numbers_alike(expected: float, got: float, allowance: Allowance) -> bool:
    if not (_is_finite(expected) and _is_finite(got)):
        return False
    if expected == got or not allowance.tolerance:
        return expected == got
    try:
        gap, allowed = abs(got - expected), float(allowance.tolerance) * (abs(expected) if allowance.relative else 1)
        if abs(gap - allowed) > _UNSURE * (abs(expected) + abs(got) + allowed):
            return gap < allowed
    except OverflowError:  # whole numbers beyond all floats
        pass
    return _gap(expected, got) <= _allowed(expected, allowance)


def _gap(expected: float, got: float) -> Fraction:
    return abs(_decimal(got) - _decimal(expected))


def _allowed(expected: float, allowance: Allowance) -> Fraction:
    return allowance.tolerance * abs(_decimal(expected)) if allowance.relative else allowance.tolerance


def _decimal(number: float) -> Fraction:
    """Return the number that a float is written as."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def badness(expected: Value, got: Value, allowance: Allowance) -> float:
    """Say how far a different answer is off, to rank those that differ: in tolerances, where there is one.

    Infinite for what is no number, or not the number of another.
    """
    if not (_is_number(expected) and _is_number(got) and _is_finite(got)):
        return math.inf
    try:
        allowed = float(allowance.tolerance) * (abs(expected) if allowance.relative else 1)
        whole = allowed or max(abs(expected), abs(got))
        return abs(got - expected) / whole if whole else 0.0
    except OverflowError:  # whole numbers beyond all floats
        return math.inf


def difference(expected: Value, got: Value, allowance: Allowance) -> str:
    """Say how an answer differs: `expected 0.91, got 0.83 (tolerance 0.01)`.

    >>> difference("approve", "decline", Allowance())
    'expected "approve", got "decline"'
    """
    said = f"expected {value_text(expected)}, got {value_text(got)}"
    how = _how(expected, got, allowance)
    return f"{said} ({how})" if how else said


def _how(expected: Value, got: Value, allowance: Allowance) -> str:
    if isinstance(expected, str) and isinstance(got, str) and allowance.similarity is not None:
        found = similarity(expected, got)
        seen = "too long to compare" if found is None else f"similarity {float(found):.2f}"
        return f"{seen}, needed {allowance.similarity_text}"
    holds_numbers = _is_number(expected) or isinstance(expected, tuple | Mapping)
    return f"tolerance {allowance.tolerance_text}" if allowance.tolerance and holds_numbers else ""


def value_text(value: Value) -> str:
    """Write a value as JSON does, its end left out where it is long.

    >>> value_text((0.5, "a", None)), value_text(float("nan"))
    ('[0.5, "a", null]', 'NaN')
    """
    text = json.dumps(as_json(value), ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def as_json(value: Value) -> object:
    """Return a value as JSON can hold it: bytes as hexadecimal digits, arrays as lists."""
    match value:
        case bytes():
            return value.hex()
        case tuple():
            return [as_json(item) for item in value]
        case Mapping():
            return {name: as_json(item) for name, item in value.items()}
        case _:
            return value
