"""When a run may be judged: counted first, stitched later, and what runs out when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.followed import flow, ingest, requests, score
from spantables import table_of
from spanverdict.app.completeness import (
    DEFAULT_AT_MOST_S,
    DEFAULT_IDLE_S,
    QUIET_S,
    Progress,
    StageTally,
    Waiting,
    has_loose_ends,
    is_whole,
    may_be_whole,
)
from spanverdict.evaluation.preparing import prepare

SCORING = flow()


def tallied(table, flows=(SCORING,)) -> Progress:
    tally = StageTally(flows)
    return tally.progress(np.array([len(table), *(int(way.sum()) for way in tally(table))]))


def test_every_stage_of_every_flow_is_counted_by_name() -> None:
    seen = tallied(requests(1, 2, 3), (SCORING, flow("other", "elsewhere")))
    assert seen.spans == 6
    assert seen.seen == {
        ("scoring", "ingest"): 3,
        ("scoring", "score"): 3,
        ("other", "ingest"): 0,
        ("other", "score"): 3,
    }
    assert seen.ends == 0
    assert seen.started(SCORING)
    assert not seen.started(flow("other", "elsewhere"))


def test_a_span_that_links_several_stands_for_as_many_requests() -> None:
    batch = score(1) | {"links": [{"trace": f"trace-{n}", "id": n * 10 + 1} for n in (1, 2, 3)]}
    assert tallied(table_of([ingest(1), batch])).seen["scoring", "score"] == 3


def test_what_lacks_is_told_by_stage_and_never_negative() -> None:
    seen = tallied(table_of([ingest(1), ingest(2), score(1)]))
    assert seen.lacking(SCORING, 2) == [("score", 1)]
    assert seen.lacking(SCORING, 1) == []


@pytest.mark.parametrize(
    ("of_flow", "of_run", "enough"),
    [(None, None, False), (2, None, True), (3, None, False), (None, 2, True), (3, 2, True), (2, 3, False)],
)
def test_only_a_run_whose_size_is_known_can_be_whole_and_its_own_word_comes_first(of_flow, of_run, enough) -> None:
    flows = (flow(complete=f"{{requests: {of_flow}}}") if of_flow else SCORING,)
    table = requests(1, 2)
    assert may_be_whole(tallied(table, flows), flows, of_run) is enough
    assert is_whole(prepare(table), flows, of_run) is enough


def test_a_run_of_no_flow_is_never_whole() -> None:
    assert not may_be_whole(Progress(5), (), 1)


def test_one_flow_of_unknown_size_leaves_the_run_of_unknown_size() -> None:
    flows = (flow(complete="{requests: 1}"), flow("second"))
    assert not may_be_whole(tallied(requests(1), flows), flows, None)


def test_counts_that_suffice_do_not_make_it_whole_when_one_request_has_two_and_another_none() -> None:
    extra = score(1) | {"id": 99}
    table = table_of([ingest(1), ingest(2), score(1), extra])
    assert may_be_whole(tallied(table), (SCORING,), 2)
    assert not is_whole(prepare(table), (SCORING,), 2)


def test_a_stage_that_has_not_ended_is_not_there_yet() -> None:
    assert not is_whole(prepare(table_of([ingest(1), score(1) | {"end": 0}])), (SCORING,), 1)


@pytest.mark.parametrize(
    ("rows", "loose"),
    [
        ([ingest(1), score(1)], False),
        ([ingest(1)], True),
        ([ingest(1), score(1), score(2)], True),
        ([ingest(1), score(1) | {"links": [{"trace": "gone", "id": 5}]}], True),
        ([], True),
    ],
    ids=["whole", "stage missing", "parent missing", "linked span missing", "nothing"],
)
def test_loose_ends_say_that_something_is_on_its_way(rows, loose) -> None:
    assert has_loose_ends(prepare(table_of(rows)), (SCORING,), None) is loose


def test_expected_requests_that_have_not_come_are_loose_ends() -> None:
    assert has_loose_ends(prepare(requests(1)), (SCORING,), 2)
    assert not has_loose_ends(prepare(requests(1)), (SCORING,), 1)


TIMES = flow(complete="{idle: 2s, at_most: 20s, flush: 3s}")
SIZED = flow(complete="{requests: 5, idle: 2s, at_most: 20s}")
SHAPED = flow(complete="{structure: 500ms}")


@pytest.mark.parametrize(
    ("waiting", "name", "due"),
    [
        (Waiting(None, None, None, (SCORING,)), None, None),
        (Waiting(10.0, None, None, (SCORING,)), "idle", 10 + DEFAULT_IDLE_S),
        (Waiting(10.0, None, None, ()), "idle", 10 + DEFAULT_IDLE_S),
        (Waiting(10.0, None, None, (TIMES,)), "idle", 12.0),
        (Waiting(10.0, None, 7, (TIMES,)), "cap", 30.0),
        (Waiting(10.0, None, None, (SIZED,)), "cap", 30.0),
        (Waiting(10.0, None, 7, ()), "cap", 10 + DEFAULT_AT_MOST_S),
        (Waiting(10.0, 11.0, None, (SCORING,)), "run end", 11 + QUIET_S),
        (Waiting(12.0, 11.0, 7, (SCORING,)), "run end", 12 + QUIET_S),
        (Waiting(None, 11.0, None, (SCORING,)), "run end", 11 + QUIET_S),
        (Waiting(None, 11.0, None, (TIMES,)), "run end", 14.0),
        (Waiting(None, 11.0, None, (SCORING,), patient=True), "run end", 11 + DEFAULT_IDLE_S),
        (Waiting(10.0, None, None, (TIMES, flow("b", complete="{idle: 4s}"))), "idle", 14.0),
        (Waiting(10.0, None, None, (SHAPED,)), "structure", 10.5),
        (Waiting(10.0, None, None, (SHAPED, flow("b", complete="{structure: 2s}"))), "structure", 12.0),
        (Waiting(10.0, None, None, (SHAPED,), loose=True), "idle", 10 + DEFAULT_IDLE_S),
        (Waiting(10.0, None, None, (SHAPED, SCORING)), "idle", 10 + DEFAULT_IDLE_S),
        (Waiting(10.0, None, 7, (SHAPED,)), "cap", 10 + DEFAULT_AT_MOST_S),
        (Waiting(10.0, 11.0, None, (SHAPED,)), "run end", 11 + QUIET_S),
    ],
)
def test_what_runs_out_first_and_when(waiting, name, due) -> None:
    assert waiting.next_due() == due
    if due is not None:
        assert waiting.trigger(due - 0.001) is None
        assert waiting.trigger(due) == name


waits = st.builds(
    Waiting,
    st.none() | st.floats(0, 100),
    st.none() | st.floats(0, 100),
    st.none() | st.integers(1, 9),
    st.lists(st.sampled_from([SCORING, TIMES, SIZED, SHAPED]), max_size=3).map(tuple),
    st.booleans(),
    st.booleans(),
)


@given(waits, st.floats(0, 200))
def test_no_trigger_fires_before_it_is_due_and_none_within_the_quiet_time(waiting: Waiting, now: float) -> None:
    due = waiting.next_due()
    assert (waiting.trigger(now) is not None) == (due is not None and now >= due)
    if due is not None:
        assert due >= max(waiting.active or 0, waiting.ended or 0) + QUIET_S
