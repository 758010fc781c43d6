"""`order`: did the stages of a request start in this order?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.diagnostics import codes

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node

_LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class Order:
    """True for a request whose stages start one after the other; a request that lacks one is missing."""

    stages: tuple[str, ...]

    key: ClassVar[str] = "order"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """True or false."""
        return Unit.TRUTH

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `all` or a list of two stages or more."""
        stages = context.stage_list(node)
        if stages is None:
            return None
        if len(stages) < _LEAST:
            context.problems.error(node.position, codes.OUT_OF_RANGE, "an order needs two stages or more")
            return None
        return cls(stages)

    def measure(self, view: RunView) -> Measurement:
        """Give one truth a request that has all the stages; optional stages may be absent."""
        from spanverdict.checks import sequence  # noqa: PLC0415 - numpy is not needed to read rules

        return sequence.measure(self, view)
