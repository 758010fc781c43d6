"""Opening and closing the store, and what must be written in one go."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from spanverdict.storage import outbox, runs
from spanverdict.storage.database import Database, Readers, Synchronous
from spanverdict.storage.errors import StoreUnavailable, StoreUnusable
from spanverdict.storage.history import History
from spanverdict.storage.journal import Journal
from spanverdict.storage.outbox import Outbox
from spanverdict.storage.records import AlertStateLike, Conclusion, NewDelivery, Verdict
from spanverdict.storage.recovery import recover
from spanverdict.storage.retention import Retention
from spanverdict.storage.runs import RunStore
from spanverdict.storage.schema import prepare, readable
from spanverdict.storage.segments import Segments
from spanverdict.storage.writequeue import LIMITS, GroupLimits
from spanverdict.storage.writer import Writer

_log = logging.getLogger(__name__)


class Store:
    """One file with a journal, runs and an outbox. Close it, or use it in a `with` block.

    Several processes may have the same store open; one of them should be the one that receives.
    """

    def __init__(self, path: Path, writer: Writer, readers: Readers) -> None:
        self.path = path
        self.lost_commits = 0
        """Commits that were lost with a damaged write-ahead log when the store was opened."""
        self.journal = Journal(writer, readers, Segments(path))
        self.runs = RunStore(writer, readers)
        self.outbox = Outbox(writer, readers)
        self.history = History(readers)
        self.retention = Retention(writer, readers, self.journal)
        self._writer = writer
        self._readers = readers

    @classmethod
    def open(cls, path: str | Path, *, synchronous: Synchronous = "FULL", limits: GroupLimits = LIMITS) -> Self:
        """Open the store, making or migrating it where needed.

        Raises:
            StoreTooNew: a later release wrote it.
            StoreUnusable: it cannot be read and written, or is not a store.
        """
        database = Database(Path(path), synchronous)
        lost = prepare(database)
        returned = recover(database)
        store = cls(database.path, Writer(database, limits), Readers(database))
        store._writer.start()
        if returned.batches:
            _log.warning("%d batches of the journal that the store's file had lost were put back", returned.batches)
        if lost > returned.commits:
            store.lost_commits = lost = lost - returned.commits
            _log.error(
                "the write-ahead log is damaged: the last commits before the store was let go (%d) are lost", lost
            )
        return store

    @classmethod
    def read_only(cls, path: str | Path) -> Self:
        """Open a store that exists to look into it, also while another process writes it; changes nothing in it.

        Whatever would write raises `StoreUnavailable`.

        Raises:
            StoreTooNew: a later release wrote it.
            StoreUnusable: it is not there, cannot be read, or is not a store.
        """
        database = readable(Path(path))
        store = cls(database.path, Writer(database), Readers(database))
        store._writer.close()
        try:
            store.journal.bounds()
        except StoreUnavailable as error:
            store._readers.close()
            raise StoreUnusable(database.path, str(error.__cause__ or error)) from error
        return store

    @property
    def problem(self) -> str | None:
        """Why the last commit failed; None when it succeeded."""
        return self._writer.problem

    def probe(self) -> None:
        """Commit something of no consequence, to know whether the store takes writes.

        Raises:
            StoreUnavailable: it does not.
        """
        self._writer.probe()

    def conclude(
        self, verdict: Verdict, deliveries: Iterable[NewDelivery], state_changes: Iterable[AlertStateLike]
    ) -> bool:
        """Save a verdict together with the alerts it leads to: after a crash there are both or neither.

        Returns False, and leaves the outbox alone, when that revision had been decided before.
        """
        return self.conclude_all((Conclusion(verdict, tuple(deliveries), tuple(state_changes)),))[0]

    def conclude_all(self, conclusions: Sequence[Conclusion]) -> list[bool]:
        """Do so for several verdicts, in their order: all of them are saved, or none."""

        def change(connection: sqlite3.Connection) -> list[bool]:
            return [_conclude(connection, conclusion) for conclusion in conclusions]

        return self._writer.call(change)

    def close(self) -> None:
        """Commit what is queued and let the file go. Closing twice is fine."""
        self._writer.close()
        self._readers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _conclude(connection: sqlite3.Connection, conclusion: Conclusion) -> bool:
    verdict = conclusion.verdict
    runs.insert_verdict(connection, verdict)
    named = (verdict.run_id, verdict.revision)
    return outbox.insert_decision(connection, named, conclusion.deliveries, conclusion.state_changes)
