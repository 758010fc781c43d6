"""`ratio`: the share that the matches of one selector are of those of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node
    from spanverdict.selectors import Selector

_KEYS: Final = ("of", "over")


@dataclass(frozen=True, slots=True)
class Ratio:
    """Spans that match `of` over spans that match `over`."""

    of: Selector
    over: Selector

    key: ClassVar[str] = "ratio"
    statistics: ClassVar[tuple[str, ...]] = ("ratio", "samples")

    @property
    def unit(self) -> Unit:
        """A share."""
        return Unit.TRUTH

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{of: SELECTOR, over: SELECTOR}`."""
        reader = context.reader(node, _KEYS, "a ratio")
        if reader is None:
            return None
        of_node, over_node = reader.require("of"), reader.require("over")
        of = None if of_node is None else context.selector(of_node)
        over = None if over_node is None else context.selector(over_node)
        return None if of is None or over is None else cls(of, over)

    def measure(self, view: RunView) -> Measurement:
        """Give a truth for every span of `over`, or the quotient where `of` is no part of it."""
        from spanverdict.checks import matches  # noqa: PLC0415 - numpy is not needed to read rules

        return matches.share(self.of, self.over, view)
