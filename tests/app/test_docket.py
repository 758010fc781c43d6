"""The docket, with a clock of our own: which run is due when, and never too early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.followed import MemoryArchive, flow, ingest, record, requests, score
from spantables import new_pool, table_of, trace_bytes
from spanverdict.app.docket import RETRY_S, Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.recollection import Recalled
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import RunState

SCORING = flow()
SIZED = flow(complete="{requests: 3}")


def docket_of(*flows: Flow, archive: MemoryArchive | None = None, **more) -> Docket:
    config = DocketConfig(flows=flows or (SCORING,), **more)
    return Docket(config, archive or MemoryArchive(), stopwatch=lambda: 0.0)


def due(docket: Docket, now: float) -> list[tuple[str, str]]:
    """Judge what is due, as the judge would."""
    found = []
    docket.noted(docket.unnoted())
    for run, trigger in docket.due(now):
        found.append((run.id, trigger))
        docket.judged(run, run.last_batch, run.revision + 1)
    return found


def when(docket: Docket, until: float = 100.0) -> tuple[float, list[tuple[str, str]]]:
    """Go from one point in time to the next until something is judged."""
    now = 0.0
    while (soon := docket.next_due()) is not None and soon <= until:
        now = max(now, soon)
        found = due(docket, now)
        if found:
            return now, found
    return until, []


def ids_of(docket: Docket, run: str) -> list[int]:
    found = docket.evidence(docket.runs[run])
    return sorted(found.run.spans.table.span_id.tolist()) if found is not None else []


def test_a_run_of_unknown_size_is_judged_when_it_is_idle() -> None:
    docket = docket_of()
    docket.take_in((1,), requests(1), 10.0)
    docket.take_in((2,), requests(2), 14.0)
    assert when(docket) == (20.0, [("r", "idle")])
    assert docket.next_due() is None


def test_a_run_of_known_size_is_judged_the_moment_it_is_whole() -> None:
    docket = docket_of(SIZED)
    docket.take_in((1,), requests(1, 2), 10.0)
    assert due(docket, 10.0) == []
    docket.take_in((2,), table_of([ingest(3)]), 11.0)
    assert due(docket, 11.0) == []
    docket.take_in((3,), table_of([score(3)]), 12.0)
    assert due(docket, 12.0) == [("r", "manifest")]


def test_spans_that_came_before_their_tag_are_counted() -> None:
    """Children come first, the tagged root last: the run is whole all the same."""
    docket = docket_of(SIZED)
    docket.take_in((1,), table_of([score(n) for n in (1, 2, 3)]), 10.0)
    assert docket.runs == {}
    docket.take_in((2,), table_of([ingest(n) for n in (1, 2, 3)]), 11.0)
    assert due(docket, 11.0) == [("r", "manifest")]


def test_a_run_of_known_size_that_stays_incomplete_is_given_up_at_the_cap_and_not_for_silence() -> None:
    docket = docket_of(SIZED)
    docket.take_in((1,), requests(1, 2), 10.0)
    assert when(docket) == (40.0, [("r", "cap")])


def test_it_is_not_stitched_again_while_nothing_comes(monkeypatch) -> None:
    docket = docket_of(SIZED)
    stitched = []
    monkeypatch.setattr("spanverdict.app.readiness.is_whole", lambda *_: stitched.append(1))
    extra = [score(1) | {"id": 90 + n} for n in range(5)]
    docket.take_in((1,), table_of([ingest(1), ingest(2), ingest(3), *extra]), 10.0)
    for _ in range(5):
        assert due(docket, 10.0) == []
    assert len(stitched) == 1
    assert docket.next_due() == 40.0


def test_a_run_whose_requests_look_whole_is_judged_sooner_where_its_flow_asks_for_that() -> None:
    docket = docket_of(flow(complete="{structure: 1s}"))
    docket.take_in((1,), requests(1), 10.0)
    docket.take_in((2,), requests(2), 10.9)
    assert when(docket) == (11.9, [("r", "structure")])


def test_while_something_is_evidently_to_come_it_waits_for_silence() -> None:
    """A stage that a request lacks; once it has come, the wait begins anew."""
    docket = docket_of(flow(complete="{structure: 1s}"))
    docket.take_in((1,), table_of([ingest(1), ingest(2), score(1)]), 10.0)
    assert due(docket, 11.0) == []
    assert docket.next_due() == 16.0
    docket.take_in((2,), table_of([score(2)]), 12.0)
    assert when(docket) == (13.0, [("r", "structure")])


def test_it_is_looked_once_whether_something_is_to_come(monkeypatch) -> None:
    docket, looks = docket_of(flow(complete="{structure: 1s}")), []
    monkeypatch.setattr("spanverdict.app.readiness.has_loose_ends", lambda *_: looks.append(1) or True)
    docket.take_in((1,), requests(1), 10.0)
    for now in (10.5, 11.0, 12.0, 15.9):
        assert due(docket, now) == []
    assert len(looks) == 1
    assert due(docket, 16.0) == [("r", "idle")]


def test_spans_after_a_verdict_by_structure_reopen_the_run() -> None:
    docket = docket_of(flow(complete="{structure: 1s}"))
    docket.take_in((1,), requests(1), 10.0)
    assert due(docket, 11.0) == [("r", "structure")]
    docket.judged(docket.runs["r"], 1, 1)
    assert docket.next_due() is None
    docket.take_in((2,), table_of([ingest(2)]), 12.0)
    assert due(docket, 13.0) == []
    assert when(docket) == (18.0, [("r", "idle")])


def test_a_flow_names_the_attribute_that_tags_its_runs() -> None:
    docket = docket_of(replace(flow(), run_id=("acme.run",)))
    tagged = [row | {"attributes": {"acme.run": "mine"}} for row in (ingest(1), score(1))]
    docket.take_in((1,), table_of([*tagged, ingest(2), score(2)]), 10.0)
    assert sorted(name for name, _ in when(docket)[1]) == ["mine", "r"]
    assert ids_of(docket, "mine") == [11, 12]


def suite(run: str, status: str, **more: object) -> dict[str, object]:
    return {
        "trace": f"suite-{run}",
        "id": 7,
        "end": 5,
        "attributes": {"test.suite.run.id": run, "test.suite.run.status": status},
        **more,
    }


def test_a_span_of_the_test_suite_ends_its_run_and_no_other() -> None:
    """Neither while it goes on nor before its span has ended; a batch that both runs share makes no difference."""
    shared = {"trace": "batch", "id": 9, "links": [{"trace": "trace-1", "id": 12}, {"trace": "trace-2", "id": 22}]}
    rows = [ingest(1, "a"), score(1), ingest(2, "b"), score(2), shared]
    docket = docket_of()
    docket.take_in((1,), table_of([*rows, suite("a", "in_progress"), suite("b", "success", end=0)]), 10.0)
    assert due(docket, 10.1) == []
    docket.take_in((2,), table_of([suite("a", "failure", id=8)]), 10.2)
    assert due(docket, 10.2) == []
    assert docket.runs["a"].ended == 10.2
    assert docket.runs["b"].ended is None
    assert when(docket) == (10.7, [("a", "run end")])


def test_spans_after_the_one_that_ended_the_run_are_waited_for() -> None:
    docket = docket_of()
    docket.take_in((1,), table_of([ingest(1), suite("r", "success")]), 10.0)
    assert due(docket, 10.0) == []
    docket.take_in((2,), table_of([score(1)]), 10.4)
    assert due(docket, 10.5) == []
    assert when(docket) == (10.9, [("r", "run end")])


def test_where_one_run_alone_is_received_its_command_says_when_it_ends() -> None:
    docket = docket_of(only="r")
    docket.take_in((1,), table_of([ingest(1), score(1), suite("r", "success")]), 10.0)
    assert due(docket, 10.6) == []
    assert docket.runs["r"].ended is None


def test_the_end_of_a_run_is_heeded_once_it_is_quiet() -> None:
    docket = docket_of()
    docket.take_in((1,), requests(1), 10.0)
    docket.hear(record(ended_unix_nano=5), (), 11.0)
    docket.take_in((2,), requests(2), 11.4)
    assert due(docket, 11.6) == []
    assert when(docket) == (11.9, [("r", "run end")])


def test_a_declared_run_without_spans_waits_and_is_judged_when_it_ends() -> None:
    docket = docket_of()
    docket.hear(record(expected_requests=5), (), 10.0)
    assert due(docket, 10.0) == []
    assert docket.next_due() is None
    docket.hear(record(expected_requests=5, ended_unix_nano=5), (), 20.0)
    assert when(docket) == (20.5, [("r", "run end")])


def test_late_spans_reopen_a_run_and_nothing_else_does() -> None:
    docket = docket_of()
    docket.take_in((1,), requests(1), 10.0)
    assert when(docket) == (16.0, [("r", "idle")])
    docket.take_in((1,), requests(1), 17.0)
    assert when(docket) == (100.0, [])
    docket.take_in((2,), table_of([score(1) | {"id": 77}]), 18.0)
    assert when(docket) == (24.0, [("r", "idle")])
    assert docket.runs["r"].revision == 2


def test_more_that_is_said_after_the_verdict_reopens_it_too() -> None:
    docket = docket_of()
    docket.take_in((1,), requests(1), 10.0)
    when(docket)
    docket.hear(record(), (), 20.0)
    assert when(docket) == (100.0, [])
    docket.hear(record(expected_requests=2), (), 21.0)
    assert when(docket) == (51.0, [("r", "cap")])
    docket.hear(record(expected_requests=2), (trace_bytes("trace-9"),), 60.0)
    assert when(docket)[1] == [("r", "cap")]


def test_many_runs_are_kept_apart() -> None:
    docket = docket_of(SIZED)
    docket.take_in((1,), table_of([*[ingest(n, "a") for n in (1, 2, 3)], *[ingest(n, "b") for n in (4, 5, 6)]]), 10.0)
    docket.take_in((2,), table_of([score(n) for n in (1, 2, 3, 4)]), 11.0)
    assert due(docket, 11.0) == [("a", "manifest")]
    assert ids_of(docket, "a") == [11, 12, 21, 22, 31, 32]
    docket.take_in((3,), table_of([score(n) for n in (5, 6)]), 12.0)
    assert due(docket, 12.0) == [("b", "manifest")]


def test_a_flow_that_a_run_has_not_begun_does_not_say_how_long_to_wait() -> None:
    """A server holds many flows: what one of them expects is nothing to the runs of another."""
    docket = docket_of(SCORING, flow("other", "elsewhere", "{requests: 300}"))
    docket.take_in((1,), requests(1), 10.0)
    assert when(docket) == (16.0, [("r", "idle")])


def test_a_run_is_whole_when_the_flows_that_it_has_begun_are() -> None:
    docket = docket_of(SIZED, flow("other", "elsewhere", "{idle: 60s, at_most: 90s}"))
    docket.take_in((1,), requests(1, 2, 3), 10.0)
    assert due(docket, 10.0) == [("r", "manifest")]


def test_a_declared_run_waits_for_the_flows_that_it_was_declared_with() -> None:
    docket = docket_of(SCORING, flow("other", "elsewhere", "{idle: 60s, at_most: 90s}"))
    docket.hear(record(flows=("other",)), (), 9.0)
    docket.take_in((1,), requests(1), 10.0)
    assert when(docket) == (70.0, [("r", "idle")])


def test_untagged_spans_are_counted_and_after_a_while_forgotten_and_counted_as_that() -> None:
    docket = docket_of(keep_s=60.0)
    docket.take_in((1,), requests(1, run=None), 10.0)
    docket.take_in((2,), requests(2), 69.0)
    due(docket, 69.0)
    assert docket.untagged == 2
    docket.tidy(69.5)
    assert (docket.untagged, docket.forgotten_untagged) == (2, 0)
    docket.tidy(71.0)
    assert (docket.untagged, docket.forgotten_untagged) == (0, 2)


def test_the_spans_of_a_run_that_waits_long_are_not_forgotten() -> None:
    docket = docket_of(flow(complete="{idle: 20m, at_most: 30m}"))
    docket.take_in((1,), requests(1), 10.0)
    due(docket, 10.0)
    docket.tidy(1000.0)
    assert when(docket, 10_000.0) == (1210.0, [("r", "idle")])


def test_a_declared_trace_waits_for_its_run_however_long() -> None:
    docket = docket_of(keep_s=60.0)
    docket.hear(record(), (trace_bytes("trace-1"),), 10.0)
    docket.tidy(10_000.0)
    docket.take_in((1,), requests(1, run=None), 10_001.0)
    assert due(docket, 10_007.0) == [("r", "idle")]


def test_a_run_that_is_declared_after_the_spans_of_its_traces_came_is_judged_all_the_same() -> None:
    docket = docket_of()
    docket.take_in((3, 4), requests(1, run=None), 10.0)
    docket.hear(record(), (trace_bytes("trace-1"),), 11.0)
    (run,) = docket.unnoted()
    assert (run.first_batch, run.last_batch) == (3, 4), "so a restart finds its spans, too"
    assert when(docket) == (17.0, [("r", "idle")])
    assert ids_of(docket, "r") == [11, 12]


def test_a_judged_run_that_was_forgotten_comes_back_whole_when_late_spans_come() -> None:
    archive = MemoryArchive()
    docket = docket_of(archive=archive, keep_s=60.0)
    archive.journal = {1: requests(1), 2: requests(2, run="other"), 3: requests(3)}
    docket.take_in((1,), archive.journal[1], 10.0)
    docket.take_in((3,), archive.journal[3], 11.0)
    when(docket)
    docket.tidy(1000.0)
    assert docket.runs == {}
    archive.known["r"] = Recalled(record(first_batch=1, last_batch=3, judged_through=3, state=RunState.JUDGED), 1, ())
    docket.take_in((9,), table_of([score(1) | {"id": 77}]), 1001.0)
    assert docket.runs == {}, "nothing names its run yet"
    docket.take_in((10,), table_of([ingest(1) | {"id": 78}]), 1002.0)
    assert due(docket, 1007.0) == []
    assert due(docket, 1008.0) == [("r", "idle")]
    assert ids_of(docket, "r") == [11, 12, 31, 32, 77, 78]
    assert docket.runs["r"].revision == 2


def test_a_run_from_before_a_restart_is_judged_with_all_that_came_before_it() -> None:
    archive = MemoryArchive()
    archive.known["r"] = Recalled(record(first_batch=1, last_batch=2, expected_requests=2), 0, ())
    archive.journal = {1: requests(1), 2: requests(2)}
    docket = docket_of(archive=archive)
    docket.follow("r", 5.0)
    assert due(docket, 5.0) == [("r", "manifest")], "read from the journal, as nobody took it in again"
    assert archive.read == [1, 2]
    again = docket_of(archive=archive)
    archive.read.clear()
    again.follow("r", 5.0)
    for number, table in archive.journal.items():
        again.take_in((number,), table, 5.0)
    again.complete("r")
    assert due(again, 5.0) == [("r", "manifest")]
    assert archive.read == []


def test_a_run_that_was_judged_before_a_restart_is_not_judged_again() -> None:
    archive = MemoryArchive()
    archive.known["r"] = Recalled(record(first_batch=1, last_batch=1, judged_through=1, state=RunState.JUDGED), 1, ())
    docket = docket_of(archive=archive)
    docket.take_in((1,), requests(1), 5.0)
    assert when(docket) == (100.0, [])


def test_what_was_said_between_verdict_and_restart_is_not_forgotten() -> None:
    archive = MemoryArchive()
    archive.known["r"] = Recalled(
        record(first_batch=1, last_batch=1, judged_through=1, expected_requests=2, state=RunState.OPEN), 1, ()
    )
    archive.journal = {1: requests(1)}
    docket = docket_of(archive=archive)
    docket.follow("r", 5.0)
    assert when(docket) == (35.0, [("r", "cap")])


def test_no_verdict_is_given_while_it_is_not_known_what_was_there_before() -> None:
    """Else the first revision would be given twice, the second time on a part of the spans."""
    archive = MemoryArchive()
    archive.broken = True
    docket = docket_of(archive=archive)
    docket.take_in((5,), requests(2), 10.0)
    assert due(docket, 16.0) == []
    assert docket.next_due() == 16.0 + RETRY_S
    archive.broken = False
    archive.known["r"] = Recalled(record(first_batch=1, last_batch=5, judged_through=1), 1, ())
    archive.journal = {1: requests(1), 5: requests(2)}
    assert due(docket, 16.0 + RETRY_S) == [("r", "idle")]
    assert ids_of(docket, "r") == [11, 12, 21, 22]
    assert docket.runs["r"].revision == 2


def test_a_run_that_could_not_be_kept_is_tried_again() -> None:
    docket = docket_of()
    docket.take_in((1,), requests(1), 10.0)
    ((run, trigger),) = list(docket.due(16.0))
    docket.postpone(run, 21.0, "the disk is full")
    assert (trigger, run.trouble, docket.next_due()) == ("idle", "the disk is full", 21.0)
    assert due(docket, 21.0) == [("r", "idle")]
    assert run.trouble == ""


def test_a_whole_run_whose_verdict_could_not_be_kept_is_whole_when_it_is_tried_again() -> None:
    docket = docket_of(SIZED)
    docket.take_in((1,), requests(1, 2, 3), 10.0)
    ((run, trigger),) = list(docket.due(10.0))
    docket.postpone(run, 15.0, "the disk is full")
    assert trigger == "manifest"
    assert due(docket, 15.0) == [("r", "manifest")]


def test_a_verdict_that_was_kept_and_reported_as_lost_does_not_end_a_run_that_more_is_said_of() -> None:
    docket = docket_of()
    docket.take_in((1,), requests(1), 10.0)
    ((run, _),) = list(docket.due(16.0))
    docket.postpone(run, 21.0, "the disk is broken")
    docket.hear(record(expected_requests=1, judged_through=1), (), 17.0)
    assert when(docket)[1] == [("r", "manifest")]


def test_the_store_is_told_of_new_batches_until_it_has_heard() -> None:
    docket = docket_of()
    docket.take_in((4,), table_of([score(1)]), 10.0)
    docket.take_in((5, 6, 7), table_of([ingest(1)]), 10.0)
    (run,) = docket.unnoted()
    assert (run.first_batch, run.last_batch) == (4, 7)
    assert docket.unnoted() == [run]
    docket.noted([run])
    assert docket.unnoted() == []
    docket.take_in((5,), table_of([ingest(1)]), 11.0)
    assert docket.unnoted() == []


def test_a_lot_of_spans_is_let_go_early_when_nobody_waits_for_them() -> None:
    docket = docket_of(keep_bytes=1000)
    for number in range(1, 11):
        docket.take_in((number,), requests(number, run=f"run-{number}"), float(number))
    due(docket, 12.0)
    docket.tidy(12.0)
    open_runs = {run.id for run in docket.runs.values() if run.fresh}
    assert open_runs == {f"run-{n}" for n in (7, 8, 9, 10)}
    assert open_runs <= docket.runs.keys()
    assert len(docket.runs) < 10
    assert all(docket.evidence(docket.runs[name]) is not None for name in open_runs)


def test_a_declared_run_that_never_comes_is_not_kept_at_hand_for_ever() -> None:
    docket = docket_of(keep_s=60.0)
    docket.hear(record(), (), 10.0)
    docket.tidy(100.0)
    assert docket.runs == {}


ONE = {"only": "r"}


def test_a_private_receiver_takes_untagged_spans_and_leaves_other_runs_alone() -> None:
    docket = docket_of(**ONE)
    docket.take_in((1,), table_of([ingest(1, None), score(1), ingest(2, "foreign")]), 10.0)
    docket.hear(record(ended_unix_nano=1), (), 10.0)
    assert when(docket) == (10.5, [("r", "run end")])
    assert ids_of(docket, "r") == [11, 12]
    assert set(docket.runs) == {"r"}
    assert docket.others() == {"foreign"}


@pytest.mark.parametrize("rows", [[], [ingest(1)], [ingest(1), score(1), score(2)]], ids=["none", "stage", "parent"])
def test_a_run_that_is_judged_once_waits_longer_for_what_evidently_lacks(rows) -> None:
    docket = docket_of(**ONE)
    if rows:
        docket.take_in((1,), table_of(rows), 10.0)
    docket.hear(record(ended_unix_nano=1), (), 10.0)
    assert due(docket, 10.5) == []
    assert when(docket) == (16.0, [("r", "run end")])


def test_late_spans_of_a_detached_service_are_in_the_only_verdict() -> None:
    docket = docket_of(**ONE)
    docket.take_in((1,), table_of([ingest(1)]), 10.0)
    docket.hear(record(ended_unix_nano=1), (), 10.0)
    assert due(docket, 10.5) == []
    docket.take_in((2,), table_of([score(1)]), 15.0)
    assert due(docket, 16.0) == []
    assert when(docket) == (21.0, [("r", "run end")])
    assert ids_of(docket, "r") == [11, 12]


def test_services_that_export_at_their_own_pace_are_waited_for_even_when_all_seems_there() -> None:
    docket = docket_of(only="r", patient=True)
    docket.take_in((1,), requests(1), 10.0)
    docket.hear(record(ended_unix_nano=1), (), 10.0)
    assert when(docket) == (16.0, [("r", "run end")])


def test_a_run_of_known_size_need_not_wait_for_anything() -> None:
    docket = docket_of(SIZED, only="r", patient=True)
    docket.take_in((1,), requests(1, 2, 3), 10.0)
    assert due(docket, 10.0) == [("r", "manifest")]


events = st.lists(st.tuples(st.floats(0.01, 3.0), st.integers(1, 6), st.booleans()), min_size=1, max_size=8)


@settings(max_examples=60)
@given(
    events, st.sampled_from([SCORING, SIZED, flow(complete="{idle: 1s, at_most: 4s}")]), st.none() | st.integers(1, 6)
)
def test_a_run_is_never_judged_before_its_time(came: Sequence[tuple[float, int, bool]], rules: Flow, expected) -> None:
    """Whole, or quiet as long as the flow says: nothing else ends a run that nobody ended."""
    docket = docket_of(rules)
    pool, now, whole = new_pool(), 0.0, {n: set() for n in range(1, 7)}
    size = expected if expected is not None else rules.complete.requests
    patience = (rules.complete.at_most_ns if size is not None else rules.complete.idle_ns) / 1e9
    docket.hear(record(expected_requests=expected), (), 0.0)
    for batch, (pause, number, second) in enumerate(came, 1):
        last, now = now, now + pause
        for run, trigger in docket.due(now):
            complete = sum(len(parts) == 2 for parts in whole.values())
            begun = sum(False in parts for parts in whole.values())
            if trigger == "manifest":
                assert size is not None
                assert complete == begun >= size
            else:
                assert now - last >= patience
            docket.judged(run, run.last_batch, run.revision + 1)
        span = (score if second else ingest)(number) | {"attributes": {"test.suite.run.id": "r"}}
        docket.take_in((batch,), table_of([span], pool), now)
        whole[number].add(second)
