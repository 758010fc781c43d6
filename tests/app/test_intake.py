"""The way of a request: decoded with its neighbours, journaled, handed on, then acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from bench.load import make_payload
from spanverdict.app import decoding
from spanverdict.app import intake as intake_room
from spanverdict.app.intake import Intake
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import Overloaded, Unavailable
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.errors import JournalUnavailable
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable

WAIT_S = 10


class Judge:
    """Keeps what was delivered."""

    def __init__(self) -> None:
        self.delivered: list[tuple[list[int], SpanTable]] = []

    def deliver(self, batches: Sequence[int], table: SpanTable) -> None:
        self.delivered.append((list(batches), table))

    def span_ids(self) -> list[int]:
        return [number for _, table in self.delivered for number in table.span_id.tolist()]


class Journal:
    """Commits when it is told to, and only what it is told to."""

    def __init__(self) -> None:
        self.payloads: list[list[bytes]] = []
        self.commits: list[Future[range]] = []
        self.here: list[bool] = []

    def append_all(self, payloads: Sequence[bytes], received_unix_nano: int, *, here: bool = False) -> Future[range]:
        self.payloads.append(list(payloads))
        self.here.append(here)
        self.commits.append(Future())
        return self.commits[-1]


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


def span_ids(payload: bytes) -> list[int]:
    return decode(payload, new_pool()).table.span_id.tolist()


def outcomes(receipts: Sequence[Future[Receipt]]) -> list[object]:
    return [type(r.exception(WAIT_S)) if r.exception(WAIT_S) else r.result().accepted for r in receipts]


def test_what_is_acknowledged_is_in_the_journal_and_with_the_judge_once(store: Store, judge: Judge) -> None:
    payloads = [make_payload(5, 3, seed) for seed in range(40)]
    intake = Intake(store.journal, judge.deliver)
    intake.start()
    receipts = [intake.submit(payload) for payload in payloads]
    assert outcomes(receipts) == [5] * 40
    intake.close()
    assert [batch.payload for batch in store.journal.read()] == payloads
    assert [number for ids, _ in judge.delivered for number in ids] == list(range(1, 41))
    assert judge.span_ids() == [number for payload in payloads for number in span_ids(payload)]


def test_a_request_that_is_no_otlp_or_empty_costs_its_neighbours_nothing(store: Store, judge: Judge) -> None:
    intake = Intake(store.journal, judge.deliver)
    good = [make_payload(5, 3, seed) for seed in range(2)]
    receipts = [intake.submit(payload) for payload in (good[0], b"\xff", b"", good[1])]
    intake.start()  # only now, so that they are taken together
    assert outcomes(receipts) == [5, Undecodable, 0, 5]
    intake.close()
    assert [batch.payload for batch in store.journal.read()] == good
    assert [ids for ids, _ in judge.delivered] == [[1, 2]]


def test_only_what_was_committed_is_handed_on(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    payloads = [make_payload(5, 3, seed) for seed in range(4)]
    monkeypatch.setattr(intake_room, "GROUP_BYTES", 2 * len(payloads[0]) - 100)
    journal = Journal()
    intake = Intake(journal, judge.deliver)  # type: ignore[arg-type]
    receipts = [intake.submit(payload) for payload in payloads]
    intake.start()
    intake.close()
    assert journal.payloads == [payloads[:2], payloads[2:]]
    assert journal.here[0] is False, "the next group waits to be decoded meanwhile"
    assert not any(receipt.done() for receipt in receipts)
    first, second = journal.commits
    first.set_exception(JournalUnavailable("the disk is full"))
    second.set_result(range(7, 9))
    assert outcomes(receipts) == [Unavailable, Unavailable, 5, 5]
    assert [ids for ids, _ in judge.delivered] == [[7, 8]]
    assert judge.span_ids() == span_ids(payloads[2]) + span_ids(payloads[3])


def test_who_has_nothing_else_to_decode_commits_itself(store: Store) -> None:
    threads: list[str] = []
    intake = Intake(store.journal, lambda _ids, _table: threads.append(threading.current_thread().name))
    intake.start()
    assert outcomes([intake.submit(make_payload(5, 3, 1))]) == [5]
    intake.close()
    assert threads == ["intake"]


def test_nothing_is_acknowledged_before_the_judge_has_it() -> None:
    journal, done = Journal(), []
    intake = Intake(journal, lambda _ids, _table: done.append(receipt.done()))  # type: ignore[arg-type]
    receipt = intake.submit(make_payload(5, 3, 1))
    intake.start()
    intake.close()
    journal.commits[0].set_result(range(1, 2))
    assert done == [False]
    assert receipt.done()


def test_without_room_a_request_is_refused_and_leaves_no_trace(store: Store, judge: Judge) -> None:
    room = [False]
    intake = Intake(store.journal, judge.deliver, lambda: room[0])
    with pytest.raises(Overloaded):
        intake.submit(make_payload(5, 3, 1))
    room[0] = True
    receipt = intake.submit(make_payload(5, 3, 2))
    intake.start()
    assert outcomes([receipt]) == [5]
    intake.close()
    assert store.journal.bounds().last == 1


def test_a_fault_of_ours_is_told_to_the_clients_and_ends_nothing(
    store: Store, judge: Judge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    intake = Intake(store.journal, judge.deliver)
    with monkeypatch.context() as broken:
        broken.setattr(decoding, "decode_all", lambda *_, **_named: 1 / 0)
        failed = intake.submit(make_payload(5, 3, 1))
        intake.start()
        assert outcomes([failed]) == [ZeroDivisionError]
    assert outcomes([intake.submit(make_payload(5, 3, 2))]) == [5]
    intake.close()
    assert "could not be taken in" in caplog.text


def test_a_pool_is_left_behind_when_it_has_grown_large() -> None:
    decoder = decoding.Decoder(pool_limit=10)
    pools = [decoder.decode(make_payload(5, 10, seed)).table.pool for seed in range(3)]
    assert len({id(pool) for pool in pools}) == 3
