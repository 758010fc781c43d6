"""A process that decodes little does so by machine code, too, once it has something to do; without any it goes on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.waiting import until
from bench.load import make_payload
from otlp.messages import table_rows
from spanverdict.app import compiling as room
from spanverdict.app.compiling import Compiling, compile_all
from spanverdict.app.decodinghere import ENOUGH_BYTES, DecodingHere
from spanverdict.telemetry.machinecode import kept

FEW, MANY = make_payload(3, 10, 1), make_payload(300, 10, 2)


def found_nothing(_: object) -> None:
    return None


def test_machine_code_is_used_once_it_is_there_and_decodes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    compile_all()
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    compiling = Compiling(kept)
    until(compiling.is_done)
    found, tallies = DecodingHere(compiling=compiling).decode_all([MANY])
    expected, told = DecodingHere(compiling=Compiling(found_nothing)).decode_all([MANY])
    assert tallies == told
    assert table_rows(found) == table_rows(expected)


def test_where_none_was_kept_decoding_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    here = DecodingHere(compiling=Compiling(found_nothing))
    assert [len(here.decode_all([MANY])[0]) for _ in range(3)] == [300] * 3


def test_a_few_spans_are_left_to_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAYS_AFTER_S", -1.0)
    compiling = Compiling(found_nothing)
    monkeypatch.setattr(compiling, "is_done", pytest.fail)
    assert len(FEW) < ENOUGH_BYTES < len(MANY)
    assert len(DecodingHere(compiling=compiling).decode_all([FEW])[0]) == 3


def test_to_load_machine_code_brings_no_compiler_into_memory() -> None:
    pytest.importorskip("numba")
    compile_all()
    script = (
        "import sys; from spanverdict.app.compiling import Compiling;"
        "compiling = Compiling(); compiling.load_kept(); assert compiling.is_done();"
        "assert not {'numba', 'llvmlite'} & {*sys.modules}; assert 'llvm' not in open('/proc/self/maps').read()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
