"""A docket that is given other flows while it follows runs: as if it had had them from the start."""

from __future__ import annotations

from dataclasses import replace

from app.followed import MemoryArchive, flow, ingest, record, requests, score
from spantables import table_of
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.recollection import Recalled
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors import parse_field
from spanverdict.storage.records import RunState

SCORING = flow()
SIZED = flow(complete="{requests: 3}")
BILLING = flow("billing", service="till")


def docket_of(*flows: Flow, archive: MemoryArchive | None = None) -> Docket:
    return Docket(DocketConfig(flows=flows), archive or MemoryArchive(), stopwatch=lambda: 0.0)


def due(docket: Docket, now: float) -> list[tuple[str, str]]:
    docket.noted(docket.unnoted())
    found = [(run.id, trigger) for run, trigger in docket.due(now)]
    for name, _ in found:
        docket.judged(docket.runs[name], docket.runs[name].last_batch, docket.runs[name].revision + 1)
    return found


def judged_by(docket: Docket, run: str = "r") -> list[str]:
    found = docket.evidence(docket.runs[run])
    assert found is not None
    return [one.name for one in docket.judging(docket.runs[run], found.run.spans)]


def test_what_came_before_is_counted_by_the_new_flows() -> None:
    """Two of three requests came under the old flow; with the third the run is whole by the new one."""
    docket = docket_of(BILLING)
    docket.take_in((1, 2), requests(1, 2), 10.0)
    assert due(docket, 10.0) == []
    docket.follow_flows((SIZED,), 11.0)
    assert due(docket, 11.0) == []
    docket.take_in((3,), requests(3), 12.0)
    assert due(docket, 12.0) == [("r", "manifest")]
    assert judged_by(docket) == ["scoring"]


def test_a_run_that_is_whole_by_the_new_flows_is_judged_at_once() -> None:
    docket = docket_of(BILLING)
    docket.take_in((1,), requests(1, 2, 3), 10.0)
    assert due(docket, 10.0) == []
    docket.follow_flows((SIZED,), 11.0)
    assert due(docket, 11.0) == [("r", "manifest")]


def test_a_verdict_stays_until_more_comes() -> None:
    docket = docket_of(SIZED)
    docket.take_in((1,), requests(1, 2, 3), 10.0)
    assert due(docket, 10.0) == [("r", "manifest")]
    docket.follow_flows((SCORING, BILLING), 11.0)
    assert due(docket, 500.0) == []
    docket.take_in((2,), requests(4, service="till"), 501.0)
    assert due(docket, 507.0) == [("r", "idle")]
    assert judged_by(docket) == ["scoring", "billing"]


def test_spans_without_a_run_can_still_be_claimed() -> None:
    docket = docket_of(SIZED)
    docket.take_in((1,), table_of([score(n) for n in (1, 2, 3)]), 10.0)
    docket.follow_flows((SIZED,), 11.0)
    assert due(docket, 11.0) == []
    assert docket.untagged == 3
    docket.take_in((2,), table_of([ingest(n) for n in (1, 2, 3)]), 12.0)
    assert due(docket, 12.0) == [("r", "manifest")]
    assert docket.untagged == 0


def test_a_run_from_before_a_restart_is_read_again_under_the_new_flows_too() -> None:
    archive = MemoryArchive()
    archive.journal[5] = requests(1, 2)
    state = record(first_batch=5, last_batch=5, judged_through=0, state=RunState.OPEN)
    archive.known["r"] = Recalled(state, 0, ())
    docket = docket_of(BILLING, archive=archive)
    docket.follow("r", 1.0)
    docket.follow_flows((SIZED,), 2.0)
    docket.take_in((6,), requests(3), 3.0)
    due(docket, 3.0)
    assert due(docket, 4.0) == [] or docket.runs["r"].revision == 1
    assert archive.read == [5]
    assert docket.runs["r"].revision == 1


def test_without_flows_nothing_is_lost() -> None:
    docket = docket_of(SIZED)
    docket.take_in((1,), requests(1, 2, 3), 10.0)
    docket.follow_flows((), 10.0)
    docket.follow_flows((SIZED,), 10.5)
    assert due(docket, 11.0) == [("r", "manifest")]


def test_runs_that_only_the_new_flows_find_are_followed() -> None:
    docket = docket_of(SCORING)
    rows = [ingest(1, run=None) | {"attributes": {"acme.run": "theirs"}}, score(1)]
    docket.take_in((7,), table_of(rows), 10.0)
    assert due(docket, 30.0) == []
    docket.follow_flows((replace(SCORING, run_id=("acme.run",)),), 31.0)
    assert [(run.id, run.last_batch) for run in docket.unnoted()] == [("theirs", 7)]
    assert due(docket, 36.9) == []
    assert due(docket, 37.0) == [("theirs", "idle")]
    assert judged_by(docket, "theirs") == ["scoring"]


def test_an_open_run_knows_the_batches_in_which_new_flows_find_more_of_it() -> None:
    """Else a restart would not read them again, and retention not keep them. The waiting does not begin anew."""
    docket = docket_of(SCORING)
    docket.take_in((1,), table_of([ingest(1) | {"attributes": {"test.suite.run.id": "r", "order": "a"}}]), 10.0)
    docket.take_in((2,), table_of([score(2) | {"attributes": {"order": "a"}}]), 14.0)
    assert docket.runs["r"].last_batch == 1
    by_order = replace(SCORING.request, correlate=(parse_field("span.order"),))
    docket.follow_flows((replace(SCORING, request=by_order),), 15.0)
    assert [(run.id, run.last_batch) for run in docket.unnoted()] == [("r", 2)]
    assert due(docket, 16.0) == [("r", "idle")]
