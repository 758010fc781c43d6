"""Writing to a file in whole blocks, past the system's cache of pages where that can be.

By way of the cache every byte is copied into memory that nobody used for long, which costs several times what it takes
to copy it into one buffer that is used again and again, and to let the disk read that.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

BLOCK: Final = 4096
"""No disk in use has larger sectors."""
_BUFFER_BYTES: Final = 2 * 1024 * 1024
"""A large page, of which the disk finds all at once; 512 small ones take nearly a tenth of what a large commit does."""
_DIRECT: Final = getattr(os, "O_DIRECT", 0)
"""0 where the system has no such thing."""


def rounded_up(size: int) -> int:
    """Return where the block ends that holds the last of so many bytes.

    >>> rounded_up(0), rounded_up(1), rounded_up(4096), rounded_up(4097)
    (0, 4096, 4096, 8192)
    """
    return -(-size // BLOCK) * BLOCK


class BlockWriter:
    """Gathers what is to be written in a buffer of its own, and writes that. For one thread at a time.

    Once a file system has refused direct writes, the same blocks go by way of its cache. The buffer is made when it is
    first needed and kept.
    """

    def __init__(self, buffer_bytes: int = _BUFFER_BYTES) -> None:
        self._buffer_bytes = buffer_bytes
        self._buffer: mmap.mmap | None = None
        self.is_direct = bool(_DIRECT)
        """Nobody has refused yet."""

    def open(self, path: Path, flags: int = 0, mode: int = 0o600) -> int:
        """Open a file to write to; raises `OSError`."""
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, mode)
        # Asked for afterwards, as a file that is made at once stays behind where it is refused.
        self.is_direct = self.is_direct and _made_direct(file)
        return file

    def write(self, file: int, parts: Iterable[bytes], start: int) -> int:
        """Write the parts one after the other, then zeros up to the end of a block; return where that is.

        The start is where a block begins. Raises `OSError`; some of it may have been written then.
        """
        if self._buffer is None:
            self._buffer = _memory(self._buffer_bytes)
        buffer = self._buffer
        buffer.seek(0)
        for part in parts:
            rest: bytes | memoryview = part
            while len(rest) > (room := len(buffer) - buffer.tell()):
                rest = memoryview(rest)
                buffer.write(rest[:room])
                start = self._put(file, buffer, start)
                rest = rest[room:]
            buffer.write(rest)
        buffer.write(bytes(-buffer.tell() % BLOCK))
        return self._put(file, buffer, start)

    def _put(self, file: int, buffer: mmap.mmap, start: int) -> int:
        """Write what is in the buffer and empty it."""
        with memoryview(buffer) as whole, whole[: buffer.tell()] as blocks:
            done = 0
            while done < len(blocks):
                with blocks[done:] as rest:
                    # Blocks are written whole, also where not all of them went at once.
                    written = self._put_some(file, rest, start + done) // BLOCK * BLOCK
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                done += written
        buffer.seek(0)
        return start + done

    def _put_some(self, file: int, blocks: memoryview, start: int) -> int:
        try:
            return os.pwrite(file, blocks, start)
        except OSError as error:
            if error.errno != errno.EINVAL or not self.is_direct:
                raise
        self.is_direct = False
        fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) & ~_DIRECT)
        return os.pwrite(file, blocks, start)


def _memory(size: int) -> mmap.mmap:
    """Return memory that begins where a page does, a large page where the system has some."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(AttributeError, OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _made_direct(file: int) -> bool:
    """Let what is written to a file go past the cache; False where that is refused."""
    with suppress(OSError):
        fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | _DIRECT)
        return True
    return False
