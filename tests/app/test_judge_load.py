"""The judge under load: batches are taken in together, and what waits is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.followed import MemoryArchive, flow, ingest, record, requests, score
from spantables import new_pool, table_of
from spanverdict.app import arrivals, incoming
from spanverdict.app import judge as judge_room
from spanverdict.app.completeness import DEFAULT_IDLE_S
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.inbox import Inbox
from spanverdict.app.judge import Judge
from spanverdict.app.judgement import Judgement
from spanverdict.app.liverun import LiveRun
from spanverdict.telemetry.spantable import SpanTable


class Watched(Docket):
    """Remembers how batches were taken in."""

    def __init__(self) -> None:
        super().__init__(DocketConfig(flows=(flow(),)), MemoryArchive(), stopwatch=lambda: 0.0)
        self.taken: list[tuple[list[int], int]] = []

    def take_in(self, batches: Sequence[int], table: SpanTable, now: float) -> None:
        self.taken.append((list(batches), len(table)))
        super().take_in(batches, table, now)


class Desk:
    """A judge on the caller's thread, with a clock that stands still until told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.noted: list[tuple[str, int]] = []
        self.verdicts: list[Judgement] = []
        self.docket = Watched()
        self.judge = Judge(self.docket, self._conclude, self._note, clock=lambda: self.now)

    def _conclude(self, judgement: Judgement) -> int:
        self.verdicts.append(judgement)
        return judgement.run.revision

    def _note(self, runs: Sequence[LiveRun]) -> None:
        self.noted += [(run.id, run.last_batch) for run in runs]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_batches_of_one_pool_that_follow_each_other_are_taken_in_as_one(desk: Desk) -> None:
    pool, other = new_pool(), new_pool()
    for ids, holding in (((1,), pool), ((2, 3), pool), ((4,), other), ((6,), other)):
        desk.judge.deliver(ids, table_of([ingest(ids[0]), score(ids[0])], holding))
    desk.judge.step()
    assert desk.docket.taken == [([1, 2, 3], 4), ([4], 2), ([6], 2)]
    assert desk.docket.runs["r"].last_batch == 6


def test_joined_batches_have_a_largest_size(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "TOGETHER", 4)
    pool = new_pool()
    for number in range(1, 6):
        desk.judge.deliver((number,), table_of([ingest(number), score(number)], pool))
    desk.judge.step()
    assert desk.docket.taken == [([1, 2], 4), ([3, 4], 4), ([5], 2)]


def test_columns_that_wait_for_minutes_let_no_more_in(desk: Desk) -> None:
    """A restart takes in the last ten minutes again, and must not miss what was not yet taken in."""
    pool = new_pool()
    desk.now += 10 * incoming.MAX_LAG_S
    assert desk.judge.has_room(), "nothing waits, however long nothing came"
    desk.judge.deliver((1,), table_of([ingest(1)], pool))
    assert desk.judge.has_room()
    desk.now += incoming.MAX_LAG_S / 2
    desk.judge.deliver((2,), table_of([ingest(2)], new_pool()))
    assert desk.judge.has_room()
    desk.now += incoming.MAX_LAG_S / 2 + 1
    assert not desk.judge.has_room()
    desk.judge.step()
    assert desk.judge.has_room()


def test_who_is_told_to_stop_takes_in_no_more_than_there_is_time_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = desk.docket.take_in

    def slow(batches: Sequence[int], table: SpanTable, now: float) -> None:
        desk.now += 2
        known(batches, table, now)

    monkeypatch.setattr(desk.docket, "take_in", slow)
    for number in range(1, 10):
        desk.judge.deliver((number,), table_of([ingest(number, run=f"r{number}")], new_pool()))
    desk.judge.stop()
    assert not desk.judge.step()
    assert [ids for ids, _ in desk.docket.taken] == [[1], [2], [3]]
    assert [name for name, _ in desk.noted] == ["r1", "r2", "r3"]


