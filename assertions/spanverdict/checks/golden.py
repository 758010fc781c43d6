"""Golden outputs: what each request should have answered, and how far an answer may be from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spanverdict.telemetry.pool import Value

SINGLE: Final = "value"
"""Names the value of a rule that compares just one."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How far a value may be from the golden one; without anything it has to be equal."""

    tolerance: Fraction = Fraction(0)
    """Of numbers; the limit itself is within."""
    relative: bool = False
    """The tolerance is a part of the golden number, not a difference."""
    similarity: Fraction | None = None
    """Of texts, 0..1: how alike they have to be; None for equal ones."""
    tolerance_text: str = ""
    """As written."""
    similarity_text: str = ""


EXACT: Final = Allowance()


@dataclass(frozen=True, slots=True, eq=False)
class GoldenFile:
    """What a golden file holds; read once, when the rules are."""

    name: str
    """As the rule names it."""
    path: str = field(repr=False)
    """As it is named to people: the rule file's folder and the name."""
    sha256: str
    """Of its bytes, in hex."""
    records: Mapping[str, Mapping[str, Value]] = field(repr=False)
    """Values by name, by the key of the request, in the order of the file."""

    def values(self, name: str = SINGLE) -> tuple[Value, ...]:
        """Return one value of every record that has it, in the order of the file: a distribution to compare with."""
        return tuple(record[name] for record in self.records.values() if name in record)


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """A golden file, and how close a rule wants to be to it."""

    file: GoldenFile
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    """By the name of the value."""

    def allowance(self, name: str) -> Allowance:
        """Return how far a value may be from its golden one."""
        return self.allowances.get(name, EXACT)
