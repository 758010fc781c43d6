"""The journal: every accepted request's bytes, on disk before the client is told so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from spanverdict.storage import batches
from spanverdict.storage.batches import Batch, DamagedBatch, Entry
from spanverdict.storage.checksum import crc32
from spanverdict.storage.database import Readers
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.journalstate import Bounds, DamagedState, JournalState, read_state
from spanverdict.storage.segments import Segments
from spanverdict.storage.writer import Writer

_log = logging.getLogger(__name__)

_DELETE_AT_ONCE = 256
"""Batches that one step of retention deletes."""


@dataclass(frozen=True, slots=True, order=True)
class Damage:
    """A batch that was journaled and cannot be read any more, and why."""

    batch_id: int
    reason: str


OnDamage: TypeAlias = Callable[[Damage], None]


class Journal:
    """Appends and reads batches. Ids start at 1, grow by one and are never used again. Thread-safe."""

    def __init__(self, writer: Writer, readers: Readers, segments: Segments) -> None:
        self._writer = writer
        self._readers = readers
        self._segments = segments
        self._damaged: dict[int, Damage] = {}
        self._lock = threading.Lock()

    def append(self, payload: bytes, received_unix_nano: int) -> Future[int]:
        """Journal a request, or gzip of one; the future gives the batch's id once it is committed and flushed to disk.

        It fails with `JournalUnavailable` when that was not possible. A batch whose commit failed at
        the very end may still be there after a restart: readers must bear a resent request.
        Cancelling the future before its turn takes the batch back.
        """
        return self._writer.append(_entry(payload, received_unix_nano))

    def append_all(self, payloads: Sequence[bytes], received_unix_nano: int, *, here: bool = False) -> Future[range]:
        """Journal requests together, as `append` does one: all of them or none, under ids that follow each other.

        `here` is for who has nothing else to do: the caller's thread commits, if nobody is at it.
        """
        return self._writer.append_all([_entry(payload, received_unix_nano) for payload in payloads], here=here)

    def read(self, first: int = 1, last: int | None = None, on_damage: OnDamage | None = None) -> Iterator[Batch]:
        """Give the batches from `first` to `last` (default: the last now) in order, one in memory at a time.

        What retention deleted is left out. A batch that is missing or does not match its checksum is
        left out too, and told to `on_damage` and to `damaged`.

        Raises:
            StoreUnavailable: the file cannot be read at all.
        """
        bounds = self.bounds()
        end = bounds.last if last is None else min(last, bounds.last)
        for batch_id in range(max(first, bounds.first), end + 1):
            batch = self._read_one(batch_id, on_damage)
            if batch is not None:
                yield batch

    @property
    def damaged(self) -> tuple[Damage, ...]:
        """Every damaged batch that reading has met so far, by id."""
        with self._lock:
            return tuple(sorted(self._damaged.values()))

    @property
    def backlog(self) -> int:
        """Bytes that are queued and not yet being committed."""
        return self._writer.waiting_bytes

    @property
    def last_received(self) -> int:
        """When the newest batch came, in ns since the epoch; 0 for an empty journal."""
        return self._state().last_received_unix_nano

    def first_since(self, received_unix_nano: int) -> int:
        """Return the first batch that came at or after a time, one past the last when there is none.

        Batches are journaled in about the order in which they came, so halving finds it.
        """
        bounds = self.bounds()
        low, high = bounds.first, bounds.last + 1
        while low < high:
            middle = (low + high) // 2
            received = self._received(middle)
            if received is None or received < received_unix_nano:
                low = middle + 1
            else:
                high = middle
        return low

    def received(self, batch_id: int) -> int | None:
        """Return when a batch came, in ns since the epoch; None when it is not there."""
        bounds = self.bounds()
        return self._received(batch_id) if bounds.first <= batch_id <= bounds.last else None

    def bounds(self) -> Bounds:
        """First and last id that the journal holds."""
        return self._state().bounds

    def bytes_stored(self) -> int:
        """Bytes of payload that the journal holds, as they are kept."""
        return self._state().stored_bytes

    def bytes_in_segments(self) -> int:
        """Bytes that batches take in segments, and not in the store's file."""
        return self._state().segment_bytes

    def delete_before(self, batch_id: int) -> int:
        """Delete the batches with smaller ids, return how many. Their space is used again.

        Goes in small steps, so that batches that come meanwhile are not kept waiting.
        """
        bounds = self.bounds()
        end = min(batch_id, bounds.last + 1)
        steps = range(bounds.first + _DELETE_AT_ONCE, end + _DELETE_AT_ONCE, _DELETE_AT_ONCE)
        done = [self._writer.call(partial(batches.delete_before, batch_id=min(step, end))) for step in steps]
        if done:
            self._segments.delete_before(max(deleted.needed_segment for deleted in done))
        return sum(deleted.batches for deleted in done)

    def _state(self) -> JournalState:
        with self._readers.borrow() as connection:
            try:
                return read_state(connection)
            except DamagedState as error:
                raise StoreUnavailable(f"the store cannot be read: {error}") from error

    def _read_one(self, batch_id: int, on_damage: OnDamage | None) -> Batch | None:
        try:
            with self._readers.borrow() as connection:
                return batches.read_batch(connection, self._segments, batch_id)
        except DamagedBatch as error:
            if batch_id >= self.bounds().first:  # else retention was faster
                self._report(Damage(batch_id, str(error)), on_damage)
            return None
        except OSError as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error

    def _received(self, batch_id: int) -> int | None:
        with self._readers.borrow() as connection, suppress(DamagedBatch):
            return batches.read_received(connection, batch_id)
        return None

    def _report(self, damage: Damage, on_damage: OnDamage | None) -> None:
        with self._lock:
            known = damage.batch_id in self._damaged
            self._damaged[damage.batch_id] = damage
        if not known:
            _log.error("batch %d of the journal is damaged and left out: %s", damage.batch_id, damage.reason)
        if on_damage is not None:
            on_damage(damage)


def _entry(payload: bytes, received_unix_nano: int) -> Entry:
    return Entry(payload, received_unix_nano, crc32(payload))
