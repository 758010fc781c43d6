"""`burn_rate`: how many times faster than allowed an error budget is spent, in a short and in a long window."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.history import Target, read_target, read_window
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import Reader, Scalar

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node

RUNS: Final = "runs"
VALUES: Final = "values"
_KEYS: Final = ("by", "long", "objective", "of", "runs", "short")


@dataclass(frozen=True, slots=True)
class BurnRate:
    """The burn in both windows: the share that is bad over the share that may be.

    Multi-window alerts on burn rates are from the Site Reliability Workbook, chapter 5.
    """

    target: Target
    objective: Fraction
    """The share that has to be good."""
    short_ns: int
    long_ns: int
    by: str = RUNS
    """What is good or bad: `runs`, or the `values` of a rule about truths."""

    key: ClassVar[str] = "burn_rate"
    statistics: ClassVar[tuple[str, ...]] = ("min", "max")

    @property
    def unit(self) -> Unit:
        """Plain numbers: 1 spends the budget exactly in its period."""
        return Unit.NUMBER

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{of: RULE, objective: 99%, short: 1h, long: 24h}`."""
        reader = context.reader(node, _KEYS, "a burn rate")
        if reader is None:
            return None
        target, objective = read_target(reader, context), _read_objective(reader, context)
        short, long = (read_window(reader, key, context) for key in ("short", "long"))
        by = reader.choice("by", (RUNS, VALUES), RUNS)
        if target is None or objective is None or short is None or long is None or by is None:
            return None
        return cls(target, objective, short, long, by) if _fits(reader, context, target, (short, long), by) else None

    def too_little(self, view: RunView) -> str:
        """Say why the history is too short to judge by; empty when it is long enough."""
        return self.target.too_little(self.long_ns, view)

    def measure(self, view: RunView) -> Measurement:
        """Give two numbers: the burn in the short window and that in the long one."""
        from spanverdict.checks import overruns  # noqa: PLC0415 - numpy is not needed to read rules

        return overruns.burns(self, view)


def _read_objective(reader: Reader, context: ReadContext) -> Fraction | None:
    node = reader.require("objective")
    if node is None:
        return None
    text = node.text.strip() if isinstance(node, Scalar) else ""
    try:
        share = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        context.problems.error(
            node.position, codes.WRONG_TYPE, "an objective is a share", "write it like 99%", node.width
        )
        return None
    if not 0 < share < 1:
        message, hint = f"the objective {text} leaves no budget of errors to burn", "it lies between 0% and 100%"
        if share > 1:
            message, hint = f"the objective {text} is more than everything", f"did you mean `{text}%`?"
        context.problems.error(node.position, codes.SHARE_RANGE, message, hint, node.width)
        return None
    return share


def _fits(reader: Reader, context: ReadContext, target: Target, windows: tuple[int, int], by: str) -> bool:
    """Tell whether windows and counting make sense, reported where they do not."""
    short, long = windows
    if short >= long:
        place, message = reader.require("short"), "the short window has to be shorter than the long one"
        context.problems.error(place.position if place else reader.mapping.position, codes.OUT_OF_RANGE, message)
        return False
    if by == VALUES and target.rule is None:
        message, hint = "a flow has no values that could be good or bad", "name a rule about truths with `of`"
        context.problems.error(reader.mapping.position, codes.CONFLICTING_KEYS, message, hint)
        return False
    return True
