"""`throughput`: matching spans a second, over the active time of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from spanverdict.checks.check import Measurement, Unit

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node
    from spanverdict.selectors import Selector


@dataclass(frozen=True, slots=True)
class Throughput:
    """Matches over the seconds from the first start to the last end of the run."""

    of: Selector

    key: ClassVar[str] = "throughput"
    statistics: ClassVar[tuple[str, ...]] = ("rate", "samples")

    @property
    def unit(self) -> Unit:
        """A plain number, per second."""
        return Unit.NUMBER

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read a selector."""
        selector = context.selector(node)
        return None if selector is None else cls(selector)

    def measure(self, view: RunView) -> Measurement:
        """Give one quotient: matches in 10⁹ ns."""
        from spanverdict.checks import matches  # noqa: PLC0415 - numpy is not needed to read rules

        return matches.rate(self.of, view)
