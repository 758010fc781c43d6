"""Conditions: `< 200ms`, `0..1`, `in [a, b]`, `matches /re/`, read once and then exact.

Nothing is rounded before it is compared. Whole numbers, durations and shares are compared as the
integers and fractions that they are. A float is compared with the double that the written decimal
denotes, so that an exported 0.1 is `<= 0.1`. NaN, infinities and values of another type than the
condition's satisfy nothing, not even `!=`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from spanverdict.diagnostics import codes
from spanverdict.rulefiles.literals import LITERAL, Operand, read_literal
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.relative import COMPARED, SAME, SYNTAX, Delta, read_delta
from spanverdict.rulefiles.statistic import Quantity

if TYPE_CHECKING:
    import re2

MAX_PATTERN: Final = 1000
"""Characters of a regular expression."""
MAX_PROGRAM_BYTES: Final = 1 << 20
"""Memory that a compiled regular expression may take."""

Value: TypeAlias = int | float | str | bool | Fraction


class Operator(StrEnum):
    """How a value is compared with the operands."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    EQUAL = "=="
    UNEQUAL = "!="
    WITHIN = ".."
    IN = "in"
    MATCHES = "matches"


ORDERINGS: Final = frozenset({Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST, Operator.WITHIN})
"""These make sense for numbers only."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one value; `str` gives it as written.

    >>> condition = parse_condition("<= 0.5", Quantity.NUMBER)
    >>> condition.holds(0.5), condition.holds(float("nan")), str(condition)
    (True, False, '<= 0.5')
    """

    text: str
    operator: Operator
    operands: tuple[Operand, ...]
    """One; two (low, high) for `..`; one or more for `in`; the pattern for `matches`; none beside `deltas`."""
    deltas: tuple[Delta, ...] = ()
    """Of a condition relative to a baseline, in place of operands: how far from it the limits lie."""

    def __str__(self) -> str:
        return self.text

    def holds(self, value: Value) -> bool:
        """Tell whether `value` satisfies it; exact, and false for NaN, infinities and other types."""
        plain: Value = value.item() if hasattr(value, "item") else value
        if isinstance(plain, float) and not math.isfinite(plain):
            return False
        if self.operator is Operator.IN:
            return any(_alike(plain, operand) and _sign(plain, operand) == 0 for operand in self.operands)
        if self.operator is Operator.MATCHES:
            return isinstance(plain, str) and _pattern(str(self.operands[0])).fullmatch(plain) is not None
        if not _alike(plain, self.operands[0]):
            return False
        return self._compares(plain)

    def asks_of(self, value: Value) -> bool:
        """Tell whether it is a question at all of `value`: of its type, and of a finite number."""
        plain: Value = value.item() if hasattr(value, "item") else value
        if isinstance(plain, float) and not math.isfinite(plain):
            return False
        return any(_alike(plain, operand) for operand in self.operands)

    def _compares(self, value: Value) -> bool:
        sign = _sign(value, self.operands[0])
        match self.operator:
            case Operator.LESS:
                return sign < 0
            case Operator.AT_MOST:
                return sign <= 0
            case Operator.MORE:
                return sign > 0
            case Operator.AT_LEAST:
                return sign >= 0
            case Operator.EQUAL:
                return sign == 0
            case Operator.UNEQUAL:
                return sign != 0
            case _:
                return sign >= 0 and _sign(value, self.operands[1]) <= 0


def _alike(value: Value, operand: Operand) -> bool:
    """Tell whether the two can be compared: both text, both truth, or both numbers."""
    if isinstance(operand, str) or isinstance(value, str):
        return isinstance(operand, str) and isinstance(value, str)
    return isinstance(operand, bool) == isinstance(value, bool)


def _sign(value: Value, operand: Operand) -> int:
    """Return -1, 0 or 1 as `value` is less than, equal to or more than the operand."""
    if isinstance(value, str) or isinstance(operand, str):
        return 0 if value == operand else 1
    limit = float(operand) if isinstance(operand, Fraction) and isinstance(value, float) else operand
    return (value > limit) - (value < limit)


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re2._Regexp[str]:
    import re2  # noqa: PLC0415 - 4 ms of a start that most rule files need not pay

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_PROGRAM_BYTES
    return re2.compile(pattern, options)


