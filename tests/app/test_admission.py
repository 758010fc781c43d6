"""Who is let in while many runs wait for a verdict: new runs are not, all others are, and nothing is acknowledged and lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.followed import MemoryArchive, flow, ingest, record, score
from receiver.sinks import trace_request
from spantables import new_pool, table_of
from spanverdict.app.admission import WARY_S, Admission
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.intake import Intake
from spanverdict.paths.naming import mentioned_runs, named_runs
from spanverdict.receiver.errors import Overloaded, TooLarge, Unavailable
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable

LIMIT = 10


def docket_of(**limits: int) -> Docket:
    return Docket(DocketConfig(flows=(flow(),), **{"max_open_runs": LIMIT, **limits}), MemoryArchive())


class Desk:
    """An intake whose spans a docket takes in at once, with clients that ask it one after the other."""

    def __init__(self, store: Store) -> None:
        self.docket = docket_of()
        self.intake = Intake(store.journal, self.deliver, admission=Admission(self.docket))
        self.store = store

    def deliver(self, batches: Sequence[int], table: SpanTable) -> None:
        self.docket.take_in(batches, table, 1.0)

    def send(self, *requests: bytes) -> list[object]:
        """Hand requests in together, and return what became of each."""
        receipts = [self.intake.submit(request) for request in requests]
        self.intake.step()
        return [_outcome(receipt) for receipt in receipts]

    def judge_all(self) -> None:
        self.docket.noted(self.docket.unnoted())
        for run, _ in self.docket.due(1000.0):
            self.docket.judged(run, run.last_batch, run.revision + 1)


def _outcome(receipt: Future[Receipt]) -> object:
    error = receipt.exception(5)
    return type(error) if error is not None else receipt.result().accepted


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Store.open(tmp_path / "store.sqlite") as store:
        yield Desk(store)


def request(*runs: str | None) -> bytes:
    """A request with a span of each run."""
    made = ExportTraceServiceRequest()
    for run in runs:
        one = trace_request().resource_spans[0]
        if run is not None:
            tag = one.resource.attributes.add(key="test.suite.run.id")
            tag.value.string_value = run
        made.resource_spans.append(one)
    return made.SerializeToString()


def runs(first: int, count: int) -> bytes:
    return request(*(f"run-{number}" for number in range(first, first + count)))


def test_new_runs_are_refused_while_too_many_wait_and_all_others_are_served(desk: Desk) -> None:
    assert desk.send(runs(0, 5), runs(5, 5)) == [5, 5]
    assert desk.send(request("one-more")) == [Overloaded]
    assert desk.send(runs(3, 2)) == [2]
    assert desk.send(request(None)) == [1]
    assert desk.send(request("run-1", "one-more")) == [Overloaded]
    assert "one-more" not in desk.docket.runs
    desk.judge_all()
    assert desk.send(request("one-more")) == [1]


def test_of_requests_that_come_together_only_those_with_new_runs_are_refused(desk: Desk) -> None:
    assert desk.send(runs(0, 5), runs(5, 4)) == [5, 4]
    together = [runs(2, 3), runs(100, 2), request(None), request("last"), runs(200, 1)]
    assert desk.send(*together) == [3, Overloaded, 1, 1, Overloaded]
    kept = [batch.payload for batch in desk.store.journal.read()][2:]
    assert kept == [together[0], together[2], together[3]], "what was refused is not kept"
    assert set(desk.docket.runs) == {*(f"run-{number}" for number in range(9)), "last"}
    assert desk.docket.coming == set()


def test_a_request_that_names_more_new_runs_than_ever_fit_is_refused_for_good(desk: Desk) -> None:
    assert desk.send(runs(0, LIMIT // 2 + 1)) == [TooLarge]
    assert desk.docket.coming == set()
    assert desk.send(runs(0, LIMIT // 2)) == [LIMIT // 2]


def test_runs_on_their_way_count(desk: Desk) -> None:
    """Or as many would be let in as come while nobody takes them in."""
    admission = Admission(desk.docket)
    for number in range(LIMIT):
        _, refusals = admission.sift(table_of([ingest(number, f"r{number}")], new_pool()), [1])
        assert refusals == [None]
    table, refusals = admission.sift(table_of([ingest(99, "r99"), ingest(1, "r1")], new_pool()), [1, 1])
    assert [type(refusal) for refusal in refusals] == [Overloaded, type(None)]
    assert table.span_id.tolist() == [11]


def test_what_is_let_in_while_others_are_refused_does_not_keep_what_these_sent(desk: Desk) -> None:
    """A pool is kept as long as any span of it, and a flood fills one every few seconds."""
    now = [0.0]
    admission, pool = Admission(desk.docket, lambda: now[0]), new_pool()

    def let_in(*runs: str) -> SpanTable:
        table = table_of([ingest(int(run[1:]), run) for run in runs], pool)
        return admission.sift(table, [1] * len(runs))[0]

    assert let_in("r1").pool is pool
    assert let_in(*(f"r{number}" for number in range(1, LIMIT + 3))).pool is not pool
    some, more = let_in("r1"), let_in("r2")
    assert some.pool is more.pool is not pool
    assert len(more.pool.traces) == LIMIT
    assert some.attribute("test.suite.run.id").values == ("r1",)
    now[0] += WARY_S
    assert let_in("r1").pool is pool


def test_what_could_not_be_committed_makes_room_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    broken: Future[range] = Future()
    broken.set_exception(StoreUnavailable("the disk is full"))
    with monkeypatch.context() as full:
        full.setattr(desk.store.journal, "append_all", lambda *_, here: broken)
        assert desk.send(runs(0, 5)) == [Unavailable]
    assert desk.docket.coming == set()
    assert desk.send(runs(10, 5), runs(20, 5)) == [5, 5]


def test_runs_that_go_on_count_once_and_declared_ones_do_not_count() -> None:
    docket = docket_of()
    for batch in range(1, 4):
        docket.take_in((batch,), table_of([score(1) | {"id": batch + 10}, ingest(1), ingest(2, "s")], new_pool()), 1.0)
        next(docket.due(1.0), None)
        assert docket.open_runs == 2
    docket.hear(record("declared"), (), 1.0)
    next(docket.due(2.0), None)
    assert docket.open_runs == 2
    for run, _ in docket.due(100.0):
        docket.give_up(run, run.last_batch, "for some reason")
    assert docket.open_runs == 0
    docket.take_in((9,), table_of([ingest(3)], new_pool()), 101.0)
    next(docket.due(101.0), None)
    assert docket.open_runs == 1


def test_a_span_is_of_the_run_that_its_strongest_tag_names() -> None:
    rows = [
        ingest(1, "own") | {"resource": {"test.run.id": "of resource"}},
        ingest(2, None) | {"resource": {"test.run.id": "of-resource"}},
        ingest(3, None) | {"scope": {"attributes": {"cicd.pipeline.run.id": "of-scope"}}},
        ingest(4, "no run id") | {"attributes": {"test.suite.run.id": "no run id", "test.run.id": "second"}},
        ingest(5, None),
        ingest(6, None) | {"attributes": {"acme.run": "mine", "test.run.id": "weaker"}},
    ]
    table = table_of(rows, new_pool())
    tags = ("acme.run", "test.suite.run.id", "test.run.id", "cicd.pipeline.run.id")
    found, names = named_runs(table, tags)
    assert [names[place] if place >= 0 else None for place in found.tolist()] == [
        "own", "of-resource", "of-scope", "second", None, "mine",
    ]  # fmt: skip
    assert found.dtype == np.int32
    assert mentioned_runs(table, tags)[0] == {*names, "weaker"}
    assert mentioned_runs(table.take(np.array([4])), tags) == (set(), [])
    assert mentioned_runs(SpanTable.empty(table.pool), tags) == (set(), [])


def test_an_id_that_cannot_name_a_run_is_told_once_and_its_spans_are_kept(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert desk.send(request("no name", "good"), request("")) == [2, 1]
    told = " cannot name a run: an id has 1 to 128 letters, digits and . _ : / -; its spans are kept, and belong to no run by it"
    assert sorted(caplog.messages) == [f"''{told}", f"'no name'{told}"]
    assert set(desk.docket.runs) == {"good"}
    assert desk.store.journal.bounds().last == 6


def test_spans_of_known_runs_are_let_in_at_a_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    docket = docket_of()
    gate = Admission(docket)
    gate.sift(table_of([ingest(1)], new_pool()), [1])
    monkeypatch.setattr("spanverdict.app.admission.named_runs", lambda *_: pytest.fail("each span was looked at"))
    table = table_of([ingest(2), ingest(3)], new_pool())
    assert gate.sift(table, [1, 1]) == (table, [None, None])


def test_a_pool_is_known_by_the_runs_that_it_names_until_it_names_a_new_one(desk: Desk) -> None:
    gate, pool = Admission(desk.docket), new_pool()

    def outcomes(*runs: str) -> list[type]:
        return [type(r) for r in gate.sift(table_of([ingest(int(r[1:]), r) for r in runs], pool), [1] * len(runs))[1]]

    assert outcomes("r1") == outcomes("r1", "r1")[1:] == [type(None)]
    for number in range(2, LIMIT):
        assert outcomes("r1", f"r{number}") == [type(None)] * 2
    assert outcomes("r1", f"r{LIMIT}", f"r{LIMIT + 1}") == [type(None)] * 2 + [Overloaded]
    assert outcomes("r1", "r2") == [type(None)] * 2
    desk.docket.coming.discard("r1")
    assert outcomes("r1") == [type(None)], "it is looked at again as soon as a run is no longer known"
    assert outcomes(f"r{LIMIT + 1}", "r2") == [Overloaded, type(None)]
