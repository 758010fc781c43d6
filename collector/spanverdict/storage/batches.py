"""Rows of the journal: writing, reading and checking them. Callers own the transaction."""

from __future__ import annotations

import gzip
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from spanverdict.storage.checksum import crc32

_GZIP: Final = b"\x1f\x8b"


class Bounds(NamedTuple):
    """The first and the last batch id of the journal; `last < first` when it is empty."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One journaled request, as it came; inflated, if it came as gzip."""

    id: int
    received_unix_nano: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch on its way into the journal."""

    payload: bytes
    """Protobuf, or gzip of it. No request in protobuf begins as gzip does: there is no such kind of field."""
    received_unix_nano: int
    crc: int


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the journal holds in all: ids `first_batch … next_batch - 1`, without gaps."""

    first_batch: int = 1
    next_batch: int = 1
    stored_bytes: int = 0
    last_received_unix_nano: int = 0

    @property
    def bounds(self) -> Bounds:
        """First and last id."""
        return Bounds(self.first_batch, self.next_batch - 1)

    def crc(self) -> int:
        """Guard the row against a flipped bit: a wrong bound would hide batches."""
        fields = (self.first_batch, self.next_batch, self.stored_bytes, self.last_received_unix_nano)
        return crc32(repr(fields).encode())


class DamagedBatch(Exception):  # noqa: N818 - says what is wrong
    """The row of a batch is missing, unreadable or not what was written; the message says which."""


class DamagedState(Exception):  # noqa: N818 - says what is wrong
    """The journal no longer knows what it holds."""


def initial_state() -> str:
    """Return the statement that makes the state of an empty journal."""
    empty = JournalState()
    values = (1, empty.first_batch, empty.next_batch, empty.stored_bytes, empty.last_received_unix_nano, empty.crc())
    return f"INSERT INTO journal_state VALUES {values}"  # noqa: S608 - integers of ours


def read_state(connection: sqlite3.Connection) -> JournalState:
    """Read what the journal holds.

    Raises:
        DamagedState: the row is gone or was changed behind our back.
    """
    row = connection.execute(
        "SELECT first_batch, next_batch, stored_bytes, last_received_unix_nano, crc FROM journal_state WHERE only = 1"
    ).fetchone()
    if row is None or not all(isinstance(value, int) for value in row):
        raise DamagedState("its journal has lost count of its batches")
    state = JournalState(*row[:4])
    if state.crc() != row[4]:
        raise DamagedState("its journal has lost count of its batches (checksum mismatch)")
    return state


def write_entries(connection: sqlite3.Connection, entries: Sequence[Entry]) -> range:
    """Append the entries in order and return their ids."""
    state = read_state(connection)
    ids = range(state.next_batch, state.next_batch + len(entries))
    connection.executemany(
        "INSERT INTO batches (id, received_unix_nano, size, crc, payload) VALUES (?, ?, ?, ?, ?)",
        [(i, e.received_unix_nano, len(e.payload), e.crc, e.payload) for i, e in zip(ids, entries, strict=True)],
    )
    _write_state(
        connection,
        JournalState(
            first_batch=state.first_batch,
            next_batch=ids.stop,
            stored_bytes=state.stored_bytes + sum(len(e.payload) for e in entries),
            last_received_unix_nano=max(state.last_received_unix_nano, *(e.received_unix_nano for e in entries)),
        ),
    )
    return ids


def delete_before(connection: sqlite3.Connection, batch_id: int) -> int:
    """Delete the batches with smaller ids and return how many went."""
    state = read_state(connection)
    first = min(max(batch_id, state.first_batch), state.next_batch)
    (size,) = connection.execute("SELECT coalesce(sum(size), 0) FROM batches WHERE id < ?", (first,)).fetchone()
    deleted = connection.execute("DELETE FROM batches WHERE id < ?", (first,)).rowcount
    remaining = JournalState(first, state.next_batch, state.stored_bytes - size, state.last_received_unix_nano)
    _write_state(connection, remaining)
    return deleted


def read_batch(connection: sqlite3.Connection, batch_id: int) -> Batch:
    """Read one batch and check it against its checksum.

    Raises:
        DamagedBatch: it cannot be trusted or is not there.
    """
    try:
        row = connection.execute(
            "SELECT received_unix_nano, size, crc, payload FROM batches WHERE id = ?", (batch_id,)
        ).fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_corruption(error):
            raise
        raise DamagedBatch(str(error)) from error
    if row is None:
        raise DamagedBatch("missing")
    received, size, crc, payload = row
    if not isinstance(payload, bytes) or not isinstance(received, int) or len(payload) != size:
        raise DamagedBatch("not as long as it was")
    if crc32(payload) != crc:
        raise DamagedBatch("checksum mismatch")
    return Batch(batch_id, received, _inflated(payload))


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


def _write_state(connection: sqlite3.Connection, state: JournalState) -> None:
    connection.execute(
        "UPDATE journal_state SET first_batch = ?, next_batch = ?, stored_bytes = ?,"
        " last_received_unix_nano = ?, crc = ? WHERE only = 1",
        (state.first_batch, state.next_batch, state.stored_bytes, state.last_received_unix_nano, state.crc()),
    )
