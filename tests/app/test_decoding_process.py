"""Decoding apart: the same spans, and nothing lost or done twice whatever becomes of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.followed import MemoryArchive, record
from app.waiting import until
from bench.load import make_payload
from spanverdict.app import decodingprocess as room
from spanverdict.app.decodingprocess import PROGRAM, DecodingProcess
from spanverdict.app.desk import PLACE_BYTES
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.intake import Intake
from spanverdict.app.judge import Judge
from spanverdict.app.judgement import Judgement
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import Unavailable
from spanverdict.receiver.sink import Receipt
from spanverdict.reporting.jsonreport import document, render
from spanverdict.rulefiles.loader import load
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable

WAIT_S = 30
DEADLY = make_payload(3, 2, 99)
"""Decoding this one ends the processes of `MORTAL`."""
MORTAL = (
    "import os; from spanverdict.app import decoding; known = decoding.decode_all;"
    f"deadly = bytes.fromhex('{DEADLY.hex()}');"
    "decoding.decode_all = lambda all, pool, **more: os._exit(3) if deadly in [bytes(one) for one in all] else known(all, pool, **more);"
)
FLOW = """
version: 1
flow: scoring
stages:
  - {stage: score, select: '{ span:name = "predict" }'}
rules:
  - {id: fast, latency: {stage: score}, expect: {p95: "< 20ms"}}
  - {id: ids, attribute: {stage: score, value: span.score.value}, expect: {mean: "> 0"}}
