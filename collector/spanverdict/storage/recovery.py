"""Putting back what SQLite lost of the journal and segments still have.

Rows are committed to SQLite without a flush where their records were flushed, so a power failure may take them; so may
a damaged write-ahead log, or an older copy of the file. The whole commits that stand behind the end that SQLite knows
of are put back under the ids that they had.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from random import SystemRandom
from typing import Final

from spanverdict.storage.batches import insert_rows, row_of
from spanverdict.storage.blocks import rounded_up
from spanverdict.storage.checksum import crc32
from spanverdict.storage.database import Database
from spanverdict.storage.errors import StoreUnusable
from spanverdict.storage.journalstate import DamagedState, JournalState, read_state, write_state
from spanverdict.storage.segments import HEAD_BYTES, MAGIC, Head, Place, Segments

_KEYS: Final = range(1, 1 << 32)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was found in a segment."""

    head: Head
    place: Place
    end: Place
    """Where the next one may begin: behind the zeros that fill a block, if there is nothing else."""
    is_sound: bool
    """Its payload is what was written."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """What was put back."""

    batches: int = 0
    commits: int = 0
    """Commits that are whole again, as they held nothing but batches."""


def recover(database: Database) -> PutBack:
    """Put back the batches that segments have and a store does not know of; gives a new store its key.

    Raises:
        StoreUnusable: the store has lost count of its batches, or cannot be read and written.
    """
    segments = Segments(database.path)
    try:
        with closing(database.connect()) as connection:
            return _put_back(connection, segments)
    except (sqlite3.Error, DamagedState) as error:
        raise StoreUnusable(database.path, str(error)) from error
    except OSError as error:
        raise StoreUnusable(database.path, f"{segments.folder}: {error.strerror}") from error


def _put_back(connection: sqlite3.Connection, segments: Segments) -> PutBack:
    connection.execute("BEGIN IMMEDIATE")
    try:
        state = read_state(connection)
        behind = left_behind(segments, state) if state.store_key else []
        found = finished(behind)
        if found:
            insert_rows(connection, (row_of(record.head, *record.place) for record in found))
            write_state(connection, _state_with(state, found))
        elif not state.store_key:
            write_state(connection, state._replace(store_key=SystemRandom().choice(_KEYS)))
            _tell_of_others(segments)
        _forget(segments, behind[len(found) :], found[-1].place.segment if found else state.segment)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return PutBack(len(found), sum(record.head.more == 0 and not record.head.shared for record in found))


def left_behind(segments: Segments, state: JournalState) -> list[Record]:
    """Return the records behind the end of a store, by their ids."""
    found: list[Record] = []
    next_batch = state.next_batch
    for number in segments.numbers():
        if number < state.segment:
            continue
        first = Place(number, state.segment_end if number == state.segment else 0)
        for record in records(segments, first, state.store_key):
            if record.head.batch_id >= next_batch:
                next_batch = record.head.batch_id + 1
                found.append(record)
    return found


def records(segments: Segments, first: Place, key: int) -> Iterator[Record]:
    """Yield the records of a segment from a place on, and those that follow where something is damaged."""
    with segments.path(first.segment).open("rb") as file:
        file.seek(first.offset)
        data = file.read()
    view, at = memoryview(data), 0
    while 0 <= at < len(data):
        head = Head.unpacked(data, at, key)
        if head is None:
            at = data.find(MAGIC, at + 1)
            continue
        payload = view[at + HEAD_BYTES : at + HEAD_BYTES + head.size]
        place, at = first.after(at), at + HEAD_BYTES + head.size
        block = rounded_up(first.offset + at) - first.offset
        at = at if any(view[at:block]) else block
        yield Record(head, place, first.after(at), len(payload) == head.size and crc32(payload) == head.crc)


def finished(found: Sequence[Record]) -> list[Record]:
    """Leave out what follows the last whole commit, as it was never finished. What stands before it once was whole."""
    kept: list[Record] = []
    unfinished: list[Record] = []
    for record in found:
        unfinished.append(record)
        if record.head.more == 0 and _is_whole(unfinished[-record.head.before - 1 :]):
            kept += unfinished
            unfinished = []
    return kept


def _is_whole(records: Sequence[Record]) -> bool:
    """Tell whether records are all of one commit, as they were written."""
    last = records[-1].head
    ids = [record.head.batch_id for record in records]
    return ids == list(range(last.batch_id - last.before, last.batch_id + 1)) and all(one.is_sound for one in records)


def _state_with(state: JournalState, found: Sequence[Record]) -> JournalState:
    ends = {record.place.segment: record.end for record in found}  # of each segment that of its last one
    return reduce(JournalState.extended, ends.values(), state)._replace(
        next_batch=found[-1].head.batch_id + 1,
        stored_bytes=state.stored_bytes + sum(record.head.size for record in found),
        last_received_unix_nano=max(
            state.last_received_unix_nano, *(record.head.received_unix_nano for record in found)
        ),
    )


def _forget(segments: Segments, unfinished: Sequence[Record], last: int) -> None:
    """Delete segments of what was never finished, as its ids are given again; in the last one it is cut off later."""
    for number in {record.place.segment for record in unfinished if record.place.segment > last}:
        segments.path(number).unlink()


def _tell_of_others(segments: Segments) -> None:
    if segments.numbers():
        _log.warning("%s holds segments of a store that was here before; nothing reads them", segments.folder)
