"""The checksum of what is kept: CRC-32 as in gzip, by the processor's own instructions where ISA-L is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Final, Protocol


class _Crc32(Protocol):
    def __call__(self, data: bytes | memoryview, value: int = 0, /) -> int: ...


crc32: Final[_Crc32] = import_module("isal.isal_zlib" if find_spec("isal") else "zlib").crc32
"""Twenty times as fast with ISA-L, and the same number."""
