"""A condition asked of each value by itself, as `every`, `any` and `none` do; any type of value is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spanverdict.checks.check import Measurement
from spanverdict.evaluation.doubt import surely
from spanverdict.rulefiles.conditions import Condition
from spanverdict.rulefiles.statistic import Kind
from spanverdict.rulefiles.vectors import holding
from spanverdict.telemetry.manyvalues import numbers_in
from spanverdict.telemetry.spantable import AttributeColumn, Bools

_BEYOND = 2**63


def answers(condition: Condition, measurement: Measurement, kind: Kind) -> tuple[Bools, Bools]:
    """Tell of each value whether the condition surely holds of it, and whether it surely does not.

    `none` wants to know of no value that it holds. So of an array one item is enough, and what the
    condition cannot be asked of (NaN, a text where numbers are compared) is neither.
    """
    if measurement.bounds is not None:
        return surely(condition, measurement.bounds)
    values = measurement.values
    if not isinstance(values, AttributeColumn):
        holds = holding(condition, values)
        return holds, ~holds
    used, position = np.unique(values.codes, return_inverse=True)
    numbers = numbers_in(values.values) if kind is not Kind.NONE and len(used) and used[0] >= 0 else None
    if numbers is not None:
        holds = holding(condition, numbers.take(used))[position]
        return holds, ~holds
    distinct = [values.values[code] for code in used.tolist()]
    if kind is not Kind.NONE:
        holds = _holding(condition, distinct)[position]
        return holds, ~holds
    holds = _marks(distinct, lambda value: _any_of(condition, value))[position]
    return holds, _marks(distinct, lambda value: _none_of(condition, value))[position]


def _holding(condition: Condition, values: Sequence[object]) -> Bools:
    """Tell of distinct values of any type; numbers all at once."""
    found = np.zeros(len(values), np.bool_)
    of_type: dict[type, list[int]] = {}
    for place, value in enumerate(values):
        of_type.setdefault(type(value), []).append(place)
    for kind, places in of_type.items():
        alike = [values[place] for place in places]
        if kind in (int, float, bool) and not any(map(_is_beyond, alike)):
            dtype = {int: np.int64, float: np.float64, bool: np.bool_}[kind]
            found[places] = holding(condition, np.array(alike, dtype))
        else:
            found[places] = [_all_of(condition, value) for value in alike]
    return found


def _is_beyond(value: object) -> bool:
    """Tell a whole number that does not fit 64 bits: JSON may hold it."""
    return isinstance(value, int) and not -_BEYOND <= value < _BEYOND


def _marks(values: Sequence[object], tell: Callable[[object], bool]) -> Bools:
    return np.array([tell(value) for value in values], np.bool_)


def _all_of(condition: Condition, value: object) -> bool:
    """An array holds when all its values do."""
    if isinstance(value, tuple):
        return bool(value) and all(_all_of(condition, item) for item in value)
    return isinstance(value, int | float | str) and condition.holds(value)


def _any_of(condition: Condition, value: object) -> bool:
    if isinstance(value, tuple):
        return any(_any_of(condition, item) for item in value)
    return isinstance(value, int | float | str) and condition.holds(value)


def _none_of(condition: Condition, value: object) -> bool:
    """Tell that the condition could be asked, and does not hold; of an array's items all."""
    if isinstance(value, tuple):
        return all(_none_of(condition, item) for item in value)
    return isinstance(value, int | float | str) and condition.asks_of(value) and not condition.holds(value)
