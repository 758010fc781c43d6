"""Conditions that are in vain: those that always hold, and those that can never hold together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Final, TypeAlias

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.rulefiles.conditions import Condition, Operator
from spanverdict.rulefiles.statistic import Kind, Quantity, Statistic

if TYPE_CHECKING:
    from spanverdict.rulefiles.models import Expectation

Limit: TypeAlias = int | Fraction | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers that satisfy a condition lie between these; None is no limit."""

    low: Limit = None
    high: Limit = None
    low_open: bool = False
    """The lower limit itself does not satisfy it."""
    high_open: bool = False


MOST_COMPARED: Final = 100
"""Conditions of a rule that are compared with each other; nobody writes more by hand."""

_DOMAINS: Final = {Quantity.SHARE: Bounds(0, 1), Quantity.COUNT: Bounds(0)}


def bounds_of(condition: Condition) -> Bounds | None:
    """Return the limits that a condition sets to numbers; None when it sets none."""
    if condition.deltas:
        return None
    numbers = [operand for operand in condition.operands if isinstance(operand, (int, Fraction))]
    if len(numbers) != len(condition.operands) or any(isinstance(number, bool) for number in numbers):
        return None
    first = numbers[0]
    match condition.operator:
        case Operator.LESS | Operator.AT_MOST:
            return Bounds(high=first, high_open=condition.operator is Operator.LESS)
        case Operator.MORE | Operator.AT_LEAST:
            return Bounds(low=first, low_open=condition.operator is Operator.MORE)
        case Operator.UNEQUAL:
            return None
        case _:
            return Bounds(min(numbers), max(numbers))


def warn_of_vain_conditions(lines: tuple[Expectation, ...], unit: str, problems: Problems) -> None:
    """Warn of conditions that always hold, never hold, or never hold together."""
    for line in lines:
        _warn_of_domain(line, _DOMAINS.get(line.statistic.quantity(unit)), problems)
    ranked = [entry for line in lines[:MOST_COMPARED] for entry in _ranked(line)]
    for (below, lower), (above, upper) in product(ranked, ranked):
        if lower.line is not upper.line and _in_order(below, above) and _apart(lower.bounds, upper.bounds):
            later, earlier = sorted((lower.line, upper.line), key=lambda line: line.position, reverse=True)
            message = f"{_shown(later)} and {_shown(earlier)} can never hold together"
            problems.warn(later.position, codes.CONTRADICTION, message, "", len(later.statistic.name))


def _warn_of_domain(line: Expectation, domain: Bounds | None, problems: Problems) -> None:
    bounds = bounds_of(line.condition)
    if domain is None or bounds is None:
        return
    shown = _shown(line)
    width = len(line.statistic.name)
    if _apart(bounds, domain) or _apart(domain, bounds):
        problems.warn(line.position, codes.CONTRADICTION, f"{shown} can never hold", "", width)
    elif _covers(bounds, domain):
        problems.warn(
            line.position, codes.ALWAYS_HOLDS, f"{shown} always holds", "ask for something that can fail", width
        )


def _shown(line: Expectation) -> str:
    return f"{line.statistic} {line.condition}"


@dataclass(frozen=True, slots=True)
class _Entry:
    line: Expectation
    bounds: Bounds


_LOWEST: Final = -1
_MIN: Final = 0
_MAX: Final = 10_000
_HIGHEST: Final = 10_001
_MEAN: Final = None


def _ranked(line: Expectation) -> Iterator[tuple[int | None, _Entry]]:
    """Yield the line under its rank: statistics of lower rank are never above those of higher rank."""
    bounds = bounds_of(line.condition)
    if bounds is None:
        return
    if line.statistic.kind is Kind.EVERY:
        yield _LOWEST, _Entry(line, Bounds(low=bounds.low, low_open=bounds.low_open))
        yield _HIGHEST, _Entry(line, Bounds(high=bounds.high, high_open=bounds.high_open))
    elif line.statistic.kind is Kind.MEAN:
        yield _MEAN, _Entry(line, bounds)
    else:
        rank = _rank(line.statistic)
        if rank is not None:
            yield rank, _Entry(line, bounds)


def _rank(statistic: Statistic) -> int | None:
    return {Kind.MIN: _MIN, Kind.MAX: _MAX, Kind.PERCENTILE: statistic.permyriad}.get(statistic.kind)


def _in_order(below: int | None, above: int | None) -> bool:
    """Tell whether the one can never be above the other; a mean is only known to lie within."""
    if below is None or above is None:
        return (below is None or below <= _MIN) and (above is None or above >= _MAX)
    return below <= above


def _apart(lower: Bounds, upper: Bounds) -> bool:
    """Tell whether everything in `lower` is above everything in `upper`."""
    if lower.low is None or upper.high is None:
        return False
    return lower.low > upper.high or (lower.low == upper.high and (lower.low_open or upper.high_open))


def _covers(bounds: Bounds, domain: Bounds) -> bool:
    above = bounds.low is None or (
        domain.low is not None and (bounds.low < domain.low or (bounds.low == domain.low and not bounds.low_open))
    )
    below = bounds.high is None or (
        domain.high is not None and (bounds.high > domain.high or (bounds.high == domain.high and not bounds.high_open))
    )
    return above and below
