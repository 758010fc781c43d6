"""What a measure is: it reads its own part of a rule and gives one value a request or span."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node
    from spanverdict.telemetry.pool import Value
    from spanverdict.telemetry.spantable import Rows


class Unit(StrEnum):
    """What the values of a measure are, and so which conditions can be asked of them."""

    DURATION = "duration"
    """int64 nanoseconds; conditions need a unit (`200ms`)."""
    NUMBER = "number"
    """Plain numbers."""
    TRUTH = "truth"
    """True or false; `ratio` is the share of true."""
    ANY = "any"
    """Attribute values of any type, mixed."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The values of one measure over its population."""

    unit: Unit
    values: npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.bool_] | tuple[Value, ...]
    """(n,) one a subject that has a value."""
    population: str
    """`requests` or `spans`."""
    request: Rows
    """(n,) the request each value belongs to, -1 for none."""
    row: Rows
    """(n,) a row of `view.members` that shows the value, -1 for none."""
    missing: int = 0
    """Subjects that should have a value and have none. They are never judged as good."""
    missing_note: str = ""
    """What they lack: `5 of 200 requests have no notify`."""
    missing_request: Rows | None = None
    """(k,) the requests among the missing that are known; the others never arrived."""
    problem: str = ""
    """Why some values cannot be right (negative ages, wrong type); makes a pass inconclusive."""


class Check(Protocol):
    """A measure as written in a rule. Instances are frozen values."""

    key: ClassVar[str]
    """The key that names it in a rule file."""
    statistics: ClassVar[tuple[str, ...] | None]
    """Statistics that may be asked of it; None for all that its unit allows."""

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
