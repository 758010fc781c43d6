"""Values taken from the spans of a stage, each JSON document read once however often it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.checks.jsoncolumn import found_in
from spanverdict.checks.jsonpath import JsonPath
from spanverdict.checks.missing import Missing, Reason
from spanverdict.checks.runview import RunView
from spanverdict.checks.valueof import ValueOf
from spanverdict.telemetry.spantable import AttributeColumn, Int64s, Rows

_VALUE: Final = -1
_LACKING: Final = 0
_NOT_JSON: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What some members hold. All arrays are (n,)."""

    column: AttributeColumn
    """-1 where there is no value."""
    reason: Int64s
    """Position in `reasons` of why there is none, -1 where there is one."""
    reasons: tuple[Reason, ...]

    @property
    def here(self) -> Rows:
        """Return the positions that have a value, ascending."""
        return np.flatnonzero(self.reason == _VALUE)

    def part(self, rows: Rows) -> Taken:
        """Return what some of the members hold."""
        return Taken(AttributeColumn(self.column.codes[rows], self.column.values), self.reason[rows], self.reasons)

    def missing(self, request: Rows, member: Rows) -> Missing:
        """Return those without a value, by reason; `request` and `member` say whose each value is."""
        found = Missing.none()
        for number, reason in enumerate(self.reasons):
            lacking = self.reason == number
            if lacking.any():
                found = found.also(Missing.of_members(request[lacking], member[lacking], reason))
        return found


def take(value: ValueOf, view: RunView, members: Rows, lacking: str) -> Taken:
    """Take a value from each of some members; `lacking` says in words what those without it are."""
    column = view.column(value.field)
    codes = column.codes[members]
    if value.path is None:
        reason = np.where(codes >= 0, _VALUE, _LACKING)
        return Taken(AttributeColumn(codes, column.values), reason, (Reason(lacking),))
    return _inside(AttributeColumn(codes, column.values), value, value.path, lacking)


def _inside(documents: AttributeColumn, value: ValueOf, path: JsonPath, lacking: str) -> Taken:
    found = found_in(documents, path)
    reason = np.where(found.column.codes >= 0, _VALUE, np.where(found.unreadable, _NOT_JSON, _LACKING))
    why = f"hold what is not JSON in {value.field}: {found.problem}"
    return Taken(found.column, reason, (Reason(lacking), Reason(why, impossible=True)))
