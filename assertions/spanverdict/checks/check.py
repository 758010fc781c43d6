"""What a measure is: it reads its own part of a rule and gives one value a request or span."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from spanverdict.checks.bounds import Bounds
    from spanverdict.checks.missing import Missing
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node
    from spanverdict.telemetry.spantable import AttributeColumn, Bools, Rows

    Numbers: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.bool_]


class Unit(StrEnum):
    """What the values of a measure are, and so which conditions can be asked of them."""

    DURATION = "duration"
    """int64 nanoseconds; conditions need a unit (`200ms`)."""
    SHARE = "share"
    """Parts of a whole, 0..1; conditions may be in per cent (`60%`)."""
    NUMBER = "number"
    """Plain numbers."""
    TRUTH = "truth"
    """True or false; `ratio` is the share of true."""
    ANY = "any"
    """Attribute values of any type, mixed."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The values of one measure over its population.

    `request` and `row` say whose value each is. A subject that should have a value and has none is
    `missing`: it is never judged as good.
    """

    unit: Unit
    values: Numbers | AttributeColumn
    """(n,) one a subject that has a value; of unit `ANY` a column of attribute values."""
    population: str
    """What is counted: `requests` or `spans`."""
    request: Rows
    """(n,) the request each value belongs to, -1 for none."""
    row: Rows
    """(n,) the member that shows the value, -1 for none."""
    missing: Missing
    suspect: Bools | None = None
    """(n,) values that can hardly be right, so that a pass would not stand; None when all may be."""
    suspect_note: str = ""
    """What they did, in words that follow a count of the population."""
    remark: Callable[[Rows], str] | None = None
    """Says what a reader should know of some requests besides; changes no outcome."""
    over: Bools | None = None
    """(n,) of truths: the values that a share is of; the others only count as true. None: all."""
    active_ns: int | None = None
    """Of truths: the time that a rate is over …"""
    active_bounds: Bounds | None = None
    """… and between what it lies, (1,), where clocks leave that in doubt."""
    bounds: Bounds | None = None
    """Between what each value lies; None where all are exact. `values` lie within."""
    explain: Callable[[int], str] | None = None
    """Says for people what value `i` is; None where the value says it."""
    keep: Bools | None = None
    """(n,) values that `where` never leaves out, as nobody can say whether they match. None: none of them."""
    subject: Callable[[int], str] | None = None
    """Names value `i` where it belongs to no request."""
    badness: Callable[[Rows], npt.NDArray[np.float64]] | None = None
    """Ranks some false values, the larger the worse; None: their order says it."""

    @property
    def missing_request(self) -> Rows:
        """(k,) the requests of the missing; -1 for one that never arrived."""
        return self.missing.request

    @property
    def missing_note(self) -> str:
        """What they lack: `have no stage notify`."""
        return self.missing.note()

    @property
    def samples(self) -> int:
        """How many values are judged."""
        return len(self.request) if self.over is None else int(self.over.sum())

    @property
    def problem(self) -> str:
        """Why some values cannot be right (negative, of another type); a pass becomes inconclusive."""
        count = 0 if self.suspect is None else int(self.suspect.sum())
        suspect = f"{count} {self.population} {self.suspect_note}" if count else ""
        return "; ".join(filter(None, (suspect, self.missing.impossible())))

    @property
    def note(self) -> str:
        """What a reader should know besides; changes no outcome."""
        return "" if self.remark is None else self.remark(self.request)


class Check(Protocol):
    """A measure as written in a rule. Instances are frozen values."""

    key: ClassVar[str]
    """The key that names it in a rule file."""

    @property
    def statistics(self) -> tuple[str, ...] | None:
        """Statistics that may be asked of it; None for all that its unit allows."""
        ...

    @property
    def unit(self) -> Unit:
        """What its values are."""
        ...

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read the value of `key` in a rule; None when something was reported to the context."""
        ...

    def measure(self, view: RunView) -> Measurement:
        """Give the values. Never raises for what the data holds; empty is empty."""
        ...
