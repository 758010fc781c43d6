"""Deleting what is old, or too much: oldest first, and never what a run without a verdict still needs."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import Final

from spanverdict.storage.database import Readers
from spanverdict.storage.journal import Journal
from spanverdict.storage.samples import forget_unused
from spanverdict.storage.writer import Writer

_BATCHES_AT_ONCE: Final = 64
_RUNS_AT_ONCE: Final = 100

_OLD_RUNS: Final = """
    DELETE FROM runs WHERE id IN (
        SELECT id FROM runs
        WHERE created_unix_nano < :before AND updated_unix_nano < :before
            AND (state = 'judged' OR last_batch < :first_batch)
        ORDER BY created_unix_nano LIMIT :limit)
"""
_OLDEST_RUNS: Final = """
    DELETE FROM runs WHERE id IN (
        SELECT id FROM runs WHERE state = 'judged' AND last_batch < :first_batch
        ORDER BY created_unix_nano LIMIT :limit)
"""
_FINISHED_DELIVERIES: Final = "DELETE FROM deliveries WHERE state <> 'pending' AND finished_unix_nano < :before"
_RESOLVED_ALERTS: Final = "DELETE FROM alert_states WHERE firing = 0 AND updated_unix_nano < :before"


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went, and what should have gone and could not."""

    batches: int = 0
    runs: int = 0
    deliveries: int = 0
    held_back: int = 0
    """Batches that were to go, but that runs without a verdict still need."""


class Retention:
    """Deletes from the store, in small steps between other writes. Every method may raise `StoreUnavailable`."""

    def __init__(self, writer: Writer, readers: Readers, journal: Journal) -> None:
        self._writer = writer
        self._readers = readers
        self._journal = journal

    def used_bytes(self) -> int:
        """Bytes of the file, and of its segments, that hold something.

        What was deleted in the file is used again, so that grows no further. A segment goes when nobody needs it.
        """
        with self._readers.borrow() as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size) + self._journal.bytes_in_segments()

    def needed_from(self) -> int:
        """Return the first batch that a run without a verdict needs; one past the last when there is none.

        A run of which batches are gone already needs the others no more: it cannot be judged by them.
        """
        bounds = self._journal.bounds()
        with self._readers.borrow() as connection:
            (first,) = connection.execute(
                "SELECT min(first_batch) FROM runs WHERE state <> 'judged' AND first_batch >= ?", (bounds.first,)
            ).fetchone()
        return bounds.last + 1 if first is None else int(first)

    def delete_old(self, before_unix_nano: int) -> Deleted:
        """Delete the batches, judged runs, finished deliveries and resolved alerts from before a time."""
        end, needed = self._journal.first_since(before_unix_nano), self.needed_from()
        batches = self._journal.delete_before(min(end, needed))
        first = self._journal.bounds().first
        given = {"before": before_unix_nano, "first_batch": first, "limit": _RUNS_AT_ONCE}
        runs = 0
        while more := self._writer.call(partial(_delete_runs, _OLD_RUNS, given)):
            runs += more
        deliveries = self._writer.call(partial(_delete_deliveries, before_unix_nano))
        return Deleted(batches, runs, deliveries, max(0, end - first))

    def delete_to_fit(self, used_bytes: int, before_unix_nano: int) -> Deleted:
        """Delete batches from before a time until no more than so much is used, then judged runs without batches."""
        end, needed = self._journal.first_since(before_unix_nano), self.needed_from()
        floor = min(end, needed)
        batches = runs = 0
        while self.used_bytes() > used_bytes:
            first = self._journal.bounds().first
            if first >= floor:
                break
            batches += self._journal.delete_before(min(first + _BATCHES_AT_ONCE, floor))
        first = self._journal.bounds().first
        given = {"first_batch": first, "limit": _RUNS_AT_ONCE}
        while self.used_bytes() > used_bytes and self._journal.bytes_stored() <= used_bytes // 2:
            more = self._writer.call(partial(_delete_runs, _OLDEST_RUNS, given))
            if not more:
                break
            runs += more
        held_back = max(0, end - first) if self.used_bytes() > used_bytes else 0
        return Deleted(batches, runs, held_back=held_back)


def _delete_runs(statement: str, given: dict[str, int], connection: sqlite3.Connection) -> int:
    deleted = connection.execute(statement, given).rowcount
    if deleted:
        forget_unused(connection)
    return deleted


def _delete_deliveries(before: int, connection: sqlite3.Connection) -> int:
    connection.execute(_RESOLVED_ALERTS, {"before": before})
    return connection.execute(_FINISHED_DELIVERIES, {"before": before}).rowcount
