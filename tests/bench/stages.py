"""The stages of judging, one function each, as the benchmarks time them."""

from __future__ import annotations

import time
from collections.abc import Callable

from spanverdict.checks.runview import RunView
from spanverdict.evaluation.judging import judge_samples
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this process that something takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def stitched(flow: Flow, table: SpanTable) -> RunView:
    """Return the requests of a table: duplicates settled, forest grown, paths joined."""
    return view_of(flow, prepare(table), None)[0]


def judged(flow: Flow, view: RunView) -> list[str]:
    """Return what all rules say."""
    return [result.message for rule in flow.rules for result, _ in judge_samples(rule, flow, view)]
