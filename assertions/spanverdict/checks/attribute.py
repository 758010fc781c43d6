"""`attribute`: any number that spans carry: tokens, cost, batch size, rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.output import read_stage_value

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.checks.valueof import ValueOf
    from spanverdict.diagnostics.yamldoc import Node


@dataclass(frozen=True, slots=True)
class Attribute:
    """Numbers, one for every span of a stage."""

    stage: str
    value: ValueOf

    key: ClassVar[str] = "attribute"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """Plain numbers."""
        return Unit.NUMBER

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{stage, value}`."""
        found = read_stage_value(node, context, "an attribute")
        return None if found is None else cls(*found)

    def measure(self, view: RunView) -> Measurement:
        """Give the number of every span of the stage; a span without one is missing."""
        from spanverdict.checks import values  # noqa: PLC0415 - numpy is not needed to read rules

        return values.one_a_span(self.stage, self.value, view)
