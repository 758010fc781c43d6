"""Brings code from object files into memory, where it can be called: what a loader of a compiler does, without it.

Code that is made to be run at once reaches everything by whole addresses (the large code model). Of such an ELF file
little has to be done: its sections are laid into memory, and addresses are written where it says so. What it refers to
and does not hold is the C library's or the interpreter's. Whatever is not known here is refused before anything runs.

Sources: the ELF-64 object file format; the processors' supplements to the System V ABI, AMD64 and AArch64.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

_HEADER: Final = struct.Struct("<6s12xH20xQ12xH2x")
_MAGIC: Final = b"\x7fELF\x02\x01"
"""64 bits, the low byte first."""
_SECTION: Final = struct.Struct("<4xIQ8xQQIIQ8x")
_SYMBOL: Final = struct.Struct("<I2xHQQ")
_RELOCATION: Final = struct.Struct("<QIIq")
_SYMBOLS, _RELOCATIONS, _ZEROS = 2, 4, 8
"""Types of sections."""
_LOADED: Final = 2
"""A flag of sections that are there when code runs."""
_NOWHERE, _COMMON = 0, 0xFFF2
"""Where symbols are that are in no section: in none of this file, and in room of their own."""
_STUB: Final = struct.Struct("<IIQ")
_JUMP: Final = (0x58000050, 0xD61F0200)
"""AArch64: take the address behind these two words, and go there."""
_MACHINES: Final = MappingProxyType({"x86_64": 62, "aarch64": 183})
"""How ELF calls processors."""


class CannotLink(Exception):  # noqa: N818 - says what is so
    """There is something in an object file that we know nothing of."""


class Linked(NamedTuple):
    """Code that can be called for as long as somebody holds its memory."""

    memory: mmap.mmap
    address: int
    """Of what was asked for."""


def can_link() -> bool:
    """Tell whether machine code for where we are can be brought into memory."""
    return sys.platform == "linux" and platform.machine() in _MACHINES


def link(object_file: bytes, entry: str) -> Linked:
    """Bring an object file for this processor into memory, and tell where a symbol is.

    Raises:
        CannotLink: it holds something that we know nothing of.
        OSError: the system lets nobody run what was written to memory.
    """
    file = ObjectFile.read(object_file)
    if file.machine != _MACHINES.get(platform.machine()):
        raise CannotLink(f"code for another processor: {file.machine}")
    memory = mmap.mmap(-1, file.size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    memory[:] = file.image(base, _address_outside)
    _let_run(base, file.size)
    return Linked(memory, base + file.place_of(entry))


def _address_outside(name: str) -> int:
    """Return where something of the C library or the interpreter is.

    Code refers to the runtime of numba, too, where it raises. Ours does not, so if it did, nothing could be trusted.
    """
    library = ctypes.CDLL(None)
    return ctypes.cast(getattr(library, name, library.abort), ctypes.c_void_p).value or 0


def _let_run(base: int, size: int) -> None:
    """Make memory what can be run and not be written any more."""
    if ctypes.CDLL(None, use_errno=True).mprotect(*map(ctypes.c_size_t, (base, size)), mmap.PROT_READ | mmap.PROT_EXEC):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if platform.machine() == "aarch64":  # which may have read there before
        ctypes.CDLL("libgcc_s.so.1")["__clear_cache"](*map(ctypes.c_void_p, (base, base + size)))


class _Section(NamedTuple):
    type: int
    flags: int
    offset: int
    size: int
    link: int
    """Of symbols, the section with their names."""
    info: int
    """Of relocations, the section that they change."""
    alignment: int


class _Symbol(NamedTuple):
    name: str
    place: int | None
    """In the image; None if it is not there."""
    is_outside: bool


class _Relocation(NamedTuple):
    place: int
    """In the image."""
    kind: int
    symbol: int
    addend: int


class _Kind(NamedTuple):
    """How an address is written."""

    write: Callable[[bytearray, int, int, int], None]
    """Writes into an image, at a place that will have an address, the address of a target."""
    stub: int | None = None
    """The target is reached by a stub, and this is where in it."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectFile:
    """An object file that is all that its code needs, but for what others hold."""

    machine: int
    pieces: Mapping[int, bytes]
    """Contents of sections by where they are in the image."""
    symbols: Sequence[_Symbol]
    relocations: Sequence[_Relocation]
    stubs: int
    """Where stubs begin in the image."""
    size: int

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read one; raises `CannotLink`."""
        magic, machine, offset, n_sections = _HEADER.unpack_from(data)
        if magic != _MAGIC or machine not in _KINDS:
            raise CannotLink("no object file that we can read")
        sections = [_Section(*_SECTION.unpack_from(data, offset + _SECTION.size * n)) for n in range(n_sections)]
        room = _Room()
        places = {n: room.take(one.size, one.alignment) for n, one in enumerate(sections) if one.flags & _LOADED}
        contents = {
            places[n]: data[one.offset : one.offset + one.size]
            for n, one in enumerate(sections)
            if n in places and one.type != _ZEROS
        }
        symbols = [*_symbols(data, sections, places, room)]
        relocations = [*_relocations(data, sections, places)]
        stubs = room.take(_STUB.size * len(relocations), _STUB.size)
        return cls(machine, contents, symbols, relocations, stubs, room.taken)

    def place_of(self, name: str) -> int:
        """Return where a symbol is in the image; raises `CannotLink`."""
        for symbol in self.symbols:
            if symbol.name == name and symbol.place is not None:
                return symbol.place
        raise CannotLink(f"there is no {name}")

    def image(self, base: int, outside: Callable[[str], int]) -> bytes:
        """Return what memory has to hold that begins at an address; `outside` tells where others' symbols are."""
        image = bytearray(self.size)
        for place, content in self.pieces.items():
            image[place : place + len(content)] = content
        stubs: dict[int, int] = {}
        for place, number, symbol, addend in self.relocations:
            kind = _KINDS[self.machine].get(number)
            if kind is None:
                raise CannotLink(f"a relocation of type {number}")
            target = addend + self._address(self.symbols[symbol], base, outside)
            if kind.stub is not None:
                stub = stubs.setdefault(target, self.stubs + _STUB.size * len(stubs))
                _STUB.pack_into(image, stub, *_JUMP, target)
                target = base + stub + kind.stub
            kind.write(image, place, base + place, target)
        return bytes(image)

    def _address(self, symbol: _Symbol, base: int, outside: Callable[[str], int]) -> int:
        if symbol.place is not None:
            return base + symbol.place
        if symbol.is_outside:
            return outside(symbol.name)
        raise CannotLink(f"{symbol.name} is nowhere")


