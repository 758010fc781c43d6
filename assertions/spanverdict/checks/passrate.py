"""`pass_rate`: the share of runs that passed, by one rule or by the whole flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.history import Target, read_target, read_window

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node

_KEYS: Final = ("of", "runs", "window")


@dataclass(frozen=True, slots=True)
class PassRate:
    """A truth for each run of a window: did it pass?"""

    target: Target
    window_ns: int

    key: ClassVar[str] = "pass_rate"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """True or false, a run."""
        return Unit.TRUTH

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{of: RULE, window: 7d}`."""
        reader = context.reader(node, _KEYS, "a pass rate")
        if reader is None:
            return None
        target, window = read_target(reader, context), read_window(reader, "window", context)
        return None if target is None or window is None else cls(target, window)

    def too_little(self, view: RunView) -> str:
        """Say why the history is too short to judge by; empty when it is long enough."""
        return self.target.too_little(self.window_ns, view)

    def measure(self, view: RunView) -> Measurement:
        """Give a truth for every run of the window that decided; the others are missing."""
        from spanverdict.checks import overruns  # noqa: PLC0415 - numpy is not needed to read rules

        return overruns.passes(self.target, self.window_ns, view)
