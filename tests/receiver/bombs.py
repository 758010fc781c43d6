"""Bodies that are small and would become huge."""

from __future__ import annotations

import zlib
from functools import cache

MIB = 1024 * 1024


@cache
def bomb(n_members):
    """A gibibyte of zeros in a megabyte of gzip, right to its last byte; several members in a row are one body."""
    size, piece = 1024 * MIB // n_members, bytes(16 * MIB)
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)  # after which nothing before is referred to
    check = 0
    for _ in range(size // len(piece)):
        check = zlib.crc32(piece, check)
    end = packer.flush() + check.to_bytes(4, "little") + size.to_bytes(4, "little")
    return (b"\x1f\x8b\x08" + bytes(7) + block * (size // len(piece)) + end) * n_members
