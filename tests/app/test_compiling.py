"""Compiled code comes up beside the decoding, and decoding does not depend on it."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from app.waiting import until
from spanverdict.app import compiling as room
from spanverdict.app.compiling import Compiling, compile_all, try_out
from spanverdict.app.decodingchild import _Answers
from spanverdict.otlp.compiled import ROUTINES
from spanverdict.telemetry import machinecode
from spanverdict.telemetry.compiling import Routine
from spanverdict.telemetry.machinecode import MOST_KEPT


def test_nothing_is_compiled_before_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAYS_AFTER_S", 1e9)
    compiling = Compiling()
    assert not compiling.is_done()
    assert not any(thread.name == "compiling" for thread in threading.enumerate())


def test_compiled_code_is_there_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    compiling = Compiling()
    until(compiling.is_done)


def test_what_was_kept_is_there_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    compile_all()
    monkeypatch.setattr(room, "PAYS_AFTER_S", 1e9)
    compiling = Compiling()
    compiling.load_kept()
    assert compiling.is_done()


def test_machine_code_that_was_damaged_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(machinecode, "_paths", lambda _: [tmp_path / "code", tmp_path / "other" / "code"])
    assert machinecode.kept(ROUTINES) is None
    machinecode.keep(ROUTINES, {"a": ("b", b"c")})
    assert machinecode.kept(ROUTINES) == {"a": ("b", b"c")}
    kept = (tmp_path / "code").read_bytes()
    (tmp_path / "code").write_bytes(kept[:-1])
    assert machinecode.kept(ROUTINES) is None
    (tmp_path / "code").write_bytes(b"")
    assert machinecode.kept(ROUTINES) is None


def test_machine_code_of_earlier_sources_does_not_stay_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.code").touch()
    names = [f"routines-{number}.code" for number in range(MOST_KEPT + 3)]
    for age, name in enumerate(reversed(names)):
        monkeypatch.setattr(machinecode, "_paths", lambda _, name=name: [tmp_path / name])
        machinecode.keep(ROUTINES, {"a": ("b", b"c")})
        os.utime(tmp_path / name, (age, age))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.code", *names[:MOST_KEPT]]


def test_machine_code_is_kept_where_there_is_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(machinecode, "_paths", lambda _: [tmp_path / "file" / "code", tmp_path / "other" / "code"])
    machinecode.keep(ROUTINES, {"a": ("b", b"c")})
    assert machinecode.kept(ROUTINES) == {"a": ("b", b"c")}
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["code"]


def test_machine_code_is_looked_for_where_somebody_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")

    def nowhere() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert len([*machinecode._paths(ROUTINES)]) == 1


@pytest.mark.parametrize("source", ["walking.py", "shapes.py", "vocabulary.py", "compiling.py", "machinecode.py"])
def test_machine_code_of_other_sources_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    pytest.importorskip("numba")
    ours, read = [*machinecode._paths(ROUTINES)], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path.name == source))
    assert not {*ours} & {*machinecode._paths(ROUTINES)}


def test_where_it_cannot_be_compiled_decoding_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("numba")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no machine code here")

    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    monkeypatch.setattr(room, "_made_apart", broken)
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


def reached(_frame: bytes) -> int:
    raise RuntimeError("reached")


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.function.__name__)
def test_machine_code_of_every_routine_is_tried_out(routine: Routine, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in ROUTINES:
        monkeypatch.setattr(one, "machine", None)
    monkeypatch.setattr(room, "load", lambda *_: setattr(routine, "machine", reached))
    with pytest.raises(RuntimeError, match="reached"):
        try_out(ROUTINES, {})


def test_code_that_does_something_else_than_its_source_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for routine in ROUTINES:
        monkeypatch.setattr(routine, "machine", None)
    monkeypatch.setattr(machinecode, "_paths", lambda _: [tmp_path / "code"])
    monkeypatch.setattr(room, "made", lambda _: {})
    monkeypatch.setattr(room, "load", lambda *_: setattr(ROUTINES[0], "machine", lambda _frame: 0))
    with pytest.raises(RuntimeError, match="something else than what it was made of"):
        compile_all()
    assert machinecode.kept(ROUTINES) is None


def test_where_machine_code_cannot_be_linked_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    monkeypatch.setattr(room, "can_link", lambda: False)
    compiling = Compiling()
    compiling.load_kept()
    assert not compiling.is_done()
    assert not any(thread.name == "compiling" for thread in threading.enumerate())
