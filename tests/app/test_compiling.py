"""Compiled code comes up beside the decoding, and decoding does not depend on it."""

from __future__ import annotations

import logging
import threading

import pytest

from app.waiting import until
from spanverdict.app import compiling as room
from spanverdict.app.compiling import SAMPLE, Compiling
from spanverdict.app.decodingchild import _Answers
from spanverdict.otlp.decode import decode_all, new_pool


def test_nothing_is_compiled_before_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAYS_AFTER_S", 1e9)
    compiling = Compiling()
    assert not compiling.is_done()
    assert not any(thread.name == "compiling" for thread in threading.enumerate())


def test_the_sample_is_a_request_of_one_span() -> None:
    _, (tally,) = decode_all([SAMPLE], new_pool())
    assert (tally.accepted, tally.rejected) == (1, 0)


def test_compiled_code_is_there_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    compiling = Compiling()
    until(compiling.is_done)


def test_where_it_cannot_be_compiled_decoding_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("numba")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no machine code here")

    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    monkeypatch.setattr(room, "decode_all", broken)
    compiling = Compiling()
    with caplog.at_level(logging.WARNING):
        compiling.is_done()
        until(lambda: "decoding goes on without compiled code" in caplog.text)
    assert not compiling.is_done()


def test_without_numba_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    monkeypatch.setattr(room, "find_spec", lambda _: None)
    compiling = Compiling()
    assert not compiling.is_done()
    assert not any(thread.name == "compiling" for thread in threading.enumerate())


def test_what_is_searched_for_may_change_and_compiled_code_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    answers = _Answers()
    until(answers.compiling.is_done)
    answers.search_for("secret")
    assert answers.compiling.is_done()
