"""How far a live run has come, for people who wait for its verdict."""

from __future__ import annotations

from collections.abc import Sequence

from spanverdict.app.completeness import expected_of
from spanverdict.app.liverun import LiveRun
from spanverdict.reporting.progress import ProgressState
from spanverdict.rulefiles.models import Flow


def progress_of(live: LiveRun | None, flows: Sequence[Flow]) -> ProgressState:
    """Return what came of a run so far, by the stages of its first flow."""
    if live is None or not flows:
        return ProgressState(0, None, 0 if live is None else live.progress.spans, 0, 0)
    flow = flows[0]
    expected = expected_of(flow, live.expected)
    seen = {stage.name: live.progress.seen.get((flow.name, stage.name), 0) for stage in flow.stages}
    missing = tuple(live.progress.lacking(flow, expected)) if expected is not None else ()
    requests, stages = seen[flow.request.starts_at], sum(map(bool, seen.values()))
    return ProgressState(requests, expected, live.progress.spans, stages, len(flow.stages), missing)
