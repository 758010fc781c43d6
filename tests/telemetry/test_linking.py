"""Object files come into memory as their code expects it, on both processors; what is not known is refused."""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from spanverdict.telemetry.linking import CannotLink, ObjectFile, can_link, link

pytest.importorskip("llvmlite")

PROGRAM = """
@numbers = internal constant [2 x i64] [i64 6, i64 7]
@where = internal constant ptr getelementptr ([2 x i64], ptr @numbers, i64 0, i64 1)
@room = common global i64 0
@unknown = external global i64
declare i64 @labs(i64)
declare void @nobody_has_this()

define internal i64 @doubled(i64 %n) noinline {
  %twice = mul i64 %n, 2
  ret i64 %twice
}

define i64 @entry(ptr %frame) {
  %n = load i64, ptr %frame
  %positive = call i64 @labs(i64 %n)
  %twice = call i64 @doubled(i64 %positive)
  %place = load volatile ptr, ptr @where
  %seven = load volatile i64, ptr %place
  %zero = load volatile i64, ptr @room
  %sum = add i64 %twice, %seven
  %whole = add i64 %sum, %zero
  ret i64 %whole
}

define void @lost() {
  %ignored = load volatile i64, ptr @unknown
  call void @nobody_has_this()
  ret void
}
"""
BASE = 0x7F12_3456_0000
OUTSIDE = {"labs": 0x5555_6666_7778, "nobody_has_this": 0x1234_5678_9ABC, "unknown": 0xFEDC_BA98_7650}
MOVES = [264, 266, 268, 269]
BRANCHES = [282, 283]
PAGE, WITHIN = 311, 312


@cache
def compiled(processor: str, model: str = "jitdefault") -> bytes:
    llvm = import_module("llvmlite.binding")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(PROGRAM)
    module.triple = f"{processor}-unknown-linux-gnu"
    target = llvm.Target.from_triple(module.triple)
    machine = target.create_target_machine(jit=model == "jitdefault", codemodel=model)
    return bytes(machine.emit_object(module))


def here() -> bytes:
    if not can_link():
        pytest.skip("machine code is not linked here")
    return compiled(platform.machine())


def test_code_runs_and_reaches_its_data_and_the_c_library() -> None:
    linked = link(here(), "entry")
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p)(linked.address)
    assert [call(struct.pack("=q", n)) for n in (5, -8, 0)] == [17, 23, 7]


def test_memory_with_code_cannot_be_written() -> None:
    linked = link(here(), "entry")
    lines = Path("/proc/self/maps").read_text(encoding="ascii").splitlines()
    assert [line.split()[1] for line in lines if holds(line, linked.address)] == ["r-xp"]


def holds(line: str, address: int) -> bool:
    first, last = (int(text, 16) for text in line.split(maxsplit=1)[0].split("-"))
    return first <= address < last


def test_what_nobody_has_ends_the_process_rather_than_run_something_else() -> None:
    here()
    script = (
        "import ctypes; from telemetry.test_linking import here; from spanverdict.telemetry.linking import link;"
        "linked = link(here(), 'lost'); ctypes.CFUNCTYPE(None)(linked.address)()"
    )
    environ = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, check=False)
    assert done.returncode == -6


def test_where_memory_may_not_be_run_nothing_is_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    here()
    monkeypatch.setattr(mmap, "PROT_READ", 1 << 20)  # no such right
    with pytest.raises(OSError, match="Invalid argument"):
        link(here(), "entry")


@pytest.mark.parametrize("processor", ["aarch64", "x86_64"])
def test_sections_do_not_overlap_and_are_aligned(processor: str) -> None:
    file = ObjectFile.read(compiled(processor))
    ends = [place + len(content) for place, content in sorted(file.pieces.items())]
    begins = [*sorted(file.pieces), file.stubs]
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=True))
    assert file.size >= file.stubs


def test_on_aarch64_every_address_that_is_written_is_that_of_its_target() -> None:
    file = ObjectFile.read(compiled("aarch64"))
    image = file.image(BASE, OUTSIDE.__getitem__)
    reached = dict(addresses(file, image))
    assert {OUTSIDE["labs"], OUTSIDE["nobody_has_this"], OUTSIDE["unknown"]} <= set(reached.values())
    for (number, addend), address in reached.items():
        name, place, _ = file.symbols[number]
        assert address == addend + (OUTSIDE[name] if place is None else BASE + place)


def addresses(file: ObjectFile, image: bytes) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield what code reaches, a symbol and a distance from it, by reading its instructions as the processor does."""
    pages: dict[tuple[int, int], int] = {}
    pieces: dict[tuple[int, int], dict[int, int]] = {}
    for place, kind, number, addend in file.relocations:
        what = (number, addend)
        (word,) = struct.unpack_from("<I", image, place)
        if kind in BRANCHES:
            yield what, behind_stub(image, place + signed(word, 26) * 4)
        elif kind == PAGE:
            pages[what] = ((BASE + place) >> 12) + signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21) << 12
        elif kind == WITHIN:
            slot = pages[what] + (word >> 10 & 0xFFF) * 8 - BASE
            yield what, struct.unpack_from("<Q", image, slot)[0]
        elif kind in MOVES:
            pieces.setdefault(what, {})[kind] = word >> 5 & 0xFFFF
            if len(pieces[what]) == len(MOVES):
                yield what, sum(piece << 16 * MOVES.index(which) for which, piece in pieces[what].items())


def signed(number: int, bits: int) -> int:
    kept = number & (1 << bits) - 1
    return kept - (kept >> bits - 1 << bits)


def behind_stub(image: bytes, stub: int) -> int:
    load, jump, address = struct.unpack_from("<IIQ", image, stub)
    assert (load, jump) == (0x58000050, 0xD61F0200)  # ldr x16, #8; br x16
    return int(address)


def test_a_number_in_data_may_be_an_address() -> None:
    for processor in ("aarch64", "x86_64"):
        file = ObjectFile.read(compiled(processor))
        image = file.image(BASE, OUTSIDE.__getitem__)
        (address,) = struct.unpack_from("<Q", image, file.place_of("where"))
        assert struct.unpack_from("<QQ", image, address - 8 - BASE) == (6, 7)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: b"MZ" + data[2:], id="another format"),
        pytest.param(lambda data: data[:18] + b"\x03\x00" + data[20:], id="an unknown processor"),
        pytest.param(lambda _: compiled("aarch64" if platform.machine() == "x86_64" else "x86_64"), id="another processor"),
        pytest.param(lambda _: compiled(platform.machine(), "small"), id="code that reaches things otherwise"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CannotLink):
        link(spoil(here()), "entry")


def test_a_symbol_that_is_not_there_is_refused() -> None:
    with pytest.raises(CannotLink, match="there is no nothing"):
        link(here(), "nothing")