def test_the_verdict_is_on_all_that_was_joined(desk: Desk) -> None:
    pool = new_pool()
    desk.judge.deliver((1,), table_of([ingest(1)], pool))
    desk.judge.deliver((2,), table_of([score(1)], pool))
    desk.judge.step()
    desk.now += 6
    desk.judge.step()
    assert [(verdict.run.id, verdict.judged_through) for verdict in desk.verdicts] == [("r", 2)]


def test_there_is_no_room_while_too_much_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = new_pool()
    tables = [table_of([ingest(number), score(number)], pool) for number in (1, 2)]
    monkeypatch.setattr(incoming, "MAX_BACKLOG_BYTES", tables[0].nbytes + 1)
    desk.judge.deliver((1,), tables[0])
    assert desk.judge.has_room()
    desk.judge.deliver((2,), tables[1])
    assert not desk.judge.has_room()
    desk.judge.step()
    assert desk.judge.has_room()
    assert desk.judge.backlog == 0


def test_a_new_run_is_noted_at_once_and_its_further_batches_from_time_to_time(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.judge.deliver((number,), requests(number))
        desk.judge.step()
    assert desk.noted == [("r", 1)]
    desk.judge.deliver((4,), requests(4, run="other"))
    desk.judge.step()
    assert desk.noted == [("r", 1), ("r", 3), ("other", 4)]
    desk.judge.deliver((5,), requests(5))
    desk.judge.step()
    desk.now += 1
    desk.judge.step()  # nobody wakes it; it is time to note
    assert desk.noted[3:] == [("r", 5)]


def test_what_was_not_noted_yet_is_noted_in_the_end(desk: Desk) -> None:
    for number in (1, 2):
        desk.judge.deliver((number,), requests(number))
        desk.judge.step()
    desk.judge.stop()
    desk.judge.step()
    assert desk.noted == [("r", 1), ("r", 2)]


class Resting(Inbox[Any]):
    """Does not rest, but remembers how long it was to."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: list[float] = []

    def rest(self, seconds: float, weight: float) -> None:
        self.rests.append(round(seconds, 3))


@pytest.mark.parametrize(("expected", "rest"), [(None, judge_room._LONG_PAUSE_S), (9, judge_room._PAUSE_S)])
def test_rounds_are_rarer_while_no_run_waits_for_a_known_number_of_requests(
    desk: Desk, expected: int | None, rest: float
) -> None:
    desk.judge._incoming.inbox = resting = Resting()
    desk.judge.hear(record(expected_requests=expected))
    for number in (1, 2):
        desk.judge.deliver((number,), requests(number))
        desk.judge.step()
    assert resting.rests == [rest]


def test_a_rest_ends_when_a_run_is_due(desk: Desk) -> None:
    desk.judge._incoming.inbox = resting = Resting()
    desk.judge.deliver((1,), requests(1))
    desk.judge.step()
    desk.now += DEFAULT_IDLE_S - 0.1
    desk.judge._incoming.rested_at = desk.now + 1
    desk.judge.deliver((2,), requests(2, run="other"))
    desk.judge.step()
    assert resting.rests == [0.1]


def test_a_run_with_a_verdict_is_not_waited_for(desk: Desk) -> None:
    desk.judge._incoming.inbox = Resting()
    desk.judge.hear(record(expected_requests=1))
    desk.judge.deliver((1,), table_of([ingest(1)]))
    desk.judge.step()
    assert desk.docket.awaits_spans
    desk.now += 1
    desk.judge.deliver((2,), table_of([score(1)]))
    desk.judge.step()
    assert [verdict.trigger for verdict in desk.verdicts] == ["manifest"]
    assert not desk.docket.awaits_spans


def test_a_run_is_waited_for_before_anything_of_it_came(desk: Desk) -> None:
    desk.judge._incoming.inbox = Resting()
    desk.judge.hear(record(expected_requests=1))
    desk.judge.step()
    assert desk.docket.awaits_spans
