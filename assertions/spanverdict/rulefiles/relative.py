"""How far from a baseline a limit lies: `+10%`, `+5ms`, `-1pp`, read once and then exact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.rulefiles.literals import NUMBER, read_literal
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.statistic import Quantity

SYNTAX: Final = re.compile(
    r"(?P<operator><=|>=|==|!=|<|>)\s*(?:(?P<delta>.*?\S)\s+of\s+)?baseline"
    r"|(?P<low>.*?\S)\s*\.\.\s*(?P<high>.*?\S)\s+of\s+baseline",
    re.DOTALL,
)
"""A comparison with a baseline; what stands before `of` is for `read_delta`."""

COMPARED: Final = frozenset({Quantity.DURATION, Quantity.SHARE, Quantity.COUNT, Quantity.NUMBER})
"""What can lie so far from a baseline: numbers."""

_PERCENT: Final = re.compile(rf"({NUMBER})\s*%", re.ASCII)
_POINTS: Final = re.compile(rf"({NUMBER})\s*pp", re.ASCII)


@dataclass(frozen=True, slots=True)
class Delta:
    """How far from the baseline a limit lies.

    >>> Delta(Fraction(1, 10), relative=True).limit(Fraction(200)), Delta(Fraction(-5)).limit(Fraction(200))
    (Fraction(220, 1), Fraction(195, 1))
    """

    amount: Fraction
    relative: bool = False
    """The amount is a part of the baseline's size, else it is in the statistic's own unit."""

    def limit(self, baseline: Fraction) -> Fraction:
        """Return the limit for one value of the baseline. A part of 0 is 0; of what is negative it is positive."""
        return baseline + (self.amount * abs(baseline) if self.relative else self.amount)

    def limits(self, low: Fraction | None, high: Fraction | None) -> tuple[Fraction | None, Fraction | None]:
        """Return between which limits the limit lies for a baseline between `low` and `high`; None is no end."""
        if self.relative and abs(self.amount) > 1:
            return self._of_bent(low, high)
        return (None if low is None else self.limit(low), None if high is None else self.limit(high))

    def _of_bent(self, low: Fraction | None, high: Fraction | None) -> tuple[Fraction | None, Fraction | None]:
        """More than the whole baseline: below 0 the limit moves against it, so 0 is an end as well."""
        if low is None or high is None:
            return None, None
        found = [self.limit(end) for end in (low, high, *((Fraction(0),) if low < 0 < high else ()))]
        return min(found), max(found)


SAME: Final = Delta(Fraction(0))
"""The baseline itself."""


def read_delta(text: str, quantity: Quantity) -> Delta:
    """Return the delta that `text` stands for, of a statistic that is a `quantity`; raises `Mistake`.

    >>> read_delta("+10%", Quantity.DURATION), read_delta("+5ms", Quantity.DURATION)
    (Delta(amount=Fraction(1, 10), relative=True), Delta(amount=Fraction(5000000, 1), relative=False))
    """
    if text[:1] not in {"+", "-"} or text[1:2] in {"+", "-"}:
        raise Mistake(codes.RELATIVE_CONDITION, f"`{text} of baseline` needs one sign", _signed(text.lstrip("+-")))
    if percent := _PERCENT.fullmatch(text):
        part = Fraction(percent[1]) / 100
        if part < -1:
            message = f"{text} of baseline is less than nothing"
            raise Mistake(codes.RELATIVE_CONDITION, message, "a part of a baseline goes down to -100%")
        return Delta(part, relative=True)
    if quantity is Quantity.SHARE:
        return Delta(_points(text))
    if _POINTS.fullmatch(text):
        raise Mistake(codes.CONDITION_MISMATCH, f"{text}: percentage points are for shares, and this is a {quantity}")
    size = Fraction(read_literal(text[1:], quantity))
    return Delta(-size if text.startswith("-") else size)


def _points(text: str) -> Fraction:
    points = _POINTS.fullmatch(text)
    if points is None:
        message = f"{text} is not how shares differ"
        hint = "write +1pp for a percentage point, or +1% for a hundredth part of the baseline"
        raise Mistake(codes.CONDITION_MISMATCH, message, hint)
    return Fraction(points[1]) / 100


def _signed(text: str) -> str:
    percent = _PERCENT.fullmatch(text)
    part = Fraction(percent[1]) / 100 if percent else Fraction(0)
    if part > Fraction(1, 2):
        return f"did you mean `{float((part - 1) * 100):+g}%`?"
    return f"did you mean `+{text}` or `-{text}`?"
