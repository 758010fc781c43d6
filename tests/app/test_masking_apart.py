"""Masking beside the decoding process: it searches what is new to it, and nothing suspicious is kept unmasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.secretrequests import CANARY, WAIT_S, Watched, done, journaled, secret, text, with_attribute
from app.waiting import until
from bench.load import make_payload
from spanverdict.app.decodingprocess import DecodingProcess
from spanverdict.app.intake import Intake
from spanverdict.masking.masker import Masker
from spanverdict.masking.rules import MaskingRules
from spanverdict.storage.store import Store


@contextmanager
def taking(folder: Path, masker: Masker, pattern: str | None = None) -> Iterator[tuple[Intake, Store]]:
    with Store.open(folder / "store.sqlite", synchronous="OFF") as store:
        apart = DecodingProcess(suspicion=masker.pattern if pattern is None else pattern)
        apart.start()
        until(lambda: apart.ready)
        intake = Intake(store.journal, lambda _ids, _table: None, apart=apart, masker=masker)
        intake.start()
        try:
            yield intake, store
        finally:
            intake.close()


def test_payloads_without_anything_suspicious_are_searched_by_the_process_alone(tmp_path: Path) -> None:
    masker = Watched(MaskingRules())
    payloads = [make_payload(20, 10, seed) for seed in range(20)]
    with taking(tmp_path, masker) as (intake, store):
        assert done(*map(intake.submit, payloads)) == [20] * 20
        assert journaled(store) == b"".join(payloads)
    assert masker.looks == 0


def test_what_was_masked_once_is_looked_for_beforehand_for_a_while(tmp_path: Path) -> None:
    masker = Watched(MaskingRules())
    with taking(tmp_path, masker) as (intake, store):
        assert done(intake.submit(secret(1))) == [1]
        assert done(*(intake.submit(make_payload(5, 3, seed)) for seed in range(3))) == [5] * 3
        assert CANARY.encode() not in journaled(store)
    assert masker.looks == 4


def test_requests_with_rejected_spans_are_searched_as_a_whole(tmp_path: Path) -> None:
    broken = secret(1, events=[Span.Event(name=CANARY)]).replace(b"\x12" + bytes([len(CANARY)]), b"\x12\x7f")
    both = secret(2).replace(b"password=", b"passw0rd=") + broken
    with taking(tmp_path, Masker(MaskingRules())) as (intake, store):
        receipt = intake.submit(both).result(WAIT_S)
        assert (receipt.accepted, receipt.rejected) == (1, 1)
        assert f"password={CANARY}".encode() not in journaled(store)


def test_a_process_that_searches_for_something_else_is_not_relied_on(tmp_path: Path) -> None:
    with taking(tmp_path, Masker(MaskingRules()), pattern="outdated") as (intake, store):
        assert done(intake.submit(secret(1))) == [1]
        assert CANARY.encode() not in journaled(store)


def test_after_other_masking_was_set_the_process_searches_for_that_also_in_what_it_knows(tmp_path: Path) -> None:
    masker = Watched(MaskingRules())
    harmless = [make_payload(20, 10, seed) for seed in range(5)]
    request = with_attribute(make_payload(20, 10, 7), 3, text("note", f"token is {CANARY}").SerializeToString())
    with taking(tmp_path, masker) as (intake, store):
        assert done(intake.submit(request)) == [20], "nothing that the first rules mask"
        other = Watched(MaskingRules(patterns=(("canary", "c4nary-[0-9]+"),)))
        intake.mask_with(other)
        assert done(*map(intake.submit, harmless)) == [20] * 5
        assert (masker.looks, other.looks) == (0, 0), "the process searches"
        assert done(intake.submit(request)) == [20]
        assert other.looks == 1
        assert journaled(store).count(CANARY.encode()) == 1, "what came before"
        intake.mask_with(Watched(MaskingRules(secrets=False)))
        assert done(intake.submit(request)) == [20]


def test_what_is_still_to_be_looked_at_is_kept_when_the_intake_closes(tmp_path: Path) -> None:
    with taking(tmp_path, Masker(MaskingRules())) as (intake, store):
        receipts = [intake.submit(secret(number)) for number in range(1, 30)]
        intake.close()
        assert done(*receipts) == [1] * 29
        assert CANARY.encode() not in journaled(store)
