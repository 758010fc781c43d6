"""Durations as people write them, to and from exact nanoseconds; no float is ever involved."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

NS_PER_UNIT: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
"""Go's and Prometheus' units; a day is 24 hours, a week 7 days."""

PATTERN: Final = r"[+-]?(?:(?:\d{1,20}(?:\.\d{1,20})?|\.\d{1,20})(?:ns|us|µs|μs|ms|s|m|h|d|w))+"
"""What a duration looks like inside a longer text."""

LONGEST_NS: Final = (1 << 63) - 1

_WHOLE: Final = re.compile(PATTERN, re.ASCII)
_PART: Final = re.compile(r"(\d*\.?\d+)([a-zµμ]+)", re.ASCII)


class DurationError(ValueError):
    """The text is no duration; the message says what is wrong, `hint` how to mend it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse_duration(text: str, *, negative: bool = False) -> int:
    """Return the nanoseconds that `text` stands for.

    Raises `DurationError` for anything else, for a negative duration unless `negative`, for a
    fraction of a nanosecond and for more than 292 years.

    >>> parse_duration("1h30m"), parse_duration("1.5s"), parse_duration("250us")
    (5400000000000, 1500000000, 250000)
    """
    exact = parse_exact(text)
    if exact < 0 and not negative:
        raise DurationError(f"the duration `{text}` is negative")
    if exact.denominator != 1:
        raise DurationError(f"`{text}` is finer than a nanosecond")
    return exact.numerator


def parse_exact(text: str) -> Fraction:
    """Return the nanoseconds that `text` stands for, of either sign and with fractions kept.

    >>> parse_exact("-0.5ns")
    Fraction(-1, 2)
    """
    stripped = text.strip()
    if not _WHOLE.fullmatch(stripped):
        raise DurationError(*_what_is_wrong(stripped))
    parts = _PART.findall(stripped)
    total = sum((Fraction(number) * NS_PER_UNIT[unit] for number, unit in parts), Fraction(0))
    if total > LONGEST_NS:
        raise DurationError(f"`{text}` is longer than 292 years")
    return -total if stripped.startswith("-") else total


def _what_is_wrong(text: str) -> tuple[str, str]:
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text, re.ASCII):
        return f"`{text}` has no unit", f'write "{text}ms" or "{text}s"'
    if not text:
        return "an empty text is no duration", "write it like 250ms or 1h30m"
    return f"`{text}` is not a duration", "write it like 250ms, 1.5s or 1h30m; units are ns us ms s m h d w"


def format_duration(ns: float | Fraction) -> str:
    """Return a duration for people: four digits that matter, never more than two units.

    A shortened text is rounded and so never fit to compare by; `format_exact` is.

    >>> format_duration(231_400_000), format_duration(1_500_000_000), format_duration(123_000_000_000)
    ('231.4ms', '1.5s', '2m3s')
    """
    if ns != ns or ns in (float("inf"), float("-inf")):  # noqa: PLR0124 - the test for NaN, without importing math
        return str(ns)
    exact = Fraction(ns)
    if exact < 0:
        return "-" + format_duration(-exact)
    if exact >= NS_PER_UNIT["m"] - Fraction(NS_PER_UNIT["s"], 200):
        return _two_units(exact)
    for unit in ("ns", "us", "ms"):
        shown = _four_digits(exact / NS_PER_UNIT[unit])
        if shown < 1000:  # noqa: PLR2004 - a thousand of one unit is one of the next
            return f"{_decimal(shown)}{unit}"
    return f"{_decimal(_four_digits(exact / NS_PER_UNIT['s']))}s"


def format_exact(ns: int) -> str:
    """Return the canonical form, which `parse_duration` reads back to the same nanoseconds.

    >>> format_exact(5_400_000_000_000), format_exact(1_500_000_000), format_exact(0)
    ('1h30m', '1.5s', '0s')
    """
    if ns < 0:
        return "-" + format_exact(-ns)
    hours, rest = divmod(ns, NS_PER_UNIT["h"])
    minutes, rest = divmod(rest, NS_PER_UNIT["m"])
    lead = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    if not rest:
        return lead or "0s"
    unit = next(unit for unit in ("s", "ms", "us", "ns") if rest >= NS_PER_UNIT[unit])
    return f"{lead}{_decimal(Fraction(rest, NS_PER_UNIT[unit]), 9)}{unit}"


def _two_units(exact: Fraction) -> str:
    """Return what rounds to a minute or more in its largest unit and the next."""
    for large, small in (("d", "h"), ("h", "m")):
        if round(exact / NS_PER_UNIT[small]) * NS_PER_UNIT[small] >= NS_PER_UNIT[large]:
            return _whole_and_rest(exact, large, small)
    return _whole_and_rest(exact, "m", "s")


def _whole_and_rest(exact: Fraction, large: str, small: str) -> str:
    whole, rest = divmod(round(exact / NS_PER_UNIT[small]), NS_PER_UNIT[large] // NS_PER_UNIT[small])
    return f"{whole}{large}{rest}{small}" if rest else f"{whole}{large}"


def _four_digits(value: Fraction) -> Fraction:
    return Fraction(round(value, 3 if value < 10 else 2 if value < 100 else 1))  # noqa: PLR2004 - powers of ten


def _decimal(value: Fraction, digits: int = 3) -> str:
    scaled = round(value * 10**digits)
    whole, rest = divmod(scaled, 10**digits)
    tail = str(rest).zfill(digits).rstrip("0")
    return f"{whole}.{tail}" if tail else str(whole)
