"""What the journal holds in all: one row, guarded by a sum."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from spanverdict.storage.checksum import crc32
from spanverdict.storage.segments import Place


class Bounds(NamedTuple):
    """The first and the last batch id of the journal; `last < first` when it is empty."""

    first: int
    last: int


class JournalState(NamedTuple):
    """What the journal holds in all: ids `first_batch … next_batch - 1`, without gaps."""

    first_batch: int = 1
    next_batch: int = 1
    stored_bytes: int = 0
    last_received_unix_nano: int = 0
    store_key: int = 0
    """What the sums of the heads of records begin with; 0 before a store was first opened that can have segments."""
    segment: int = 0
    segment_end: int = 0
    segment_bytes: int = 0
    """What the records of all batches take, with their heads and what is between commits."""

    @property
    def bounds(self) -> Bounds:
        """First and last id."""
        return Bounds(self.first_batch, self.next_batch - 1)

    @property
    def tail(self) -> Place:
        """Where the next record goes."""
        return Place(self.segment, self.segment_end)

    def extended(self, tail: Place) -> JournalState:
        """Return the state after records were added up to there."""
        before = self.segment_end if tail.segment == self.segment else 0
        return self._replace(
            segment=tail.segment, segment_end=tail.offset, segment_bytes=self.segment_bytes + tail.offset - before
        )

    def crc(self) -> int:
        """Guard the row against a flipped bit: a wrong bound would hide batches."""
        fields = tuple(self) if self.store_key else self[:4]  # as it was before there were segments
        return crc32(repr(fields).encode())


class DamagedState(Exception):  # noqa: N818 - says what is wrong
    """The journal no longer knows what it holds."""


_READ: Final = (
    "SELECT first_batch, next_batch, stored_bytes, last_received_unix_nano, store_key, segment, segment_end,"
    " segment_bytes, crc FROM journal_state WHERE only = 1"
)
_WRITE: Final = (
    "UPDATE journal_state SET first_batch = ?, next_batch = ?, stored_bytes = ?, last_received_unix_nano = ?,"
    " store_key = ?, segment = ?, segment_end = ?, segment_bytes = ?, crc = ? WHERE only = 1"
)


def initial_state() -> str:
    """Return the statement that makes the state of an empty journal, by the first version of the schema."""
    empty = JournalState()
    values = (1, empty.first_batch, empty.next_batch, empty.stored_bytes, empty.last_received_unix_nano, empty.crc())
    return f"INSERT INTO journal_state VALUES {values}"  # noqa: S608 - integers of ours


def read_state(connection: sqlite3.Connection) -> JournalState:
    """Read what the journal holds.

    Raises:
        DamagedState: the row is gone or was changed behind our back.
    """
    row = connection.execute(_READ).fetchone()
    if row is None or not all(isinstance(value, int) for value in row):
        raise DamagedState("its journal has lost count of its batches")
    state = JournalState(*row[:-1])
    if state.crc() != row[-1]:
        raise DamagedState("its journal has lost count of its batches (checksum mismatch)")
    return state


def write_state(connection: sqlite3.Connection, state: JournalState) -> None:
    """Write what the journal holds."""
    connection.execute(_WRITE, (*state, state.crc()))


def touch_state(connection: sqlite3.Connection) -> None:
    """Write something of no consequence."""
    # There and back: SQLite leaves out a write that changes nothing, and then the disk would not be asked.
    for step in (1, -1):
        connection.execute("UPDATE journal_state SET next_batch = next_batch + ? WHERE only = 1", (step,))
