"""What judging a large run takes in memory beside its spans: so many bytes a span, and no more."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from app.followed import MemoryArchive
from scenarios.large_trace import batches, flow_of
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Outcome, RunFinished, RunInfo
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.rulefiles.loader import load
from spanverdict.telemetry.spantable import SpanTable

SPANS = 50_000
MOST = 250
"""Bytes a span; of a million it is some 190, as what is worked out piece by piece does not grow with the run."""


@contextmanager
def peak_of() -> Iterator[list[int]]:
    """Measure how much memory is taken at most beyond what is held at the beginning; the bytes are added at the end."""
    found: list[int] = []
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield found
        found.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


def test_judging_a_large_trace_takes_few_bytes_a_span() -> None:
    problems, pool = Problems(), new_pool()
    flow = load(flow_of(SPANS), "large.yaml", problems)
    assert flow is not None, problems.sorted()
    docket = Docket(DocketConfig(flows=(flow,)), MemoryArchive())
    for number, payload in enumerate(batches(SPANS), 1):
        docket.take_in((number,), decode(payload, pool).table, 0.0)
    docket.count(0.0)
    assert [*evaluate((flow,), SpanTable.empty(pool), RunInfo(""))]  # what is loaded for that is not counted
    with peak_of() as taken:
        found = docket.evidence(docket.runs["large"])
        assert found is not None
        *_, last = evaluate((flow,), found.run, RunInfo("large"), keep_samples=True)
    assert isinstance(last, RunFinished)
    assert last.outcome is Outcome.PASSED
    print(f"{taken[0] / SPANS:.0f} bytes a span")
    assert taken[0] < MOST * SPANS
