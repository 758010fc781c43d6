"""`count`: how many spans match, in the run or in each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.diagnostics.yamldoc import Mapping

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node
    from spanverdict.selectors import Selector

_KEYS: Final = ("of", "per")


@dataclass(frozen=True, slots=True)
class Count:
    """Matching spans: of the run a truth for each span, of a request a number for each request."""

    of: Selector
    per_request: bool

    key: ClassVar[str] = "count"

    @property
    def statistics(self) -> tuple[str, ...] | None:
        """Of a run the count and what it is a share of; of requests all that numbers have."""
        return None if self.per_request else ("count", "ratio", "samples")

    @property
    def unit(self) -> Unit:
        """Numbers for each request; for the run truths, whose `count` is how many are true."""
        return Unit.NUMBER if self.per_request else Unit.TRUTH

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read a selector, or `{of: SELECTOR, per: request}`."""
        if not isinstance(node, Mapping) or node.get("of") is None:
            selector = context.selector(node)
            return None if selector is None else cls(selector, per_request=False)
        reader = context.reader(node, _KEYS, "a count")
        of_node = None if reader is None else reader.require("of")
        if reader is None or of_node is None:
            return None
        per = reader.choice("per", ("request", "run"), "run")
        selector = context.selector(of_node)
        return None if selector is None else cls(selector, per == "request")

    def measure(self, view: RunView) -> Measurement:
        """Give what matches."""
        from spanverdict.checks import matches  # noqa: PLC0415 - numpy is not needed to read rules

        return matches.a_request(self.of, view) if self.per_request else matches.of_run(self.of, view)
