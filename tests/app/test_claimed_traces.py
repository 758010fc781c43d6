"""A trace that is declared to be one run's may have been another's: what was said of that one is said anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.followed import MemoryArchive, flow, record, requests
from spantables import trace_bytes
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.recollection import Recalled
from spanverdict.app.storedruns import StoredRuns
from spanverdict.storage.records import RunState, Verdict
from spanverdict.storage.store import Store

CLAIMED = trace_bytes("trace-1")


@pytest.fixture
def docket() -> Docket:
    return Docket(DocketConfig(flows=(flow(),)), MemoryArchive(), stopwatch=lambda: 0.0)


def judged(docket: Docket, now: float) -> list[str]:
    found = []
    for run, _ in docket.due(now):
        found.append(run.id)
        docket.judged(run, run.last_batch, run.revision + 1)
    return found


def test_a_verdict_on_a_trace_is_given_anew_when_another_run_is_declared_to_have_it(docket: Docket) -> None:
    docket.take_in((1,), requests(1), 10.0)
    docket.take_in((2,), requests(2, run="apart"), 10.0)
    assert sorted(judged(docket, 20.0)) == ["apart", "r"]
    docket.hear(record("other"), (CLAIMED,), 30.0)
    assert docket.runs["r"] in docket.unnoted()
    assert sorted(judged(docket, 40.0)) == ["other", "r"]
    assert docket.runs["r"].revision == 2
    assert docket.next_due() is None


def test_so_it_is_after_a_restart_before_anybody_knew(docket: Docket) -> None:
    archive = docket._archive
    assert isinstance(archive, MemoryArchive)
    claiming = record("other", traces=1)
    archive.known["other"] = Recalled(claiming, 0, (CLAIMED,))
    verdict_of_r = record(first_batch=1, last_batch=1, judged_through=1, state=RunState.JUDGED)
    archive.known["r"] = Recalled(verdict_of_r, 1, ())
    archive.journal[1] = requests(1)
    docket.follow("other", 5.0)
    docket.take_in((1,), archive.journal[1], 5.0)
    docket.complete("other")
    assert sorted(judged(docket, 20.0)) == ["other", "r"]
    assert docket.runs["r"].revision == 2


def test_a_run_that_is_to_be_judged_again_is_so_in_the_store(docket: Docket, tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.db", synchronous="OFF") as store:
        archive = StoredRuns(store)
        docket.take_in((1,), requests(1), 10.0)
        archive.note(docket.unnoted())
        judged(docket, 20.0)
        verdict = Verdict("r", 1, "passed", complete=True, document="{}", judged_through=1, at_unix_nano=4)
        store.runs.save_verdict(verdict)
        archive.note([docket.runs["r"]])
        assert store.runs.unfinished() == ()
        docket.hear(record("other"), (CLAIMED,), 30.0)
        archive.note(docket.unnoted())
        assert [run.id for run in store.runs.unfinished()] == ["r", "other"]
