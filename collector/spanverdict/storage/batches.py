"""Batches of the journal: writing, reading and checking them. Callers own the transaction.

Each has a row, with its payload or with where in a segment that is.
"""

from __future__ import annotations

import errno
import gzip
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from spanverdict.storage.blocks import rounded_up
from spanverdict.storage.checksum import crc32
from spanverdict.storage.journalstate import read_state, write_state
from spanverdict.storage.segments import HEAD_BYTES, Head, Place, Segments, SegmentWriter

_GZIP: Final = b"\x1f\x8b"
_BAD_PLACES: Final = frozenset({errno.EIO, errno.ENXIO, errno.EISDIR})
"""What reading a file says when the file itself is what is wrong."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One journaled request, as it came; inflated, if it came as gzip."""

    id: int
    received_unix_nano: int
    payload: bytes


class Entry(NamedTuple):
    """A batch on its way into the journal."""

    payload: bytes
    """Protobuf, or gzip of it. No request in protobuf begins as gzip does: there is no such kind of field."""
    received_unix_nano: int
    crc: int


class Row(NamedTuple):
    """What SQLite holds of a batch."""

    id: int
    received_unix_nano: int
    size: int
    crc: int
    payload: bytes = b""
    segment: int | None = None
    """Which segment has the payload; None where the row has it."""
    start: int | None = None
    """Where in the segment the record's head begins."""


class Deleted(NamedTuple):
    """What deleting came to."""

    batches: int
    needed_segment: int
    """The oldest segment that may still be needed."""


class DamagedBatch(Exception):  # noqa: N818 - says what is wrong
    """A batch is missing, unreadable or not what was written; the message says which."""


def write_entries(
    connection: sqlite3.Connection, entries: Sequence[Entry], log: SegmentWriter | None = None, *, shared: bool = True
) -> range:
    """Append the entries in order and return their ids. With a log, their payloads go there; `shared` is as in `Head`.

    Raises:
        OSError: they cannot go there.
    """
    state = read_state(connection)
    ids = range(state.next_batch, state.next_batch + len(entries))
    size = sum(len(entry.payload) for entry in entries)
    state = state._replace(
        next_batch=ids.stop,
        stored_bytes=state.stored_bytes + size,
        last_received_unix_nano=max(state.last_received_unix_nano, *(e.received_unix_nano for e in entries)),
    )
    if log is None:
        rows: Iterator[Row] = (
            Row(i, e.received_unix_nano, len(e.payload), e.crc, e.payload) for i, e in zip(ids, entries, strict=True)
        )
    else:
        heads = _heads(ids, entries, shared=shared)
        written = log.append(state.tail, _parts(heads, entries, state.store_key))
        rows = rows_of(heads, written.start)
        state = state.extended(written.tail)
    insert_rows(connection, rows)
    write_state(connection, state)
    return ids


def _heads(ids: range, entries: Sequence[Entry], *, shared: bool) -> list[Head]:
    last = len(ids) - 1
    return [
        Head(len(entry.payload), ids[at], entry.received_unix_nano, entry.crc, at, last - at, shared)
        for at, entry in enumerate(entries)
    ]


def _parts(heads: Iterable[Head], entries: Iterable[Entry], key: int) -> list[bytes]:
    """Return what is written: each head, and its payload."""
    return [part for head, entry in zip(heads, entries, strict=True) for part in (head.packed(key), entry.payload)]


def rows_of(heads: Iterable[Head], first: Place) -> Iterator[Row]:
    """Yield the rows of records that follow each other from a place on."""
    segment, start = first
    for head in heads:
        yield row_of(head, segment, start)
        start += HEAD_BYTES + head.size


def row_of(head: Head, segment: int, start: int) -> Row:
    """Return the row of a record that begins there."""
    return Row(head.batch_id, head.received_unix_nano, head.size, head.crc, b"", segment, start)


