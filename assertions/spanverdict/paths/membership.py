"""Why the spans of one run are its own, and how many nobody claims."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spanverdict.paths.association import Association, Reason
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.spantable import Ints, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Why each span of a run belongs to it."""

    reason: Ints
    """(n_rows,) the `Reason` of each row of the run's table."""
    untagged: int = 0
    """Spans at hand that no run claims."""
    conflicts: int = 0
    """Traces that several runs claim."""
    tags: tuple[str, ...] = RUN_ID_ATTRIBUTES
    """Attributes that name runs, strongest first."""

    def taken(self, rows: Rows | None) -> Membership:
        """Return what is known of some rows, in the order given; None for all as they are."""
        return self if rows is None else replace(self, reason=self.reason[rows])

    def counts(self) -> dict[str, int]:
        """Count the rows by reason, the strongest first."""
        found = np.bincount(self.reason, minlength=max(Reason) + 1)
        return {reason.name.lower(): int(found[reason]) for reason in Reason if found[reason]}


def membership_of(run: str, found: Association, untagged: int = 0) -> Membership:
    """Return why the rows of a run are its own; `untagged` are spans that nobody claims, apart from those looked at."""
    return Membership(found.reasons_of(run), found.untagged_spans + untagged, found.conflicts, found.tags)


def whole_input(run: str, found: Association, n_rows: int) -> Membership:
    """Return why all rows of a table are of its only run: those that name none because there is no other."""
    reason = np.full(n_rows, Reason.INPUT, np.int8)
    reason[found.rows_of(run)] = found.reasons_of(run)
    return Membership(reason, found.untagged_spans, found.conflicts, found.tags)
