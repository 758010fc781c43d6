"""The ledger of the benchmarks: every way in which a store may differ from what a sender was told is found."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bench.goals import Goal
from bench.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, UNSENT, Ledger, check, check_store, stored_span_ids
from bench.load import Traffic
from bench.loading import Case
from bench.sender import Requests, outcome_of
from spanverdict.storage.store import Store

TRAFFIC = Traffic.build(5, 4, spans_per_run=20, templates=2)


def ledger(*outcomes: int) -> Ledger:
    count = len(outcomes)
    return Ledger(np.array(outcomes, np.int8), np.arange(count) / 1000, np.arange(count) / 10, 0.1, 1.0, 0.5)


@pytest.mark.parametrize(
    ("outcomes", "stored", "said"),
    [
        ((ACKNOWLEDGED, ACKNOWLEDGED), [1, 1], "exact"),
        ((ACKNOWLEDGED, REFUSED, UNSENT), [1], "exact"),
        ((ACKNOWLEDGED, UNKNOWN), [1, 1], "1 requests unanswered"),
        ((ACKNOWLEDGED, UNKNOWN), [1, 0], "1 requests unanswered"),
        ((ACKNOWLEDGED, ACKNOWLEDGED), [1, 0], "1 acknowledged requests are not stored"),
        ((ACKNOWLEDGED, UNKNOWN), [1, 2], "1 requests are stored twice"),
        ((ACKNOWLEDGED, REFUSED), [1, 1], "1 refused requests are stored"),
        ((ACKNOWLEDGED, UNSENT), [1, 1], "1 unsent requests are stored"),
        ((ACKNOWLEDGED,), [1, 0, 1], "requests are stored that nobody sent"),
    ],
)
def test_a_ledger_is_exact_or_says_what_is_wrong(outcomes: tuple[int, ...], stored: list[int], said: str) -> None:
    assert check(ledger(*outcomes), np.array(stored)) == said


def store_of(path: Path, *payloads: bytes) -> Path:
    with Store.open(path) as store:
        for at, payload in enumerate(payloads):
            store.journal.append(payload, at + 1).result(10)
    return path


def test_a_store_is_held_against_it_byte_by_byte(tmp_path: Path) -> None:
    payloads = [TRAFFIC.payload(number) for number in (2, 0)]
    told = ledger(ACKNOWLEDGED, REFUSED, ACKNOWLEDGED)
    assert check_store(told, TRAFFIC, store_of(tmp_path / "a", *payloads)) == "exact"
    assert check_store(told, TRAFFIC, store_of(tmp_path / "b", payloads[0])) == "1 acknowledged requests are not stored"
    changed = payloads[0][:-1] + bytes([payloads[0][-1] ^ 1])
    found = check_store(told, TRAFFIC, store_of(tmp_path / "c", changed, payloads[1]))
    assert found == "1 requests are stored that nobody sent so"


def test_the_ids_in_a_store_are_those_that_were_made(tmp_path: Path) -> None:
    found = stored_span_ids(store_of(tmp_path / "store", TRAFFIC.payload(1)))
    assert found.tolist() == TRAFFIC.loads[1].span_ids(1).tolist()


def test_a_ledger_survives_its_file(tmp_path: Path) -> None:
    ledger(ACKNOWLEDGED, REFUSED, ACKNOWLEDGED).save(tmp_path / "ledger.npz")
    kept = Ledger.read(tmp_path / "ledger.npz")
    assert (kept.count(ACKNOWLEDGED), kept.warm_up, kept.seconds, kept.cpu_seconds) == (2, 0.1, 1.0, 0.5)
    assert kept.milliseconds((0, 100)) == [2.0, 2.0], "the first answer came before it was warm"
    assert ledger(REFUSED).milliseconds((50,)) == [0.0]


@pytest.mark.parametrize(
    ("answer", "outcome"), [(b"", ACKNOWLEDGED), (b"\x0a\x00", ACKNOWLEDGED), (b"\x0a\x02\x08\x01", REFUSED)]
)
def test_an_answer_that_rejects_spans_is_no_acknowledgement(answer: bytes, outcome: int) -> None:
    assert outcome_of(answer) == outcome


def send_with_one_stall(rate: float, count: int, stalled: threading.Event) -> Requests:
    """One connection whose first answer takes until all other requests should have been sent."""
    requests = Requests(
        lambda number: b"%d" % number, 60.0, np.zeros(count, np.int8), np.zeros(count), np.zeros(count), rate
    )

    def send(payload: bytes) -> int:
        if payload == b"0":
            stalled.wait(0.2)
        return ACKNOWLEDGED

    requests.begun = time.perf_counter()
    requests.send_all(send)
    return requests


def test_a_stall_delays_all_that_should_have_been_sent_meanwhile() -> None:
    requests = send_with_one_stall(100.0, 10, threading.Event())
    assert (requests.outcomes == ACKNOWLEDGED).all()
    assert requests.latencies[0] >= 0.19
    assert (requests.latencies[1:] > 0.1).all(), "they waited, although each was answered at once when it was sent"


def test_nothing_is_sent_before_its_time() -> None:
    stalled = threading.Event()
    stalled.set()
    requests = send_with_one_stall(50.0, 5, stalled)
    assert (requests.latencies >= 0).all()
    assert (requests.outcomes == ACKNOWLEDGED).all()


def test_sending_ends_with_its_time_and_what_was_not_sent_says_so() -> None:
    requests = Requests(lambda _: b"", 0.15, np.zeros(3, np.int8), np.zeros(3), np.zeros(3), 10.0)
    requests.begun = -1.0
    requests.send_all(lambda _: ACKNOWLEDGED)
    assert requests.outcomes.tolist() == [ACKNOWLEDGED, ACKNOWLEDGED, UNSENT]


@pytest.mark.parametrize(
    ("case", "name"),
    [
        (Case("grpc", 512), "grpc/512"),
        (Case("http", 100, attributes=16), "http/100x16"),
        (Case("grpc", 10, gzip=True, rate=10_000), "grpc/10/gzip/10,000/s"),
    ],
)
def test_a_case_names_what_is_not_usual(case: Case, name: str) -> None:
    assert case.name == name


def test_a_goal_is_met_at_its_number() -> None:
    assert Goal("rate", 5, 5).met
    assert Goal("time", 5, 5, at_most=True).met
    assert not Goal("rate", 4.9, 5).met
    assert not Goal("time", 5.1, 5, at_most=True).met
