"""Statistics: what an expectation asks of a measure's values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import did_you_mean
from spanverdict.rulefiles.mistake import Mistake


class Kind(StrEnum):
    """Which statistic it is; `PERCENTILE` needs to be told which one."""

    PERCENTILE = "percentile"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    SUM = "sum"
    STDDEV = "stddev"
    SAMPLES = "samples"
    DRIFT = "drift"
    RATIO = "ratio"
    COUNT = "count"
    RATE = "rate"
    EVERY = "every"
    ANY = "any"
    NONE = "none"


class Quantity(StrEnum):
    """What a condition is about, and so how its text is read."""

    DURATION = "duration"
    SHARE = "share"
    COUNT = "count"
    NUMBER = "number"
    TRUTH = "truth"
    ANY = "any"


_FIXED: Final = {
    Kind.SAMPLES: Quantity.COUNT,
    Kind.COUNT: Quantity.COUNT,
    Kind.RATIO: Quantity.SHARE,
    Kind.RATE: Quantity.NUMBER,
    Kind.DRIFT: Quantity.NUMBER,
}
"""What these are about is the same for every measure."""

QUANTIFIERS: Final = frozenset({Kind.EVERY, Kind.ANY, Kind.NONE})
"""These look at each value by itself."""

_OF_NUMBERS: Final = frozenset({Kind.PERCENTILE, Kind.MIN, Kind.MAX, Kind.MEAN, Kind.SUM, Kind.STDDEV})
_EVERYWHERE: Final = QUANTIFIERS | {Kind.SAMPLES}

OF_UNIT: Final[Mapping[str, frozenset[Kind]]] = MappingProxyType(
    {
        "duration": _OF_NUMBERS | _EVERYWHERE,
        "share": (_OF_NUMBERS - {Kind.SUM}) | _EVERYWHERE,
        "number": _OF_NUMBERS | _EVERYWHERE | {Kind.DRIFT},
        "truth": _EVERYWHERE | {Kind.RATIO, Kind.COUNT},
        "any": _OF_NUMBERS | _EVERYWHERE | {Kind.DRIFT},
    }
)
"""What can be asked of a measure that does not list its statistics, by its unit."""

_NAMES: Final = tuple(kind.value for kind in Kind if kind is not Kind.PERCENTILE)
_ELSEWHERE: Final = MappingProxyType(
    {
        "average": "mean",
        "avg": "mean",
        "median": "p50",
        "std": "stddev",
        "stdev": "stddev",
        "total": "sum",
        "n": "samples",
        "all": "every",
        "each": "every",
        "some": "any",
        "minimum": "min",
        "maximum": "max",
    }
)
"""What other tools call a statistic."""
_PERCENTILE: Final = re.compile(r"p(\d{1,5})(?:\.(\d{1,9}))?", re.ASCII)
_SMALLEST: Final = Fraction(1, 10)
"""p0.1: anything else up to 1 is more likely a fraction (p0.95) than meant."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic, `name` as written.

    >>> parse_statistic("p99.9")
    Statistic(name='p99.9', kind=<Kind.PERCENTILE: 'percentile'>, permyriad=9990)
    """

    name: str
    kind: Kind
    permyriad: int | None = None
    """Of a percentile: how many of 10,000 values lie at or below it."""
    drift: str = field(default="", repr=False)
    """Of drift: how it is measured, as its condition says."""

    def __str__(self) -> str:
        return self.name

    def quantity(self, unit: str) -> Quantity:
        """Return what its conditions are about, for a measure whose values are `unit`."""
        if self.kind in _FIXED:
            return _FIXED[self.kind]
        if unit == "any" and self.kind not in QUANTIFIERS:
            return Quantity.NUMBER
        return Quantity(unit)

    def asked_of(self, unit: str, statistics: tuple[str, ...] | None) -> bool:
        """Tell whether a measure of this unit, which may list its `statistics`, has it.

        A list names statistics as a rule does, and all percentiles as `percentile`.
        """
        if statistics is None:
            return self.kind in OF_UNIT[unit]
        return self.kind in statistics or self.name in statistics


@lru_cache(maxsize=256)
def parse_statistic(text: str) -> Statistic:
    """Return the statistic that `text` names; raises `Mistake`."""
    if text in _NAMES:
        return Statistic(text, Kind(text))
    match = _PERCENTILE.fullmatch(text)
    if match:
        return _percentile(text, match[1], match[2] or "")
    meant = _ELSEWHERE.get(text.lower())
    hint = f"did you mean `{meant}`?" if meant else did_you_mean(text, [*_NAMES, "p50", "p95", "p99"])
    raise Mistake(
        codes.UNKNOWN_STATISTIC, f"`{text}` is no statistic", hint or f"they are p50, p99.9, {', '.join(_NAMES)}"
    )


def _percentile(text: str, whole: str, digits: str) -> Statistic:
    per_cent = Fraction(f"{whole}.{digits}" if digits else whole)
    if digits and per_cent <= 1 and per_cent != _SMALLEST:
        message = f"percentiles are written in per cent, not as the fraction in `{text}`"
        raise Mistake(codes.PERCENTILE_SCALE, message, _meant(per_cent * 100))
    if per_cent <= 0 or per_cent >= 100:  # noqa: PLR2004 - per cent
        raise Mistake(codes.PERCENTILE_SCALE, f"`{text}` is outside p0.1 to p99.99", _meant(per_cent))
    permyriad = per_cent * 100
    if permyriad.denominator != 1:
        raise Mistake(
            codes.PERCENTILE_SCALE, f"`{text}` is finer than 0.01 per cent", "the highest percentile is p99.99"
        )
    return Statistic(text, Kind.PERCENTILE, permyriad.numerator)


def _meant(per_cent: Fraction) -> str:
    if per_cent in (0, 100):
        return f"did you mean `{'max' if per_cent else 'min'}`?"
    shown = f"{float(per_cent):.2f}".rstrip("0").rstrip(".")
    return f"did you mean `p{shown}`?" if per_cent < 100 else ""  # noqa: PLR2004 - per cent