_SYNTAX: Final = re.compile(
    rf"(?P<operator><=|>=|==|!=|<|>)\s*(?P<operand>{LITERAL})"
    rf"|(?P<low>{LITERAL})\s*(?P<range>\.\.)\s*(?P<high>{LITERAL})"
    rf"|in\s*\[(?P<list>.*)\]"
    rf"|matches\s*/(?P<pattern>.*)/",
    re.DOTALL,
)
_ITEM: Final = re.compile(rf"\s*({LITERAL})\s*(,|\Z)")
_MISSPELT: Final = {"=<": "<=", "=>": ">=", "≤": "<=", "≥": ">=", "≠": "!=", "<>": "!=", "=": "=="}


def parse_condition(text: str, quantity: Quantity) -> Condition:
    """Return the condition that `text` states about a `quantity`; raises `Mistake`."""
    stripped = text.strip()
    start = text.index(stripped) if stripped else 0
    relative = SYNTAX.fullmatch(stripped)
    if relative and (quantity in COMPARED or stripped.endswith("of baseline")):
        return _relative(relative, quantity, start)
    match = _SYNTAX.fullmatch(stripped)
    if match is None:
        raise _unreadable(stripped, quantity)
    operator = Operator(match["operator"] or match["range"] or ("in" if match["list"] is not None else "matches"))
    _check_operator(operator, quantity)
    return Condition(stripped, operator, _operands(match, operator, quantity, start))


def _relative(match: re.Match[str], quantity: Quantity, start: int) -> Condition:
    """Return a condition that compares with a baseline."""
    if quantity not in COMPARED:
        raise Mistake(codes.RELATIVE_CONDITION, "only a number can be so far from a baseline")
    names = ("delta",) if match["operator"] else ("low", "high")
    operator = Operator(match["operator"] or "..")
    deltas = tuple(_delta(match, name, quantity, start) for name in names)
    if deltas[0].relative == deltas[-1].relative and deltas[0].amount > deltas[-1].amount:
        message = f"the range {match.group()} is empty"
        raise Mistake(codes.CONDITION_SYNTAX, message, "write the smaller value first")
    return Condition(match.group(), operator, (), deltas)


def _delta(match: re.Match[str], name: str, quantity: Quantity, start: int) -> Delta:
    if match[name] is None:
        return SAME
    try:
        return read_delta(match[name], quantity)
    except Mistake as mistake:
        mistake.offset, mistake.length = start + match.start(name), len(match[name])
        raise


def condition_of_list(items: tuple[Operand, ...], quantity: Quantity) -> Condition:
    """Return `in [...]` for values that stand in a YAML list."""
    _check_operator(Operator.IN, quantity)
    shown = ", ".join(_shown(item) for item in items)
    return Condition(f"in [{shown}]", Operator.IN, items)


def _operands(match: re.Match[str], operator: Operator, quantity: Quantity, start: int) -> tuple[Operand, ...]:
    if operator is Operator.IN:
        return _list(match["list"], quantity, start + match.start("list"))
    if operator is Operator.MATCHES:
        return (_checked_pattern(match["pattern"], start + match.start("pattern")),)
    names = ("low", "high") if operator is Operator.WITHIN else ("operand",)
    operands = tuple(_read(match[name], quantity, start + match.start(name)) for name in names)
    if operator in ORDERINGS:
        _check_order(operands, match.group())
    return operands


def _read(text: str, quantity: Quantity, offset: int) -> Operand:
    try:
        return read_literal(text, quantity)
    except Mistake as mistake:
        mistake.offset, mistake.length = offset, len(text)
        raise


def _list(text: str, quantity: Quantity, offset: int) -> tuple[Operand, ...]:
    found: list[Operand] = []
    at = 0
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None:
            message = f"a list of values separated by commas is needed, not `{text[at:].strip()}`"
            raise Mistake(codes.CONDITION_SYNTAX, message, "", offset + at, len(text) - at)
        found.append(_read(item[1], quantity, offset + item.start(1)))
        at = item.end()
    if not found:
        raise Mistake(codes.CONDITION_SYNTAX, "an empty list holds no value, so the condition can never hold")
    return tuple(found)


