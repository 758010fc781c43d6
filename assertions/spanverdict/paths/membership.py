"""Why the spans of one run are its own, and how many nobody claims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spanverdict.paths.association import Association, Reason
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.spantable import Int64s, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Why each span of a run belongs to it."""

    reason: Int64s
    """(n_rows,) the `Reason` of each row of the run's table, as it came."""
    untagged: int = 0
    """Spans at hand that no run claims."""
    conflicts: int = 0
    """Traces that several runs claim."""
    tags: tuple[str, ...] = RUN_ID_ATTRIBUTES
    """Attributes that name runs, strongest first."""

    def counts(self, rows: Rows) -> dict[str, int]:
        """Count some rows by reason, the strongest first."""
        found = np.bincount(self.reason[rows], minlength=max(Reason) + 1)
        return {reason.name.lower(): int(found[reason]) for reason in Reason if found[reason]}


def membership_of(run: str, found: Association, untagged: int = 0) -> Membership:
    """Return why the rows of a run are its own; `untagged` are spans that nobody claims, apart from those looked at."""
    return Membership(found.reasons_of(run), found.untagged_spans + untagged, found.conflicts, found.tags)


def whole_input(run: str, found: Association, n_rows: int) -> Membership:
    """Return why all rows of a table are of its only run: those that name none because there is no other."""
    reason = np.full(n_rows, int(Reason.INPUT))
    reason[found.rows_of(run)] = found.reasons_of(run)
    return Membership(reason, found.untagged_spans, found.conflicts, found.tags)
