"""Compares columns of values with constants, patterns and each other.

A value stands for its elements: an array for those that are scalars, a scalar for itself, an absent
value for none. `=`, `=~` and the orders hold when any element does. `!=` and `!~` hold when no element is
equal or matches, and at least one could have been. So an absent value, an empty array and a value
of another type satisfy no comparison.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Final, TypeGuard

import numpy as np

from spanverdict.selectors.numeric import Numbers, signs, verdicts
from spanverdict.selectors.regex import matcher
from spanverdict.selectors.tree import NUMERIC, Static, Type
from spanverdict.selectors.values import Tag, Values
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import Bools

Scalar = str | bool | int | float

TURNED: Final = MappingProxyType({"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="})
"""What a comparison becomes when its sides change places."""

_HOLDS: Final = MappingProxyType[str, Callable[[Scalar, Scalar], bool]](
    {
        "=": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)
_UNEQUAL: Final = frozenset({"!=", "!~"})


def with_static(values: Values, op: str, static: Static) -> Bools:
    """Compare each row with a constant, (n_rows,)."""
    wanted = static.value
    if static.type in (Type.STATUS, Type.KIND):
        tag = Tag.STATUS if static.type is Type.STATUS else Tag.KIND
        return values.spread((values.tags == tag) & ((values.ints == wanted) == (op == "=")))
    assert isinstance(wanted, str | bool | int | float)  # nil is tested by presence
    if static.type in NUMERIC:
        assert isinstance(wanted, int | float)  # as its type says
        found = verdicts(op, signs(values.entry_numbers(), Numbers.one(wanted)))
    elif static.type is Type.BOOL:
        found = (values.tags == Tag.BOOL) & ((values.ints == wanted) == (op == "="))
    else:
        holds = _HOLDS[op]
        found = _of_texts(values, lambda text: holds(text, wanted))
    return values.spread(_with_arrays(values, found, lambda elements: any_pair(op, elements, (wanted,))))


def with_pattern(values: Values, op: str, pattern: str) -> Bools:
    """Match each row with a regular expression, (n_rows,)."""
    matches = matcher(pattern)
    wanted = op == "=~"

    def array(elements: tuple[Scalar, ...]) -> bool:
        texts = [element for element in elements if isinstance(element, str)]
        return bool(texts) and any(map(matches, texts)) == wanted

    return values.spread(_with_arrays(values, _of_texts(values, lambda text: matches(text) == wanted), array))


def _of_texts(values: Values, holds: Callable[[str], bool]) -> Bools:
    if not (values.tags == Tag.STRING).any():
        return np.zeros(len(values.tags), np.bool_)
    found = (isinstance(value, str) and holds(value) for value in values.objects)
    return np.fromiter(found, np.bool_, len(values.tags))


def _with_arrays(values: Values, found: Bools, holds: Callable[[tuple[Scalar, ...]], bool]) -> Bools:
    for number in np.flatnonzero(values.tags == Tag.ARRAY).tolist():
        found[number] = holds(elements_of(values.objects[number]))
    return found


def elements_of(value: Value) -> tuple[Scalar, ...]:
    """Return what of a value can be compared."""
    return tuple(filter(_is_scalar, value)) if isinstance(value, tuple) else ((value,) if _is_scalar(value) else ())


def _is_scalar(value: Value) -> TypeGuard[Scalar]:
    return isinstance(value, str | bool | int | float)


def any_pair(op: str, left: Iterable[Scalar], right: Iterable[Scalar]) -> bool:
    """Tell whether a comparison holds between two values given as their elements."""
    pairs = [(a, b) for a in left for b in right if _comparable(a, b, op)]
    if op in _UNEQUAL:
        return bool(pairs) and all(a != b for a, b in pairs)
    return any(_HOLDS[op](a, b) for a, b in pairs)


def _comparable(a: Scalar, b: Scalar, op: str) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and op in ("=", "!=")
    return isinstance(a, str) == isinstance(b, str)


def with_each_other(a: Values, op: str, b: Values) -> Bools:
    """Compare two columns row by row, (n_rows,)."""
    tags_a, tags_b = a.row_tags(), b.row_tags()
    found = verdicts(op, signs(a.numbers(), b.numbers()))
    if op in ("=", "!="):
        named = (tags_a == tags_b) & np.isin(tags_a, (Tag.BOOL, Tag.STATUS, Tag.KIND))
        found |= named & ((a.row_ints() == b.row_ints()) == (op == "="))
    texts = (tags_a == Tag.STRING) & (tags_b == Tag.STRING)
    if texts.any():
        found[texts] = _ranked(a, op, b)[texts]
    arrays = ((tags_a == Tag.ARRAY) & (tags_b != Tag.ABSENT)) | ((tags_b == Tag.ARRAY) & (tags_a != Tag.ABSENT))
    if arrays.any():
        found[arrays] = _pairwise(a, op, b, arrays)
    return found


def _ranked(a: Values, op: str, b: Values) -> Bools:
    """Compare texts by their rank among all texts of both columns."""
    texts = sorted({text for side in (a, b) for text in side.objects if isinstance(text, str)})
    rank = {text: number for number, text in enumerate(texts)}
    ranks = []
    for side in (a, b):
        of_entry = [rank.get(text, -1) if isinstance(text, str) else -1 for text in side.objects]
        numbers = np.array([*of_entry, -1], np.int64)
        ranks.append(numbers[:-1] if side.codes is None else numbers.take(side.codes))
    valid = np.ones(len(ranks[0]), np.bool_)
    return verdicts(op, signs(Numbers.of_ints(ranks[0], valid), Numbers.of_ints(ranks[1], valid)))


def _pairwise(a: Values, op: str, b: Values, rows: Bools) -> Bools:
    """Compare where an array takes part: once for each distinct pair of values."""
    codes = [(np.arange(len(side)) if side.codes is None else side.codes)[rows] for side in (a, b)]
    pairs, places = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    found = [any_pair(op, _elements(a, left), _elements(b, right)) for left, right in pairs.tolist()]
    of_rows: Bools = np.array(found, np.bool_)[places.reshape(-1)]
    return of_rows


def _elements(values: Values, number: int) -> tuple[Scalar, ...]:
    if values.tags[number] in (Tag.STATUS, Tag.KIND):
        return ()
    return elements_of(values.entry(number))
