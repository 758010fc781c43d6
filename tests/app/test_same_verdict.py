"""The same spans give the same bytes of verdict: in any order, in any batches, however often resent."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.followed import MS, MemoryArchive, flow, ingest, record, score
from spantables import new_pool, table_of
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.judge import Judge
from spanverdict.app.judgement import Judgement
from spanverdict.reporting.jsonreport import document, render

SLOW = score(3) | {"end": 1_400 * MS}
BATCH = {
    "trace": "consumer",
    "id": 900,
    "kind": "consumer",
    "start": 1_200 * MS,
    "end": 1_300 * MS,
    "resource": {"service.name": "scorer"},
    "links": [{"trace": "trace-1", "id": 11}, {"trace": "trace-2", "id": 21}, {"trace": "gone", "id": 5}],
}
SPANS: list[dict[str, Any]] = [
    *(ingest(n) for n in (1, 2, 3, 4)),
    score(1),
    SLOW,
    BATCH,
    score(4) | {"end": 0},
    score(4) | {"id": 44, "parent": 999},
    score(2) | {"id": 21, "start": 5 * MS},
    ingest(5, "other"),
    score(1) | {"id": 66, "attributes": {"test.suite.run.id": "not a run id"}},
]
"""Whole, slow, unfinished, orphaned, conflicting, linked to what never came, of another run, and badly named."""


def verdict(batches: list[list[dict[str, Any]]], pools: int) -> str:
    kept: list[Judgement] = []

    def keep(judgement: Judgement) -> int:
        kept.append(judgement)
        return judgement.run.revision

    judge = Judge(Docket(DocketConfig(flows=(flow(),)), MemoryArchive()), keep, clock=lambda: 0.0)
    open_pools = [new_pool() for _ in range(pools)]
    for number, batch in enumerate(batches, 1):
        judge.deliver((number,), table_of(batch, open_pools[number % pools]))
    judge.hear(record(ended_unix_nano=1, labels={"branch": "main"}))
    judge.step()
    judge.clock = lambda: 10.0
    judge.mark()
    judge.step()
    (judgement,) = [judgement for judgement in kept if judgement.run.id == "r"]
    return render(document(judgement.events))


AT_ONCE = verdict([SPANS], 1)


@settings(max_examples=60)
@given(st.permutations(SPANS), st.lists(st.integers(0, len(SPANS)), max_size=5), st.data())
def test_order_batches_and_resends_make_no_difference(shuffled, cuts, data) -> None:
    sent = shuffled + data.draw(st.lists(st.sampled_from(SPANS), max_size=4))
    places = [0, *sorted(cuts), len(sent)]
    batches = [sent[a:b] for a, b in pairwise(places) if a < b]
    assert verdict(batches, data.draw(st.integers(1, 2))) == AT_ONCE


def test_the_verdict_is_about_something() -> None:
    for what in ("missing_parent", "dangling_link", "unfinished_span", "conflicting_span", "invalid_run_id", "failed"):
        assert what in AT_ONCE
