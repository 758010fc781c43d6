"""Masking where one process does all: what is new to it is searched, and nothing suspicious is kept unmasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from app.test_masking_apart import CANARY, HIDDEN, Watched, done, journaled, secret, with_attribute
from bench.load import make_payload
from spanverdict.app import intake as room
from spanverdict.app.decodinghere import DecodingHere, SuspectedError
from spanverdict.app.intake import Intake
from spanverdict.masking.masker import Masker
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.storage.store import Store

PATTERN = MaskingRules().suspicious_pattern


@contextmanager
def taking(folder: Path, masker: Masker, limits: AttributeLimits | None = None) -> Iterator[tuple[Intake, Store]]:
    with Store.open(folder / "store.sqlite", synchronous="OFF") as store:
        intake = Intake(store.journal, lambda _ids, _table: None, masker=masker, limits=limits)
        intake.start()
        try:
            yield intake, store
        finally:
            intake.close()


@pytest.mark.parametrize("n_spans", [3, 600])
@pytest.mark.parametrize("name", HIDDEN)
def test_a_secret_is_masked_whoever_reads_it(tmp_path: Path, name: str, n_spans: int) -> None:
    masker = Watched(MaskingRules())
    with taking(tmp_path, masker) as (intake, store):
        assert done(intake.submit(make_payload(n_spans, 10, 1))) == [n_spans]
        assert masker.looks == 0
        assert done(intake.submit(with_attribute(make_payload(n_spans, 10, 2), 1, HIDDEN[name]))) == [n_spans]
        assert HIDDEN[name].SerializeToString() not in journaled(store)
        assert CANARY.encode() not in journaled(store)
    assert masker.looks == 1


def test_a_secret_is_masked_however_often_it_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WARY_S", 0.0)
    masker = Watched(MaskingRules())
    with taking(tmp_path, masker) as (intake, store):
        for number in range(1, 6):
            assert done(intake.submit(make_payload(20, 10, number)), intake.submit(secret(number))) == [20, 1]
        assert CANARY.encode() not in journaled(store)
        assert journaled(store).count(b"password=[secret]") == 5


def test_a_secret_in_a_span_that_is_rejected_is_masked(tmp_path: Path) -> None:
    masker = Watched(MaskingRules())
    with taking(tmp_path, masker) as (intake, store):
        assert done(intake.submit(secret(1, parent_span_id=b"short"))) == [0]
        mixed = with_attribute(make_payload(5, 3, 1), 0, HIDDEN["a text"])
        assert done(intake.submit(mixed + secret(2, parent_span_id=b"short"))) == [5]
        assert CANARY.encode() not in journaled(store)


def test_a_secret_in_a_value_that_is_cut_is_masked_before(tmp_path: Path) -> None:
    long = KeyValue(key="note", value=AnyValue(string_value="so " * 30 + f"password={CANARY}" + "." * 2000))
    with taking(tmp_path, Watched(MaskingRules()), AttributeLimits(128, 100)) as (intake, store):
        assert done(intake.submit(with_attribute(make_payload(5, 3, 1), 0, long))) == [5]
        assert CANARY.encode()[:4] not in journaled(store)


def test_new_rules_search_what_was_known_before(tmp_path: Path) -> None:
    masker = Watched(MaskingRules(secrets=False))
    with taking(tmp_path, masker) as (intake, store):
        assert done(intake.submit(secret(1))) == [1]
        before = len(journaled(store))
        intake.mask_with(Masker(MaskingRules()))
        assert done(intake.submit(secret(1))) == [1]
        assert CANARY.encode() not in journaled(store)[before:]


def test_what_was_suspected_is_suspected_again() -> None:
    decoding = DecodingHere()
    for _ in range(3):
        with pytest.raises(SuspectedError):
            decoding.decode_all([make_payload(30, 10, 1), secret(1)], PATTERN)


def test_what_was_looked_at_is_not_searched() -> None:
    table, tallies = DecodingHere().decode_all([secret(1)], PATTERN, looked_at=True)
    assert len(table) == tallies[0].accepted == 1
