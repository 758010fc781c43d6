"""The values in conditions, read exactly: durations, shares, whole numbers, numbers, texts, truth."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, TypeAlias

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.durations import PATTERN, DurationError, parse_exact
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.statistic import Quantity

Operand: TypeAlias = int | Fraction | str | bool
"""A whole number is always an int, so that it compares exactly with ints and floats."""

NUMBER: Final = r"[+-]?(?:\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?"
QUOTED: Final = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'"
WORD: Final = r"[^\W\d][\w.:/-]*"
LITERAL: Final = rf"{PATTERN}|{NUMBER}(?:\s*%)?|{QUOTED}|{WORD}"
"""Any literal, longest kind first, so that the reader can say what is wrong with it."""

_DURATION: Final = re.compile(PATTERN, re.ASCII)
_NUMBER: Final = re.compile(NUMBER, re.ASCII)
_SHARE: Final = re.compile(rf"({NUMBER})\s*%", re.ASCII)
_WORD: Final = re.compile(WORD)
_QUOTED: Final = re.compile(QUOTED)
_TRUTH: Final = {"true": True, "false": False}


def read_literal(text: str, quantity: Quantity) -> Operand:
    """Return the value that `text` stands for where `quantity` is asked; raises `Mistake`.

    >>> read_literal("1.5s", Quantity.DURATION), read_literal("99.5%", Quantity.SHARE)
    (1500000000, Fraction(199, 200))
    """
    return _READERS[quantity](text)


def _duration(text: str) -> Operand:
    if _DURATION.fullmatch(text):
        try:
            return _whole(parse_exact(text))
        except DurationError as error:
            raise Mistake(codes.BAD_DURATION, error.message, error.hint) from error
    if _NUMBER.fullmatch(text):
        raise Mistake(codes.UNIT_NEEDED, f"the duration {text} has no unit", f"did you mean `{text}ms`?")
    raise _misfit(text, "a duration", "write it like 250ms, 1.5s or 1h30m")


def _share(text: str) -> Operand:
    percent = _SHARE.fullmatch(text)
    if percent:
        share = Fraction(percent[1]) / 100
    elif _NUMBER.fullmatch(text):
        share = Fraction(text)
    else:
        raise _misfit(text, "a share", "write it like 99.5% or 0.995")
    if not 0 <= share <= 1:
        meant = 1 < share <= 100 and not percent  # noqa: PLR2004 - per cent
        hint = f"did you mean `{text}%`?" if meant else ""
        raise Mistake(codes.SHARE_RANGE, f"the share {text} is outside 0 to 1 (0 % to 100 %)", hint)
    return _whole(share)


def _count(text: str) -> Operand:
    if not _NUMBER.fullmatch(text):
        raise _misfit(text, "a whole number", "write it like 100")
    number = _whole(Fraction(text))
    if not isinstance(number, int):
        raise Mistake(codes.NOT_INTEGER, f"{text} is not a whole number")
    if number < 0:
        raise Mistake(codes.OUT_OF_RANGE, f"{text} is less than nothing, which no count can be")
    return number


def _number(text: str) -> Operand:
    if _NUMBER.fullmatch(text):
        return _whole(Fraction(text))
    percent = _SHARE.fullmatch(text)
    if percent:
        raise _misfit(text, "a plain number", f"did you mean `{float(Fraction(percent[1]) / 100):g}`?")
    raise _misfit(text, "a plain number", "write it like 0.95 or 12")


def _truth(text: str) -> Operand:
    if text not in _TRUTH:
        raise _misfit(text, "true or false", "write == true or == false")
    return _TRUTH[text]


def _anything(text: str) -> Operand:
    if text in _TRUTH:
        return _TRUTH[text]
    if _NUMBER.fullmatch(text):
        return _whole(Fraction(text))
    if _QUOTED.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    if _WORD.fullmatch(text):
        return text
    raise _misfit(text, "a number, a text, true or false", f"put a text in quotes: '{text}'")


_READERS: Final = {
    Quantity.DURATION: _duration,
    Quantity.SHARE: _share,
    Quantity.COUNT: _count,
    Quantity.NUMBER: _number,
    Quantity.TRUTH: _truth,
    Quantity.ANY: _anything,
}


def _whole(number: Fraction) -> int | Fraction:
    return number.numerator if number.denominator == 1 else number


def _misfit(text: str, wanted: str, hint: str) -> Mistake:
    return Mistake(codes.CONDITION_MISMATCH, f"{text} is not {wanted}", hint)
