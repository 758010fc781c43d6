"""`output`: what the system answered, one value a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.checks.valueof import ValueOf
    from spanverdict.diagnostics.yamldoc import Node

_KEYS: Final = ("stage", "value")


@dataclass(frozen=True, slots=True)
class Output:
    """An attribute at a stage, of any type, one a request."""

    stage: str
    value: ValueOf

    key: ClassVar[str] = "output"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """Whatever the attribute holds."""
        return Unit.ANY

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{stage, value}`."""
        found = read_stage_value(node, context, "an output")
        return None if found is None else cls(*found)

    def measure(self, view: RunView) -> Measurement:
        """Give the value of the last attempt of the stage that carries one and did not fail."""
        from spanverdict.checks import values  # noqa: PLC0415 - numpy is not needed to read rules

        return values.one_a_request(self.stage, self.value, view)


def read_stage_value(node: Node, context: ReadContext, what: str) -> tuple[str, ValueOf] | None:
    """Read `{stage, value}`; None when something was reported."""
    reader = context.reader(node, _KEYS, what)
    if reader is None:
        return None
    stage_node, value_node = reader.require("stage"), reader.require("value")
    stage = None if stage_node is None else context.stage(stage_node)
    value = None if value_node is None else context.value(value_node)
    return None if stage is None or value is None else (stage, value)
