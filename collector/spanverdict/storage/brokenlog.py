"""Commits that are lost with a damaged write-ahead log, of which SQLite says nothing.

SQLite takes its log up to the first frame whose checksum is wrong and forgets the rest, as that is what a crash in the
middle of a commit leaves. But a commit ends with a frame that says so, and frames are written in order: where such a
frame follows one that cannot be read, a commit is gone that was complete. The format is SQLite's (its document
fileformat2, section 4).
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from spanverdict.storage.database import PAGE_BYTES

_HEADER: Final = struct.Struct(">8I")
"""Magic number, version, bytes of a page, number of the log, two salts, two sums."""
_FRAME: Final = struct.Struct(">6I")
"""Page, pages of the file after a commit (0 inside of one), two salts, two sums."""
_BIG_ENDIAN: Final = 0x377F0683


def lost_commits(path: Path, connection: sqlite3.Connection) -> int:
    """Return how many commits are in the log of a database and cannot be read, before this connection writes to it.

    Nothing is lost but what is counted here, unless the log was cut short: what is not there, nobody can count. After
    a power failure the last one may be a commit that had not been acknowledged yet.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.exists():
        return 0
    with log.open("rb") as file:
        connection.execute("BEGIN IMMEDIATE")  # so that nobody is in the middle of a commit
        head, commits = _head(file), list(_commits(file))
        connection.execute("ROLLBACK")
        busy, read, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        others_write = busy or _head(file) != head
    return 0 if others_write else sum(number > read for number in commits)


def _commits(file: BinaryIO) -> Iterator[int]:
    """Yield the numbers, from 1 on, of the frames of this log that end a commit."""
    size = os.fstat(file.fileno()).st_size
    head = _head(file)
    if len(head) < _HEADER.size:
        return
    sound = _is_sound(head)
    page = _HEADER.unpack(head)[2] if sound else PAGE_BYTES
    salts = _HEADER.unpack(head)[4:6] if sound else None
    for number, start in enumerate(range(_HEADER.size, size - _FRAME.size - page + 1, _FRAME.size + page), 1):
        file.seek(start)
        _, pages, *own, _, _ = _FRAME.unpack(file.read(_FRAME.size))
        salts = salts or tuple(own)  # those of the first frame, where the header cannot be believed
        if pages and tuple(own) == salts:
            yield number


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_HEADER.size)


def _is_sound(head: bytes) -> bool:
    """Tell whether the sums of a header are right."""
    magic, *_, first, second = _HEADER.unpack(head)
    words = struct.unpack(">6I" if magic == _BIG_ENDIAN else "<6I", head[:24])
    one = two = 0
    for left, right in zip(words[::2], words[1::2], strict=True):
        one = (one + left + two) & 0xFFFFFFFF
        two = (two + right + one) & 0xFFFFFFFF
    return (one, two) == (first, second)
