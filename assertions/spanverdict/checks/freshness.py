"""`freshness`: how old the features were at the moment they were used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.diagnostics import codes

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.checks.valueof import ValueOf
    from spanverdict.diagnostics.yamldoc import Node, Reader

_KEYS: Final = ("stage", "age", "updated_at", "unit", "at", "skew")
_UNITS: Final = ("s", "ms", "us", "ns")


@dataclass(frozen=True, slots=True)
class Freshness:
    """Ages, one for every span of a stage."""

    stage: str
    field: ValueOf
    unit_name: str
    """`s`, `ms`, `us`, `ns`, or `rfc3339` for times written out."""
    is_time: bool
    """The attribute holds when the features were made, not how old they are."""
    at: str
    """Which end of the span is the moment of use: `start` or `end`."""
    skew_ns: int
    """How far two clocks may differ before an age below zero is wrong."""

    key: ClassVar[str] = "freshness"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """Ages are durations."""
        return Unit.DURATION

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{stage, age | updated_at, unit, at, skew}`."""
        reader = context.reader(node, _KEYS, "a freshness")
        if reader is None:
            return None
        source = _source(reader, context)
        stage_node = reader.require("stage")
        stage = None if stage_node is None else context.stage(stage_node)
        is_time = reader.node("updated_at") is not None
        unit = None if reader.require("unit") is None else reader.choice("unit", _units(is_time))
        at = reader.choice("at", ("start", "end"), "start")
        skew = reader.duration("skew", 0)
        if source is None or stage is None or unit is None or at is None or skew is None:
            return None
        return cls(stage, source, unit, is_time, at, skew)

    def measure(self, view: RunView) -> Measurement:
        """Give one age a span; of several values on one span the oldest counts."""
        from spanverdict.checks import ages  # noqa: PLC0415 - numpy is not needed to read rules

        return ages.measure(self, view)


def _units(is_time: bool) -> tuple[str, ...]:
    return (*_UNITS, "rfc3339") if is_time else _UNITS


def _source(reader: Reader, context: ReadContext) -> ValueOf | None:
    age, updated_at = reader.node("age"), reader.node("updated_at")
    if age is not None and updated_at is not None:
        hint = "keep `age` for how old they are, or `updated_at` for when they were made"
        message = "'age' and 'updated_at' exclude each other"
        context.problems.error(updated_at.position, codes.CONFLICTING_KEYS, message, hint, updated_at.width)
        return None
    node = age if age is not None else updated_at
    if node is None:
        message = "a freshness needs the key 'age' or 'updated_at'"
        context.problems.error(reader.mapping.position, codes.MISSING_KEY, message)
        return None
    return context.value(node)
