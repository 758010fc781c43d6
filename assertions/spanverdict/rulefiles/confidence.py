"""Reading `confidence`, and refusing it where no interval could ever satisfy a condition."""

from __future__ import annotations

from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Reader
from spanverdict.rulefiles.conditions import Condition, Operator
from spanverdict.rulefiles.literals import read_literal
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import Kind, Quantity

_WITH_INTERVAL: Final = frozenset({Kind.PERCENTILE, Kind.RATIO, Kind.MEAN})
_SINGLE_VALUES: Final = frozenset({Operator.EQUAL, Operator.UNEQUAL, Operator.IN})


def read_confidence(reader: Reader, lines: tuple[Expectation, ...]) -> float | None:
    """Return the level that a rule asks for, 0..1; None when it asks for none, or for what cannot be."""
    node = reader.node("confidence")
    if node is None:
        return None
    try:
        level = _level(getattr(node, "text", ""))
    except Mistake as mistake:
        mistake.report(node, reader.problems)
        return None
    for line in lines:
        _check(line, reader.problems)
    return level


def _level(text: str) -> float:
    level = float(read_literal(text, Quantity.SHARE))
    if not 0.5 <= level < 1:  # noqa: PLR2004 - half is a coin toss
        raise Mistake(codes.CONFIDENCE, "a confidence lies between 50% and 100%", "write it like 95%")
    return level


def _check(line: Expectation, problems: Problems) -> None:
    """`samples` is a fact and stays one; everything else needs an interval that can satisfy its condition."""
    statistic, condition = line.statistic, line.condition
    if statistic.kind is Kind.SAMPLES:
        return
    message = hint = ""
    if statistic.kind not in _WITH_INTERVAL:
        message = f"`{statistic}` has no interval of confidence"
        hint = "percentiles, mean and ratio have one; judge it in a rule without confidence"
        if statistic.kind is Kind.DRIFT:
            hint = "drift is judged by what chance alone would do as it is; judge it in a rule without confidence"
    elif condition.operator in _SINGLE_VALUES:
        message = f"`{condition}` asks for single values, which an interval never is"
        hint = "ask for a range or a limit, or judge it in a rule without confidence"
    elif statistic.kind is Kind.RATIO and (whole := _asks_for_all(condition)):
        message = f"no sample shows that a share is {whole}, so `{condition}` could never pass"
        hint = "leave a little room, or judge it in a rule without confidence"
    if message:
        problems.error(line.position, codes.CONFIDENCE, message, hint, len(statistic.name))


def _asks_for_all(condition: Condition) -> str:
    """Return the share that a condition leaves no room beside: the whole or nothing; empty when there is room."""
    if condition.deltas:
        return ""
    low, high = condition.operands[0], condition.operands[-1]
    if condition.operator in (Operator.AT_LEAST, Operator.WITHIN) and low == 1:
        return "100 %"
    return "0 %" if condition.operator in (Operator.AT_MOST, Operator.WITHIN) and high == 0 else ""
