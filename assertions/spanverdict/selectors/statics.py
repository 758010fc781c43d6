"""Reads numbers and durations, and computes what is constant."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from spanverdict.selectors import tree
from spanverdict.selectors.errors import SelectorSyntaxError
from spanverdict.selectors.lexer import Token
from spanverdict.selectors.literals import LiteralError, fits, is_duration, nanoseconds
from spanverdict.selectors.tree import NUMERIC, Place, Static, Type
from spanverdict.selectors.words import MAX_INT

_INT: Final = re.compile(r"[0-9]+", re.ASCII)
_FLOAT: Final = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST: Final = 400
_DAYS: Final = re.compile(r"([0-9]+)([dw])", re.ASCII)
_HOURS: Final = MappingProxyType({"d": 24, "w": 168})


def static_number(token: Token, minus_at: int | None = None) -> Static:
    """Read a number or duration; with `minus_at` it is negative and starts there."""
    text = token.text
    start = token.start if minus_at is None else minus_at
    place = (start, token.start + len(text) - start)
    sign = 1 if minus_at is None else -1
    if len(text) > _LONGEST:
        raise SelectorSyntaxError(f"a number has at most {_LONGEST} characters", place=place)
    if _INT.fullmatch(text):
        return integer(Type.INT, sign * int(text), place)
    if is_duration(text):
        try:
            return integer(Type.DURATION, sign * nanoseconds(text), place)
        except LiteralError as error:
            raise SelectorSyntaxError(error.message, place=place) from None
    if _FLOAT.fullmatch(text):
        return _float(sign * float(text), place)
    raise SelectorSyntaxError(f"`{text}` is not a number", hint=_number_hint(text), place=place)


def negative(number: Static, minus_at: int) -> Static:
    """Return a number with its sign turned, as written with a minus before it."""
    assert isinstance(number.value, int | float)  # the caller looked at its type
    place = (minus_at, number.place[0] + number.place[1] - minus_at)
    if number.type is Type.FLOAT:
        return _float(-number.value, place)
    return integer(number.type, -int(number.value), place)


def integer(kind: Type, value: int, place: Place) -> Static:
    """Return an integer or duration, which must fit 64 bits."""
    if not fits(value):
        raise SelectorSyntaxError(
            "this number does not fit 64 bits",
            hint="`minInt` and `maxInt` are the bounds",
            place=place,
        )
    return Static(kind, value, place)


def _float(value: float, place: Place) -> Static:
    if math.isinf(value):
        raise SelectorSyntaxError("this number is too large", place=place)
    return Static(Type.FLOAT, value, place)


def _number_hint(text: str) -> str:
    if text[0] == ".":
        return f'an attribute that starts with a digit stands in quotes: `."{text[1:]}"`'
    days = _DAYS.fullmatch(text)
    if days and len(text) < len(str(MAX_INT)):
        return f"`h` is the longest unit of time: `{int(days[1]) * _HOURS[days[2]]}h`"
    return "a duration has the units h, m, s, ms, us and ns: `1h30m`, `250ms`"


class NoNumberError(ArithmeticError):
    """A constant that has no value: a division by zero, or a result beyond 64 bits."""


def constant(node: tree.Node) -> Static | None:
    """Compute an expression that reads no field; None for any other.

    Raises:
        NoNumberError: when the result is no number.
    """
    match node:
        case Static():
            return node
        case tree.Unary(op="-"):
            inner = constant(node.operand)
            return None if inner is None else _calculated("-", Static(Type.INT, 0), inner)
        case tree.Binary(op="+" | "-" | "*" | "/" | "%" | "^"):
            left, right = constant(node.left), constant(node.right)
            return None if left is None or right is None else _calculated(node.op, left, right)
        case _:
            return None


def _calculated(op: str, left: Static, right: Static) -> Static:
    a, b = left.value, right.value
    if left.type not in NUMERIC or right.type not in NUMERIC:
        raise NoNumberError("this is no number")
    assert not isinstance(a, str | None)  # as their types say
    assert not isinstance(b, str | None)
    try:
        value = CALCULATE[op](a, b)
    except ZeroDivisionError:
        raise NoNumberError("this divides by zero") from None
    except (OverflowError, ValueError):
        raise NoNumberError("this is no number that fits 64 bits") from None
    whole = isinstance(value, int)
    if not (fits(int(value)) if whole else math.isfinite(value)):
        raise NoNumberError("this is no number that fits 64 bits")
    return Static(Type.INT if whole else Type.FLOAT, value)


def _divided(a: float, b: float) -> int | float:
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return float(a) / float(b)


def _remainder(a: float, b: float) -> int | float:
    if b == 0:
        raise ZeroDivisionError
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) % abs(b) * (-1 if a < 0 else 1)
    return math.fmod(a, b)


def _power(a: float, b: float) -> int | float:
    if a == 0 and b < 0:
        raise ZeroDivisionError
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if abs(a) > 1 and b >= 64:  # noqa: PLR2004 - bits of an integer
            raise OverflowError
        return int(a ** (b if abs(a) > 1 else min(b, 2 + b % 2)))
    return math.pow(a, b)


CALCULATE: Final = MappingProxyType[str, Callable[[float, float], float]](
    {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": _divided,
        "%": _remainder,
        "^": _power,
    }
)
"""What the operators mean for two numbers: integers stay integers wherever the result is one."""