@dataclass(slots=True)
class _Room:
    """Gives out places in an image."""

    taken: int = 0

    def take(self, size: int, alignment: int) -> int:
        place = self.taken + -self.taken % max(alignment, 1)
        self.taken = place + size
        return place


def _symbols(data: bytes, sections: Sequence[_Section], places: Mapping[int, int], room: _Room) -> Iterator[_Symbol]:
    for section in sections:
        if section.type == _SYMBOLS:
            names = sections[section.link].offset
            for name, at, value, size in _rows(_SYMBOL, data, section):
                start = names + name
                where = room.take(size, value) if at == _COMMON else _place(at, value, places)
                yield _Symbol(data[start : data.index(b"\0", start)].decode(), where, at == _NOWHERE)


def _place(section: int, value: int, places: Mapping[int, int]) -> int | None:
    return places[section] + value if section in places else None


def _relocations(data: bytes, sections: Sequence[_Section], places: Mapping[int, int]) -> Iterator[_Relocation]:
    for section in sections:
        if section.type == _RELOCATIONS and section.info in places:
            for place, *what in _rows(_RELOCATION, data, section):
                yield _Relocation(places[section.info] + place, *what)


def _rows(row: struct.Struct, data: bytes, section: _Section) -> Iterator[tuple[Any, ...]]:
    return row.iter_unpack(data[section.offset : section.offset + section.size])


def _whole(image: bytearray, place: int, _here: int, target: int) -> None:
    struct.pack_into("<Q", image, place, target)


def _distance(form: str, image: bytearray, place: int, here: int, target: int) -> None:
    struct.pack_into(form, image, place, target - here)


def _instruction(bits: Callable[[int, int], int], image: bytearray, place: int, here: int, target: int) -> None:
    (word,) = struct.unpack_from("<I", image, place)
    struct.pack_into("<I", image, place, word | bits(here, target))


def _piece(shift: int, _here: int, target: int) -> int:
    return (target >> shift & 0xFFFF) << 5


def _branch(here: int, target: int) -> int:
    return (target - here) >> 2 & 0x3FFFFFF


def _page(here: int, target: int) -> int:
    pages = (target >> 12) - (here >> 12)
    return (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5


def _within_page(_here: int, target: int) -> int:
    return (target & 0xFFF) >> 3 << 10


_KINDS: Final[Mapping[int, Mapping[int, _Kind]]] = MappingProxyType(
    {
        _MACHINES["x86_64"]: {
            1: _Kind(_whole),
            2: _Kind(partial(_distance, "<i")),
            24: _Kind(partial(_distance, "<q")),
        },
        _MACHINES["aarch64"]: {
            257: _Kind(_whole),
            260: _Kind(partial(_distance, "<q")),
            261: _Kind(partial(_distance, "<i")),
            **{264 + 2 * n: _Kind(partial(_instruction, partial(_piece, 16 * n))) for n in range(3)},
            269: _Kind(partial(_instruction, partial(_piece, 48))),
            282: _Kind(partial(_instruction, _branch), stub=0),
            283: _Kind(partial(_instruction, _branch), stub=0),
            311: _Kind(partial(_instruction, _page), stub=8),
            312: _Kind(partial(_instruction, _within_page), stub=8),
        },
    }
)
"""By processor and number of the file format."""
