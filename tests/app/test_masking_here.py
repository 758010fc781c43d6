"""Masking where one process does all: what is new to it is searched, and nothing suspicious is kept unmasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from app.secretrequests import CANARY, HIDDEN, Watched, done, journaled, secret, with_attribute
from bench.load import make_payload
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
        assert done(intake.submit(with_attribute(make_payload(5, 3, 1), 0, long.SerializeToString()))) == [5]
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
