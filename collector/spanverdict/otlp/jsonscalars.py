"""The leaves of OTLP/JSON: each reads one JSON value as proto3's JSON mapping and OTLP say."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Final

_HEX: Final = re.compile(r"[0-9a-fA-F]*", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_WRONG_ID: Final = b"\xff"
"""Stands for an id with half a byte, whose length can only be wrong."""


class Wrong(Exception):  # noqa: N818 - never leaves this room; `Undecodable` is made of it
    """A JSON value is not what its place asks for."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message, path)
        self.message = message
        self.path = path

    def inside(self, step: str) -> Wrong:
        """Return the same, seen from one level further out."""
        return Wrong(self.message, step + self.path)

    def __str__(self) -> str:
        return f"{self.path.removeprefix('.') or 'the request'} {self.message}"


def read_text(item: object) -> str:
    """Read a string."""
    if not isinstance(item, str):
        raise Wrong("must be a string")
    return item


def read_bool(item: object) -> bool:
    """Read true or false."""
    if not isinstance(item, bool):
        raise Wrong("must be true or false")
    return item


def read_id(item: object) -> bytes:
    """Read an id in hex of either case; any length, but hex.

    >>> list(read_id("00fF"))
    [0, 255]
    """
    text = read_text(item)
    if not _HEX.fullmatch(text):
        raise Wrong("must be hex digits")
    return bytes.fromhex(text) if len(text) % 2 == 0 else _WRONG_ID


def read_bytes(item: object) -> bytes:
    """Read base64, standard or URL-safe, padded or not.

    >>> list(read_bytes("-_8")), list(read_bytes("+/8="))
    ([251, 255], [251, 255])
    """
    text = read_text(item).translate(_STANDARD).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("must be base64") from None


_STANDARD: Final = str.maketrans("-_", "+/")


def read_int32(item: object) -> int:
    """Read a signed integer of 32 bits."""
    return _integer(item, -(1 << 31), (1 << 31) - 1)


def read_int64(item: object) -> int:
    """Read a signed integer of 64 bits, a decimal string or a number.

    >>> read_int64("-5"), read_int64(7), read_int64(1e3)
    (-5, 7, 1000)
    """
    return _integer(item, -(1 << 63), (1 << 63) - 1)


def read_uint32(item: object) -> int:
    """Read an unsigned integer of 32 bits."""
    return _integer(item, 0, (1 << 32) - 1)


def read_uint64(item: object) -> int:
    """Read an unsigned integer of 64 bits."""
    return _integer(item, 0, (1 << 64) - 1)


def _integer(item: object, least: int, most: int) -> int:
    if (isinstance(item, str) and _INTEGER.fullmatch(item)) or (isinstance(item, float) and item.is_integer()):
        item = int(item)
    if not isinstance(item, int) or isinstance(item, bool):
        raise Wrong("must be an integer")
    if not least <= item <= most:
        raise Wrong(f"must be between {least} and {most}")
    return item


def read_double(item: object) -> float:
    """Read a number, a decimal string, or "NaN", "Infinity", "-Infinity".

    >>> read_double("-Infinity"), read_double(2), read_double("1.5e1")
    (-inf, 2.0, 15.0)
    """
    if isinstance(item, str):
        if item in _SPECIAL:
            return _SPECIAL[item]
        if not _NUMBER.fullmatch(item):
            raise Wrong('must be a number, "NaN", "Infinity" or "-Infinity"')
        item = float(item)
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise Wrong("must be a number")
    if not abs(item) <= _MAX_DOUBLE:
        raise Wrong("is out of range")
    return float(item)


_MAX_DOUBLE: Final = 1.7976931348623157e308
