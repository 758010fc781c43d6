"""Segments: files beside the store in which payloads of the journal stand, one after the other.

A record is a head and a payload. The head says all that the row of the batch says, so that what SQLite loses of the
journal can be put back (`recovery.py`), and a row that disagrees with its record is noticed. Records are added at an
end that the store knows, by whoever holds its write lock, and never changed. Those of one commit follow each other
without a gap; then come zeros up to the end of a block, so that no block is written again when more is added.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from spanverdict.storage.blocks import BLOCK, BlockWriter, rounded_up
from spanverdict.storage.checksum import crc32

MAGIC: Final = b"\xf5SVr"
"""Begins a record. No text has this byte."""
_HEAD: Final = Struct("<4sIqqIII")
_SUM: Final = Struct("<I")
HEAD_BYTES: Final = _HEAD.size + _SUM.size
_SHARED: Final = 1 << 31


class Place(NamedTuple):
    """A place in a segment; segment 0 comes before the first one."""

    segment: int = 0
    offset: int = 0

    def after(self, size: int) -> Place:
        """Return the place so many bytes on."""
        return Place(self.segment, self.offset + size)


class Stretch(NamedTuple):
    """Part of a segment."""

    start: Place
    end: int
    """The offset of what comes behind it."""

    @property
    def tail(self) -> Place:
        """Where the next one may begin."""
        return Place(self.start.segment, self.end)


class Head(NamedTuple):
    """What a record says of its payload."""

    size: int
    batch_id: int
    received_unix_nano: int
    crc: int
    before: int
    """How many records of the same commit stand before it."""
    more: int
    """How many follow."""
    shared: bool
    """The commit holds other things than batches, too."""

    def packed(self, key: int) -> bytes:
        """Return the bytes of it. The sum begins with the store's key, so no other store's record passes for ours.

        >>> head = Head(size=3, batch_id=7, received_unix_nano=5, crc=1, before=0, more=2, shared=True)
        >>> Head.unpacked(head.packed(99), 0, 99) == head, Head.unpacked(head.packed(99), 0, 98)
        (True, None)
        """
        more = self.more | (_SHARED if self.shared else 0)
        head = _HEAD.pack(MAGIC, self.size, self.batch_id, self.received_unix_nano, self.crc, self.before, more)
        return head + _SUM.pack(crc32(head, key))

    @classmethod
    def unpacked(cls, data: bytes, start: int, key: int) -> Head | None:
        """Read a head; None where there is none, or it is not as it was written."""
        if len(data) - start < HEAD_BYTES:
            return None
        magic, size, batch_id, received, crc, before, more = _HEAD.unpack_from(data, start)
        if magic != MAGIC or (crc32(data[start : start + _HEAD.size], key),) != _SUM.unpack_from(
            data, start + _HEAD.size
        ):
            return None
        return cls(size, batch_id, received, crc, before, more & ~_SHARED, bool(more & _SHARED))


class Segments:
    """The files of one store. Thread-safe, as it only knows where they are."""

    def __init__(self, store: Path) -> None:
        self.store = Path(os.path.realpath(store))  # as SQLite names its own side files
        self.folder = self.store.with_name(f"{self.store.name}-segments")

    def path(self, number: int) -> Path:
        """Return where a segment is."""
        return self.folder / f"{number:08}.seg"

    def numbers(self) -> list[int]:
        """Return which segments there are, in order."""
        return sorted(int(path.stem) for path in self.folder.glob("*.seg") if path.stem.isdecimal())

    @contextlib.contextmanager
    def opened(self, number: int) -> Iterator[int]:
        """Open a segment to read; raises `OSError`."""
        file = os.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield file
        finally:
            os.close(file)

    def delete_before(self, number: int) -> None:
        """Delete the segments with smaller numbers. What cannot be deleted now goes with the next ones."""
        for old in self.numbers():
            if old < number:
                with contextlib.suppress(OSError):
                    self.path(old).unlink()


class SegmentWriter:
    """Adds records. Belongs to whoever holds the store's write lock, one at a time.

    Its methods raise `OSError`; what was being added then is taken back at once, or before the next record.
    """

    def __init__(
        self, segments: Segments, segment_bytes: int, *, flush: bool = True, blocks: BlockWriter | None = None
    ) -> None:
        self._segments = segments
        self._flush = flush
        self._segment_bytes = segment_bytes
        self._blocks = blocks or BlockWriter()
        self._file: int | None = None
        self._at = Place()
        """Where the open file ends, as far as we know."""
        self._begun = 0
        """The segment that we began last."""
        self._failing = False

    def append(self, tail: Place, parts: Sequence[bytes]) -> Stretch:
        """Write the parts into blocks behind the tail, or into a new segment, and flush them; return where they are."""
        self._failing = True
        if tail != self._at or self._file is None:
            self._resume(tail)
        start = rounded_up(tail.offset)  # the end of a segment that has no blocks yet is anywhere
        size = rounded_up(sum(map(len, parts)))
        if self._file is None or (start and start + size > self._segment_bytes):
            tail, start = self._begin(tail), 0
        try:
            end = self._write(parts, start)
        except BaseException:
            self._take_back(tail)
            raise
        self._failing = False
        self._at = Place(tail.segment, end)
        return Stretch(Place(tail.segment, start), end)

    def probe(self, tail: Place) -> None:
        """Write something and take it back, where there are segments, or should be."""
        if tail.segment or self._failing:
            self._take_back(self.append(tail, [bytes(BLOCK)]).start)

    def close(self) -> None:
        """Let the file go. What comes next opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _resume(self, tail: Place) -> None:
        """Open the newest segment, and cut off what was left behind its end; none where it ends before that."""
        self.close()
        self._at = Place()
        if self._begun > tail.segment:  # for what was then not committed
            self._segments.path(self._begun).unlink(missing_ok=True)
            self._begun = 0
        with contextlib.suppress(FileNotFoundError):
            self._file = self._blocks.open(self._segments.path(tail.segment))
        if self._file is None:
            return
        size = os.fstat(self._file).st_size
        if size > tail.offset:
            os.ftruncate(self._file, tail.offset)
        elif size < tail.offset:
            self.close()

    def _begin(self, tail: Place) -> Place:
        self.close()
        number = max((tail.segment, *self._segments.numbers())) + 1
        mode = self._segments.store.stat().st_mode & 0o666
        self._make_folder(mode)
        self._file = self._blocks.open(self._segments.path(number), os.O_CREAT | os.O_EXCL, mode)
        self._begun, tail = number, Place(number, 0)
        try:
            os.fchmod(self._file, mode)
            if self._flush:
                _flush_folder(self._segments.folder)
        except BaseException:
            self._take_back(tail)
            raise
        return tail

    def _make_folder(self, mode: int) -> None:
        folder = self._segments.folder
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(mode | (mode & 0o444) >> 2)  # who may read files may search their folder
            if self._flush:
                _flush_folder(folder.parent)

    def _write(self, parts: Sequence[bytes], start: int) -> int:
        assert self._file is not None
        end = self._blocks.write(self._file, parts, start)
        if self._flush:
            os.fdatasync(self._file)
        return end

    def _take_back(self, tail: Place) -> None:
        """Leave nothing of what could not be written, if that is possible now; else it goes before the next record."""
        with contextlib.suppress(OSError):
            if not tail.offset:
                self._segments.path(tail.segment).unlink()
            elif self._file is not None:
                os.ftruncate(self._file, tail.offset)
        self.close()


def _flush_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
