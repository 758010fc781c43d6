"""Reading `expect`: which statistics may be asked of a measure, and what their conditions may say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Scalar, Sequence, wrong_type
from spanverdict.rulefiles.bounds import warn_of_vain_conditions
from spanverdict.rulefiles.conditions import Condition, bare_example, condition_of_list, parse_condition
from spanverdict.rulefiles.drift import read_drift
from spanverdict.rulefiles.literals import Operand, read_literal
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import OF_UNIT, QUANTIFIERS, Kind, Quantity, Statistic, parse_statistic

if TYPE_CHECKING:
    from spanverdict.checks.check import Check

_CONDITION: Final = re.compile(r"\s*(?:[<>]=?|[=!]=)\s*[^\s<>=]|\s*matches\s*/|\s*in\s*\[")


def read_expectations(node: Node, check: Check | None, problems: Problems) -> tuple[Expectation, ...]:
    """Return the conditions of `expect`, those with mistakes reported and left out.

    Without a check (its own mistakes are reported already) only the names of statistics are looked at.
    """
    if not isinstance(node, Mapping):
        wrong_type(problems, node, "expect has to be a mapping", 'write it like {p95: "< 200ms"}')
        return ()
    if not node.entries:
        problems.error(node.position, codes.EMPTY, "expect is empty, so nothing would be judged")
    lines = [_read_line(name, value, check, problems) for name, value in node.entries]
    found = tuple(line for line in lines if line is not None)
    if check is not None and len(found) == len(node.entries) and found:
        _warn_of_samples_alone(found, node, problems)
        warn_of_vain_conditions(found, check.unit, problems)
    return found


def _read_line(name: Scalar, value: Node, check: Check | None, problems: Problems) -> Expectation | None:
    try:
        statistic = parse_statistic(name.text)
        if check is None:
            return None
        _check_asked(statistic, check)
    except Mistake as mistake:
        mistake.report(name, problems)
        return None
    try:
        if statistic.kind is Kind.DRIFT:
            return Expectation(*read_drift(value, check.unit), name.position)
        condition = read_condition(value, statistic.quantity(check.unit), statistic.name)
        _check_relative(statistic, condition)
    except Mistake as mistake:
        mistake.report(value, problems)
        return None
    return Expectation(statistic, condition, name.position)


def _check_relative(statistic: Statistic, condition: Condition) -> None:
    if condition.deltas and statistic.kind in QUANTIFIERS:
        message = f"{statistic} looks at each value by itself, and none of them has a baseline"
        raise Mistake(codes.RELATIVE_CONDITION, message, "compare a statistic, such as p95 or mean, with the baseline")


def _check_asked(statistic: Statistic, check: Check) -> None:
    if statistic.asked_of(check.unit, check.statistics):
        return
    known = check.statistics or sorted(kind.value for kind in OF_UNIT[check.unit])
    shown = ", ".join("p50 … p99.99" if name == Kind.PERCENTILE else name for name in known)
    message = f"{check.key} has no {statistic.name}"
    raise Mistake(codes.STATISTIC_MISMATCH, message, f"it has {shown}")


def read_condition(node: Node, quantity: Quantity, what: str) -> Condition:
    """Return the condition that a node states as a text, or as a list of values; raises `Mistake`."""
    if isinstance(node, Sequence):
        if not node.items:
            raise Mistake(codes.EMPTY, "an empty list holds no value, so the condition can never hold")
        return condition_of_list(tuple(_read_item(item, quantity) for item in node.items), quantity)
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return parse_condition(node.value, quantity)
    if isinstance(node, Scalar) and node.value is not None:
        message = f"{what}: {node.text} does not say how to compare"
        hint = f'write "{bare_example(node.text, quantity)}", in quotes'
        raise Mistake(codes.CONDITION_SYNTAX, message, hint)
    raise Mistake(codes.WRONG_TYPE, f"{what} needs a condition", 'write it as a text like "< 200ms"')


def _read_item(item: Node, quantity: Quantity) -> Operand:
    try:
        if isinstance(item, Scalar) and item.value is not None:
            _refuse_condition(item)
            as_text = quantity is Quantity.ANY and isinstance(item.value, str)
            return item.text if as_text else read_literal(item.text, quantity)
        raise Mistake(codes.WRONG_TYPE, "the list has to hold plain values")  # noqa: TRY301 - joins the others below
    except Mistake as mistake:
        mistake.part = item
        raise


def _refuse_condition(item: Scalar) -> None:
    """Refuse what somebody means as one of two conditions; taken as a text it would seldom be met, and `none` pass."""
    if _CONDITION.match(item.text):
        message = f"a list holds values, one of which is wanted, and `{item.text}` looks like a condition"
        hint = "write a range such as 0..1, or another rule for the second condition"
        raise Mistake(codes.CONDITION_SYNTAX, message, hint)


def _warn_of_samples_alone(found: tuple[Expectation, ...], node: Mapping, problems: Problems) -> None:
    if all(line.statistic.kind is Kind.SAMPLES for line in found):
        message = "this rule only counts samples, and says nothing about their values"
        problems.warn(node.position, codes.ONLY_SAMPLES, message, "add a condition on the measure")
