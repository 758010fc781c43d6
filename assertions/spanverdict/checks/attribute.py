"""`attribute`: any number that spans carry: tokens, cost, batch size, rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.output import read_stage_value
from spanverdict.diagnostics.yamldoc import Mapping, Reader

EACH: Final = "each"
SUM: Final = "sum"
_KEYS: Final = ("of", "stage", "value")

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.checks.valueof import ValueOf
    from spanverdict.diagnostics.yamldoc import Node


@dataclass(frozen=True, slots=True)
class Attribute:
    """Numbers of a stage, one for every span of it or one for every request."""

    stage: str
    value: ValueOf
    of: str = EACH
    """`each` span, or the `sum` of a request's."""

    key: ClassVar[str] = "attribute"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """Plain numbers."""
        return Unit.NUMBER

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{stage, value}`, and `of`."""
        found = read_stage_value(node, context, "an attribute", _KEYS)
        if found is None or not isinstance(node, Mapping):
            return None
        of = Reader(node, context.problems, _KEYS, "an attribute").choice("of", (EACH, SUM), EACH)
        return None if of is None else cls(*found, of)

    def measure(self, view: RunView) -> Measurement:
        """Give the number of every span of the stage, or their sum; what lacks one is missing."""
        from spanverdict.checks import values  # noqa: PLC0415 - numpy is not needed to read rules

        measure = values.summed if self.of == SUM else values.one_a_span
        return measure(self.stage, self.value, view)
