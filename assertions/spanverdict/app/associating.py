"""What association met on the way, as defects of a verdict."""

from __future__ import annotations

from spanverdict.paths.association import Association
from spanverdict.paths.defects import Defect


def defects_of(found: Association) -> tuple[Defect, ...]:
    """Say what is wrong with how spans name their runs."""
    defects = []
    if found.conflicts:
        defects.append(Defect("trace_of_several_runs", found.conflicts, ""))
    if found.invalid:
        detail = f"{', '.join(found.invalid)} cannot name a run"
        defects.append(Defect("invalid_run_id", len(found.invalid), detail))
    return tuple(defects)
