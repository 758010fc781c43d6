"""Whoever decodes, this process or one of its own, searches what is new to it, and nothing suspicious is kept unmasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from app.secretrequests import CANARY, HIDDEN, Watched, done, journaled, secret, with_attribute
from app.waiting import until
from bench.load import make_payload
from spanverdict.app import intake as room
from spanverdict.app.decodingprocess import DecodingProcess
from spanverdict.app.intake import Intake
from spanverdict.masking.rules import MaskingRules
from spanverdict.storage.store import Store

Way: TypeAlias = tuple[Intake, Watched, Store]


@contextmanager
def taking(folder: Path, *, apart: bool) -> Iterator[Way]:
    masker = Watched(MaskingRules())
    with Store.open(folder / "store.sqlite", synchronous="OFF") as store:
        process = DecodingProcess(suspicion=masker.pattern) if apart else None
        if process is not None:
            process.start()
            until(lambda: process.ready)
        intake = Intake(store.journal, lambda _ids, _table: None, apart=process, masker=masker)
        intake.start()
        try:
            yield intake, masker, store
        finally:
            intake.close()


@pytest.fixture(params=["here", "apart"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    with taking(tmp_path, apart=request.param == "apart") as everything:
        yield everything


@pytest.mark.parametrize(("n_spans", "place"), [(3, 1), (600, 0), (600, 599)])
@pytest.mark.parametrize("name", HIDDEN)
def test_a_secret_is_masked_whoever_reads_it(way: Way, name: str, n_spans: int, place: int) -> None:
    intake, masker, store = way
    assert done(intake.submit(make_payload(n_spans, 10, 1))) == [n_spans]
    assert masker.looks == 0
    assert done(intake.submit(with_attribute(make_payload(n_spans, 10, 2), place, HIDDEN[name]))) == [n_spans]
    kept = journaled(store)
    assert HIDDEN[name] not in kept
    assert CANARY.encode() not in kept
    assert masker.looks == 1


def test_a_secret_is_masked_however_often_it_comes_again(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WARY_S", 0.0)
    intake, masker, store = way
    for number in range(1, 6):
        assert done(intake.submit(make_payload(20, 10, number)), intake.submit(secret(number))) == [20, 1]
    assert CANARY.encode() not in journaled(store)
    assert journaled(store).count(b"password=[secret]") == 5
    assert 5 <= masker.looks <= 10