def insert_rows(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Insert rows as they are."""
    connection.executemany(
        "INSERT INTO batches (id, received_unix_nano, size, crc, payload, segment, start) VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def delete_before(connection: sqlite3.Connection, batch_id: int) -> Deleted:
    """Delete the batches with smaller ids."""
    state = read_state(connection)
    first = min(max(batch_id, state.first_batch), state.next_batch)
    size, newest = connection.execute(
        "SELECT coalesce(sum(size), 0), coalesce(max(segment), 0) FROM batches WHERE id < ?", (first,)
    ).fetchone()
    freed = _bytes_in_segments(connection, first)
    deleted = connection.execute("DELETE FROM batches WHERE id < ?", (first,)).rowcount
    write_state(
        connection,
        state._replace(
            first_batch=first,
            stored_bytes=state.stored_bytes - size,
            segment_bytes=max(0, state.segment_bytes - freed) if first < state.next_batch else 0,
        ),
    )
    if first == state.next_batch:
        return Deleted(deleted, state.segment)
    (next_one,) = connection.execute("SELECT segment FROM batches WHERE id = ?", (first,)).fetchone() or (None,)
    return Deleted(deleted, next_one or newest)


def _bytes_in_segments(connection: sqlite3.Connection, first: int) -> int:
    """Return what the batches before one take in segments, with what is between commits."""
    taken = connection.execute(
        "SELECT segment, min(start), max(start + size) FROM batches"
        " WHERE id < ? AND segment IS NOT NULL AND typeof(start) = 'integer' AND typeof(size) = 'integer'"
        " GROUP BY segment",
        (first,),
    ).fetchall()
    # What stays begins where the last of it ended, if it stands in the same segment.
    stays = "SELECT segment, start FROM batches WHERE id = ? AND typeof(start) = 'integer'"
    left = dict(connection.execute(stays, (first,)).fetchall())
    return sum(int(left.get(segment, rounded_up(end + HEAD_BYTES)) - start) for segment, start, end in taken)


def read_batch(connection: sqlite3.Connection, segments: Segments, batch_id: int) -> Batch:
    """Read one batch and check it against its checksum.

    Raises:
        DamagedBatch: it cannot be trusted or is not there.
        OSError: its segment cannot be read just now.
    """
    row = _row(connection, batch_id)
    if not all(isinstance(value, int) for value in row[:4]) or not isinstance(row.payload, bytes):
        raise DamagedBatch("not as long as it was")
    payload = row.payload if row.segment is None else _recorded(connection, segments, row)
    if len(payload) != row.size:
        raise DamagedBatch("not as long as it was")
    if crc32(payload) != row.crc:
        raise DamagedBatch("checksum mismatch")
    return Batch(batch_id, row.received_unix_nano, _inflated(payload))


def read_received(connection: sqlite3.Connection, batch_id: int) -> int:
    """Read when a batch came, and nothing else of it.

    Raises:
        DamagedBatch: its row is not there.
    """
    (received,) = _one(connection, "SELECT received_unix_nano FROM batches WHERE id = ?", batch_id)
    return int(received)


def _row(connection: sqlite3.Connection, batch_id: int) -> Row:
    query = "SELECT id, received_unix_nano, size, crc, payload, segment, start FROM batches WHERE id = ?"
    return Row(*_one(connection, query, batch_id))


def _one(connection: sqlite3.Connection, query: str, batch_id: int) -> tuple[Any, ...]:
    try:
        row: tuple[Any, ...] | None = connection.execute(query, (batch_id,)).fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_corruption(error):
            raise
        raise DamagedBatch(str(error)) from error
    if row is None:
        raise DamagedBatch("missing")
    return row


def _recorded(connection: sqlite3.Connection, segments: Segments, row: Row) -> bytes:
    """Read a payload from its segment; row and record have to agree in everything."""
    if not isinstance(row.segment, int) or not isinstance(row.start, int) or row.start < 0:
        raise DamagedBatch("its row does not say where it is")
    name = segments.path(row.segment).name
    try:
        with segments.opened(row.segment) as file:
            head = Head.unpacked(os.pread(file, HEAD_BYTES, row.start), 0, _store_key(connection))
            if head is None:
                raise DamagedBatch("checksum mismatch of its head")
            if (head.batch_id, head.received_unix_nano, head.size, head.crc) != row[:4]:
                raise DamagedBatch("its row and its record disagree")
            return os.pread(file, head.size, row.start + HEAD_BYTES)
    except FileNotFoundError as error:
        raise DamagedBatch(f"its segment {name} is missing") from error
    except OSError as error:
        if error.errno not in _BAD_PLACES:
            raise
        raise DamagedBatch(f"its segment {name}: {error.strerror}") from error


def _store_key(connection: sqlite3.Connection) -> int:
    (key,) = connection.execute("SELECT store_key FROM journal_state WHERE only = 1").fetchone()
    return int(key)


def _inflated(payload: bytes) -> bytes:
    if not payload.startswith(_GZIP):
        return payload
    try:
        return gzip.decompress(payload)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedBatch(f"no gzip: {error}") from error


def _is_corruption(error: sqlite3.Error) -> bool:
    # The low byte of an extended code is the primary one. SQLITE_IOERR_SHORT_READ is a file cut short.
    code = getattr(error, "sqlite_errorcode", 0)
    return (code & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code == sqlite3.SQLITE_IOERR_SHORT_READ
