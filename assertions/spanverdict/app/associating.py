"""By what spans find their runs under some flows, and what association met on the way, as defects of a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from spanverdict.paths.association import Association
from spanverdict.paths.bonds import KeyReader
from spanverdict.paths.defects import Defect
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors import Field
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.spantable import AttributeColumn, SpanTable


def tags_of(flows: Sequence[Flow]) -> tuple[str, ...]:
    """Return the attributes that name runs, strongest first: those of the flows, then the usual ones."""
    return tuple(dict.fromkeys([*(key for flow in flows for key in flow.run_id), *RUN_ID_ATTRIBUTES]))


def readers_of(flows: Sequence[Flow]) -> list[KeyReader]:
    """Return what reads the attributes whose values join traces."""
    return [_reader(key) for flow in flows for key in flow.request.correlate]


def _reader(key: Field) -> KeyReader:
    def read(table: SpanTable) -> AttributeColumn:
        return key.column(Spans.of(table))

    return read


def defects_of(found: Association) -> tuple[Defect, ...]:
    """Say what is wrong with how spans name their runs."""
    defects = []
    if found.conflicts:
        defects.append(Defect("trace_of_several_runs", found.conflicts, ""))
    if found.invalid:
        detail = f"{', '.join(found.invalid)} cannot name a run"
        defects.append(Defect("invalid_run_id", len(found.invalid), detail))
    return tuple(defects)
