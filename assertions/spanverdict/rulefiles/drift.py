"""Reading `drift`: `ks <= 0.1`, `psi <= 0.2`, `shift <= 0.1`, `tv <= 0.1`, `chi2 >= 0.01`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import Node, Scalar, did_you_mean
from spanverdict.rulefiles.conditions import Condition, Operator, parse_condition
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.statistic import Kind, Quantity, Statistic


@dataclass(frozen=True, slots=True)
class DriftMeasure:
    """One way to measure drift."""

    example: str
    of_numbers: bool
    """Numbers, else categories."""
    unbounded: bool = False
    """It may be more than 1."""
    likelihood: bool = False
    """It is small when there is drift, and not when there is none."""


MEASURES: Final[Mapping[str, DriftMeasure]] = MappingProxyType(
    {
        "ks": DriftMeasure("ks <= 0.1", of_numbers=True),
        "psi": DriftMeasure("psi <= 0.2", of_numbers=True, unbounded=True),
        "shift": DriftMeasure("shift <= 0.1", of_numbers=True),
        "tv": DriftMeasure("tv <= 0.1", of_numbers=False),
        "chi2": DriftMeasure("chi2 >= 0.01", of_numbers=False, likelihood=True),
    }
)
_SYNTAX: Final = re.compile(r"\s*([A-Za-z]\w*)\s*(.*?)\s*", re.DOTALL)
_HINT: Final = 'write "ks <= 0.1" for numbers, "tv <= 0.1" for categories'


def read_drift(node: Node, unit: str) -> tuple[Statistic, Condition]:
    """Return the drift that a node asks of a measure's values, and its condition; raises `Mistake`."""
    text = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise Mistake(codes.DRIFT, "drift has to say how it is measured", _HINT)
    name, rest = match[1], match[2]
    measure = MEASURES.get(name)
    if measure is None:
        hint = did_you_mean(name, list(MEASURES)) or f"it is measured by {', '.join(MEASURES)}"
        raise Mistake(codes.DRIFT, f"drift is not measured by `{name}`", hint, match.start(1), len(name))
    if not measure.of_numbers and unit != "any":
        raise Mistake(codes.DRIFT, f"{name} is for categories, and these are numbers", 'write "ks <= 0.1"')
    if not rest:
        raise Mistake(codes.DRIFT, f"{name} needs a limit", f'write it like "{measure.example}"')
    condition = _limit(name, measure, rest, match.start(2))
    return Statistic("drift", Kind.DRIFT, drift=name), replace(condition, text=f"{name} {condition.text}")


def _limit(name: str, measure: DriftMeasure, text: str, offset: int) -> Condition:
    """Read the condition after the name, a limit on the side where it can fail."""
    try:
        condition = parse_condition(text, Quantity.NUMBER)
    except Mistake as mistake:
        mistake.offset += offset
        raise
    wanted = (Operator.MORE, Operator.AT_LEAST) if measure.likelihood else (Operator.LESS, Operator.AT_MOST)
    if condition.operator not in wanted or condition.deltas:
        why = "how likely this is without drift, small when there is some" if measure.likelihood else "a distance"
        raise Mistake(codes.DRIFT, f"{name} is {why}", f'write it like "{measure.example}"', offset, len(text))
    limit = condition.operands[0]
    if isinstance(limit, (str, bool)) or limit <= 0 or (limit >= 1 and not measure.unbounded):
        room = "more than 0" if measure.unbounded else "between 0 and 1"
        raise Mistake(
            codes.DRIFT, f"a limit for {name} is {room}", f'write it like "{measure.example}"', offset, len(text)
        )
    return condition
