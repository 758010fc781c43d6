"""The Huffman code of HPACK (RFC 7541, 5.2 and appendix B).

The code is canonical: those of one length are numbers in a row, in the order of their symbols, and each length goes on
where the one before ended. So the symbols of each length say everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_SYMBOLS: Final[dict[int, bytes]] = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: bytes.fromhex("5cc3d0"),
    20: bytes.fromhex("808283a2b8c2e0e2"),
    21: bytes.fromhex("99a1a7acb0b1b3d1d8d9e3e5e6"),
    22: bytes.fromhex("8184858688929a9ca0a3a4a9aaadb2b5b9babbbdbec4c6e4e8e9"),
    23: bytes.fromhex("0187898a8b8c8d8f93959697989b9d9ea5a6a8aeafb4b6b7bcbfc5e7ef"),
    24: bytes.fromhex("098e9091949fabced7e1eced"),
    25: bytes.fromhex("c7cfeaeb"),
    26: bytes.fromhex("c0c1c8c9cacdd2d5dadbeef0f2f3ff"),
    27: bytes.fromhex("cbccd3d4d6dddedff1f4f5f6f7f8fafbfcfdfe"),
    28: bytes.fromhex("020304050607080b0c0e0f1011121314151718191a1b1c1d1e1f7fdcf9"),
    30: bytes.fromhex("0a0d16"),
}
_WINDOW: Final = 8


class BadCode(Exception):  # noqa: N818 - the code is bad
    """Bytes that are no Huffman code."""


def _codes() -> Iterator[tuple[int, int, int]]:
    """Yield each symbol's length in bits, its code, and the symbol."""
    code = before = 0
    for length, symbols in _SYMBOLS.items():
        code <<= length - before
        before = length
        for symbol in symbols:
            yield length, code, symbol
            code += 1


def _short_codes() -> tuple[tuple[int, int] | None, ...]:
    """For each value of the next eight bits, the symbol that they begin with and its length; None if it is longer."""
    entries: list[tuple[int, int] | None] = [None] * (1 << _WINDOW)
    for length, code, symbol in _codes():
        if length <= _WINDOW:
            rest = _WINDOW - length
            entries[code << rest : (code + 1) << rest] = [(symbol, length)] * (1 << rest)
    return tuple(entries)


_SHORT: Final = _short_codes()
_LONG: Final = {(length, code): symbol for length, code, symbol in _codes() if length > _WINDOW}
_LONG_LENGTHS: Final = tuple(length for length in _SYMBOLS if length > _WINDOW)


def decoded(data: bytes) -> bytes:
    """Decode a string.

    Raises:
        BadCode: it contains the end-of-string symbol, or is padded with something else than its begin.

    >>> decoded(bytes.fromhex("f1e3c2e5f23a6ba0ab90f4ff"))
    b'www.example.com'
    """
    output = bytearray()
    pending = bits = 0
    for byte in data:
        pending, bits = pending << 8 | byte, bits + 8
        while bits >= _WINDOW:
            found = _SHORT[pending >> bits - _WINDOW] or _long(pending, bits)
            if found is None:
                break
            output.append(found[0])
            bits -= found[1]
            pending &= (1 << bits) - 1
    while bits and (found := _SHORT[_filled(pending, bits)]) is not None and found[1] <= bits:
        output.append(found[0])
        bits -= found[1]
        pending &= (1 << bits) - 1
    if bits >= _WINDOW or pending != (1 << bits) - 1:
        raise BadCode("a Huffman code is not padded with ones, or ends in the middle")
    return bytes(output)


def _long(pending: int, bits: int) -> tuple[int, int] | None:
    for length in _LONG_LENGTHS:
        if length > bits:
            return None
        symbol = _LONG.get((length, pending >> bits - length))
        if symbol is not None:
            return symbol, length
    raise BadCode("a Huffman code contains the end-of-string symbol")


def _filled(pending: int, bits: int) -> int:
    """The next eight bits, with ones where there are none."""
    if bits >= _WINDOW:
        return pending >> bits - _WINDOW
    return (pending << _WINDOW - bits | (1 << _WINDOW - bits) - 1) & 0xFF