"""


FORGETFUL = (
    "from spanverdict.app import decoding, decodingchild;"
    "decodingchild.Decoder = lambda **more: decoding.Decoder(pool_limit=500, **more);"
)
"""Begins a fresh pool every few payloads."""


def program(before: str) -> str:
    """The real one, with something that it does first."""
    modules, path, main = PROGRAM.split(";", 2)
    return f"{modules};{path};{before}{main}"


@pytest.fixture
def apart() -> Iterator[Callable[..., DecodingProcess]]:
    """Starts processes that are ready."""
    started: list[DecodingProcess] = []

    def start(program: str = PROGRAM) -> DecodingProcess:
        started.append(DecodingProcess(program))
        started[-1].start()
        until(lambda: started[-1].ready)
        return started[-1]

    yield start
    for process in started:
        process.close()


@contextmanager
def taking(
    folder: Path, apart: DecodingProcess | None
) -> Iterator[tuple[Intake, Store, list[tuple[range, SpanTable]]]]:
    delivered: list[tuple[Any, SpanTable]] = []
    with Store.open(folder / "store.sqlite", synchronous="OFF") as store:
        intake = Intake(store.journal, lambda ids, table: delivered.append((ids, table)), apart=apart)
        intake.start()
        yield intake, store, delivered
        intake.close()


def accepted(receipts: Sequence[Future[Receipt]]) -> list[Any]:
    return [type(error) if (error := receipt.exception(WAIT_S)) else receipt.result().accepted for receipt in receipts]


def span_ids(payloads: Sequence[bytes]) -> list[int]:
    return sorted(n for payload in payloads for n in decode(payload, new_pool()).table.span_id.tolist())


def test_the_spans_and_the_answers_are_those_of_decoding_here(tmp_path: Path, apart) -> None:
    good = [make_payload(5, 3, seed) for seed in range(40)]
    with taking(tmp_path, apart()) as (intake, store, delivered):
        receipts = [intake.submit(payload) for payload in (*good[:20], b"\xff", b"", *good[20:])]
        assert accepted(receipts) == [5] * 20 + [Undecodable, 0] + [5] * 20
        assert [batch.payload for batch in store.journal.read()] == good
    assert [number for ids, _ in delivered for number in ids] == list(range(1, 41))
    assert sorted(n for _, table in delivered for n in table.span_id.tolist()) == span_ids(good)


@pytest.mark.parametrize("shared", [True, False], ids=["with a desk", "without one"])
def test_long_requests_are_decoded_with_and_without_shared_memory(tmp_path: Path, apart, monkeypatch, shared) -> None:
    if not shared:
        monkeypatch.setattr(room, "desk_file", lambda: None)
    payloads = [make_payload(n_spans, 10, n_spans) for n_spans in (1, 2000, 9000, 700, 3)]
    assert max(map(len, payloads)) > PLACE_BYTES
    with taking(tmp_path, apart()) as (intake, store, delivered):
        receipts = [intake.submit(payload) for payload in payloads * 3]
        assert accepted(receipts) == [1, 2000, 9000, 700, 3] * 3
        assert [batch.payload for batch in store.journal.read()] == payloads * 3
    assert sorted(n for _, table in delivered for n in table.span_id.tolist()) == sorted(span_ids(payloads) * 3)


def test_when_the_process_dies_in_the_middle_all_is_decoded_once(tmp_path: Path, apart, caplog) -> None:
    process = apart()
    payloads = [make_payload(20, 5, seed) for seed in range(30)]
    with taking(tmp_path, process) as (intake, store, delivered):
        done = [intake.submit(payload) for payload in payloads[:10]]
        assert accepted(done) == [20] * 10
        first = process.pid
        os.kill(first, signal.SIGSTOP)
        held = []
        for payload in payloads[10:]:
            held.append(intake.submit(payload))
            time.sleep(0.002)  # so that there are several groups
        assert not any(receipt.done() for receipt in held)
        os.kill(first, signal.SIGKILL)
        assert accepted(held) == [20] * 20
        assert process.pid != first
        assert [batch.payload for batch in store.journal.read()] == payloads
    assert sorted(n for _, table in delivered for n in table.span_id.tolist()) == span_ids(payloads)
    assert [number for ids, _ in delivered for number in ids] == list(range(1, 31))
    assert "another one takes over" in caplog.text


def test_a_request_that_ends_processes_is_refused_and_its_neighbours_are_not(tmp_path: Path, apart, caplog) -> None:
    good = [make_payload(5, 3, seed) for seed in range(6)]
    with taking(tmp_path, apart(program(MORTAL))) as (intake, store, _):
        receipts = [intake.submit(payload) for payload in (*good[:3], DEADLY, *good[3:])]
        assert accepted(receipts) == [5, 5, 5, Unavailable, 5, 5, 5]
        assert accepted([intake.submit(good[0])]) == [5]
        assert [batch.payload for batch in store.journal.read()] == [*good, good[0]]
    assert "ends the process that decodes it" in caplog.text


def test_without_a_process_decoding_goes_on_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr(room, "_PAUSE_S", 0.001)
    process = DecodingProcess("raise SystemExit(1)")
    process.start()
    with taking(tmp_path, process) as (intake, _, _):
        until(lambda: "goes on without it" in caplog.text)
        assert accepted([intake.submit(make_payload(5, 3, 1))]) == [5]
        assert not process.ready


def test_closing_finishes_what_was_submitted_and_leaves_no_process(tmp_path: Path, apart) -> None:
    process = apart()
    payloads = [make_payload(50, 5, seed) for seed in range(40)]
    with taking(tmp_path, process) as (intake, store, _):
        watched = psutil.Process(process.pid)
        receipts = [intake.submit(payload) for payload in payloads]
        intake.close()
        assert accepted(receipts) == [50] * 40
        assert not watched.is_running()
        assert store.journal.bounds().last == 40


def test_a_process_that_nobody_needs_is_not_started(tmp_path: Path) -> None:
    process = DecodingProcess()
    with taking(tmp_path, process) as (intake, _, _):
        assert accepted([intake.submit(make_payload(5, 3, seed)) for seed in range(10)]) == [5] * 10
        assert process.pid is None


def test_much_to_decode_starts_it(tmp_path: Path) -> None:
    process = DecodingProcess()
    payloads = [make_payload(512, 10, seed) for seed in range(20)]
    with taking(tmp_path, process) as (intake, _, _):
        end = time.monotonic() + WAIT_S
        while not process.ready:
            assert time.monotonic() < end, "it is not started"
            assert accepted([intake.submit(payload) for payload in payloads]) == [512] * 20
        assert accepted([intake.submit(payload) for payload in payloads]) == [512] * 20


def test_a_process_with_nothing_to_do_is_ended_until_there_is_much_to_decode_again(tmp_path: Path, caplog) -> None:
    process = DecodingProcess(idle_s=0.2)
    payloads = [make_payload(512, 10, seed) for seed in range(20)]
    with taking(tmp_path, process) as (intake, store, _):
        for _ in range(2):
            end = time.monotonic() + WAIT_S
            while process.pid is None or not process.ready:
                assert time.monotonic() < end, "it is not started"
                assert accepted([intake.submit(payload) for payload in payloads]) == [512] * 20
            until(lambda: process.pid is None)
            assert accepted([intake.submit(payloads[0])]) == [512], "decoding goes on here"
        assert sorted(batch.id for batch in store.journal.read()) == list(range(1, store.journal.bounds().last + 1))
    assert "ended" not in caplog.text


def test_it_says_how_it_decodes(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    hasty = program("from spanverdict.app import compiling; compiling.PAYS_AFTER_S = -1.0;")
    process = DecodingProcess(hasty, idle_s=2.0)
    with taking(tmp_path, process) as (intake, _, _):
        assert (process.way, intake.apart) == ("none", "none")
        process.start()
        until(lambda: process.ready)
        assert intake.apart == "interpreted"
        until(lambda: accepted([intake.submit(make_payload(5, 3, 1))]) == [5] and intake.apart == "compiled")
        until(lambda: process.pid is None)
        assert intake.apart == "none"


def test_what_is_slow_to_decode_keeps_its_process(tmp_path: Path) -> None:
    process = DecodingProcess(idle_s=0.05)
    process.start()
    until(lambda: process.ready)
    with taking(tmp_path, process) as (intake, _, _):
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        held = intake.submit(make_payload(5, 3, 1))
        time.sleep(0.3)  # several times as long as it would wait without a job
        os.kill(first, signal.SIGCONT)
        assert accepted([held]) == [5]
        until(lambda: process.pid is None)


def test_when_the_parent_is_killed_its_process_ends(tmp_path: Path) -> None:
    parent_program = (
        "import time; from spanverdict.app.decodingprocess import DecodingProcess\n"
        "process = DecodingProcess(); process.start()\n"
        "while not process.ready: time.sleep(0.01)\n"
        "print(process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent_program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        for ignored in (signal.SIGINT, signal.SIGTERM):
            child.send_signal(ignored)
        parent.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def verdict(folder: Path, payloads: Sequence[bytes], process: DecodingProcess | None) -> str:
    problems = Problems()
    flow = load(FLOW, "scoring.yaml", problems)
    assert flow is not None, problems.sorted()
    kept: list[Judgement] = []
    judge = Judge(
        Docket(DocketConfig(flows=(flow,)), MemoryArchive()), lambda one: kept.append(one) or 1, clock=lambda: 0.0
    )
    with Store.open(folder / f"{process is None}.sqlite", synchronous="OFF") as store:
        intake = Intake(store.journal, judge.deliver, apart=process)
        intake.start()
        assert accepted([intake.submit(payload) for payload in payloads]) == [300] * len(payloads)
        intake.close()
    judge.hear(record(ended_unix_nano=1))
    judge.step()
    judge.clock = lambda: 10.0
    judge.mark()
    judge.step()
    (judgement,) = kept
    return render(document(judgement.events))


def test_what_comes_while_the_process_works_is_decoded_together(
    tmp_path: Path, apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = apart()
    groups: list[int] = []
    submit = process.submit
    monkeypatch.setattr(process, "submit", lambda job: groups.append(len(job.payloads)) or submit(job))
    with taking(tmp_path, process) as (intake, _, _):
        os.kill(process.pid, signal.SIGSTOP)
        receipts = [intake.submit(make_payload(3, 2, seed)) for seed in range(20)]
        os.kill(process.pid, signal.SIGCONT)
        assert accepted(receipts) == [3] * 20
    assert sum(groups) == 20
    assert len(groups) <= 4


def test_what_the_administrator_tunes_holds_for_the_process_too(apart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    environ = Path(f"/proc/{apart().pid}/environ").read_bytes().replace(b"\0", b":")  # the C library may cut it there
    assert b":GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:" in environ


@pytest.mark.parametrize("before", ["", FORGETFUL], ids=["one pool", "many pools"])
def test_the_verdict_is_the_same_byte_for_byte(tmp_path: Path, apart, before: str) -> None:
    payloads = [make_payload(300, 10, seed, run_id="r") for seed in range(12)]
    here, there = verdict(tmp_path, payloads, None), verdict(tmp_path, payloads, apart(program(before)))
    assert here == there
    assert '"spans": 3600' in here or '"spans":3600' in here