def _checked_pattern(pattern: str, offset: int) -> str:
    import re2  # noqa: PLC0415 - as in `_pattern`

    if len(pattern) > MAX_PATTERN:
        message = f"the regular expression is longer than {MAX_PATTERN} characters"
        raise Mistake(codes.BAD_REGEX, message, "", offset, len(pattern))
    try:
        _pattern(pattern)
    except re2.error as error:
        message = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        hint = "expressions are RE2's: without look-around and back references"
        raise Mistake(codes.BAD_REGEX, f"regular expression: {message}", hint, offset, max(1, len(pattern))) from error
    return pattern


def _check_operator(operator: Operator, quantity: Quantity) -> None:
    if operator is Operator.MATCHES and quantity is not Quantity.ANY:
        raise Mistake(codes.CONDITION_MISMATCH, f"'matches' is for texts, and this is a {quantity}")
    if quantity is Quantity.TRUTH and operator not in (Operator.EQUAL, Operator.UNEQUAL):
        raise Mistake(codes.CONDITION_MISMATCH, "this is true or false", "write == true or == false")


def _check_order(operands: tuple[Operand, ...], text: str) -> None:
    for operand in operands:
        if isinstance(operand, (str, bool)):
            message = f"{text} puts {_shown(operand)} in an order, which only numbers have"
            raise Mistake(codes.CONDITION_MISMATCH, message, "texts are compared with ==, !=, in and matches")
    if len(operands) > 1 and _sign(operands[0], operands[1]) > 0:
        raise Mistake(codes.CONDITION_SYNTAX, f"the range {text} is empty", "write the smaller value first")


def _unreadable(text: str, quantity: Quantity) -> Mistake:
    if not text:
        return Mistake(codes.EMPTY, "the condition is empty", f"write one like {_EXAMPLES[quantity]}")
    for wrong, right in _MISSPELT.items():
        if text.startswith(wrong) and not text.startswith("=="):
            return Mistake(
                codes.CONDITION_SYNTAX, f"`{wrong}` is no comparison", f"did you mean `{right}`?", 0, len(wrong)
            )
    spaced = re.sub(r"(?<=\d)\s+(?=[a-zµμ])", "", text)
    if spaced != text and _SYNTAX.fullmatch(spaced):
        return Mistake(codes.CONDITION_SYNTAX, f"`{text}` has a space before the unit", f'write "{spaced}"')
    if re.fullmatch(LITERAL, text):
        return _bare(text, quantity)
    return Mistake(codes.CONDITION_SYNTAX, f"`{text}` is not a condition", f"write one like {_EXAMPLES[quantity]}")


def _bare(text: str, quantity: Quantity) -> Mistake:
    try:
        read_literal(text, quantity)
    except Mistake as mistake:
        if mistake.code != codes.UNIT_NEEDED:
            return mistake
    message = f"`{text}` does not say how to compare"
    return Mistake(codes.CONDITION_SYNTAX, message, f'write "{bare_example(text, quantity)}"')


def bare_example(text: str, quantity: Quantity) -> str:
    """Return what somebody who wrote a bare value may have meant."""
    operators = {Quantity.DURATION: "<", Quantity.SHARE: ">=", Quantity.COUNT: ">=", Quantity.NUMBER: "<="}
    unit = "ms" if quantity is Quantity.DURATION and text.isdecimal() else ""
    return f"{operators.get(quantity, '==')} {text}{unit}"


def _shown(operand: Operand) -> str:
    if isinstance(operand, bool):
        return str(operand).lower()
    if isinstance(operand, Fraction):
        return f"{float(operand):g}"
    return str(operand)


_EXAMPLES: Final = {
    Quantity.DURATION: '"< 200ms" or "10ms..1s"',
    Quantity.SHARE: '">= 99.5%"',
    Quantity.COUNT: '">= 100" or "0..2"',
    Quantity.NUMBER: '"<= 0.5" or "0..1"',
    Quantity.TRUTH: '"== true"',
    Quantity.ANY: '"== approve", "0..1", "in [a, b]" or "matches /v[0-9]+/"',
}
