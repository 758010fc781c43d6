"""One writes at a time: what is queued together is committed together, then acknowledged.

One writer means that nothing in this process ever waits for SQLite's write lock, that a verdict or
an alert shares the disk flush of the batches beside it, and that nobody starves. It is a thread of its own that writes,
or whoever has nothing else to do: handing a commit over and back costs more than a small one takes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import accumulate, pairwise
from typing import Any, Final

from spanverdict.storage.batches import Entry, write_entries
from spanverdict.storage.checkpoint import Checkpointer
from spanverdict.storage.database import PAGE_BYTES, Database, Synchronous
from spanverdict.storage.errors import JournalUnavailable, StoreUnavailable
from spanverdict.storage.journalstate import DamagedState, read_state, touch_state
from spanverdict.storage.segments import Segments, SegmentWriter
from spanverdict.storage.writequeue import LIMITS, Append, Apply, Change, GroupLimits, Job, T, WriteQueue

_PAGES_LOGGED: Final = 2 * PAGE_BYTES
"""What each commit writes to SQLite's log, beside payloads."""


class Writer:
    """Runs the write queue against its own connection until closed.

    Futures are resolved on the thread that commits, after the commit: callbacks must be short and must
    not wait for another write.
    """

    def __init__(self, database: Database, limits: GroupLimits = LIMITS) -> None:
        self._database = database
        self._queue = WriteQueue(limits)
        self._rows_below = limits.rows_below
        flush = database.synchronous == "FULL"
        self._segments = SegmentWriter(Segments(database.path), limits.segment_bytes, flush=flush)
        self._synchronous: Synchronous = database.synchronous
        """How the connection flushes now."""
        self._checkpointer = Checkpointer(database)
        self._connection: sqlite3.Connection | None = None
        self._problem: str | None = None
        self._turn = threading.Lock()
        """Held by who takes from the queue and commits."""
        self._committer: int | None = None
        """The thread that does."""
        self._thread = threading.Thread(target=self._run, name="spanverdict-store", daemon=True)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of payload that wait for a commit."""
        return self._queue.waiting_bytes

    @property
    def problem(self) -> str | None:
        """Why the last commit failed; None when it succeeded."""
        return self._problem

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def append(self, entry: Entry) -> Future[int]:
        """Queue a batch; the future resolves to its id once it is on disk, or to `JournalUnavailable`."""
        return self._queued(Append((entry,), alone=True))

    def append_all(self, entries: Sequence[Entry], *, here: bool = False) -> Future[range]:
        """Queue batches that are written together, or not at all; the future is as that of `append`.

        With `here` the caller commits them at once, and what else waits, unless somebody is at it.
        """
        return self._queued(Append(entries), here=here)

    def _queued(self, job: Append, *, here: bool = False) -> Future[Any]:
        if not self._queue.put(job, wake=not here):
            job.future.set_exception(JournalUnavailable("the store is closed"))
        elif here:
            self._commit_here()
        return job.future

    def call(self, change: Change[T]) -> T:
        """Make a change and return what it returned, once it is on disk.

        Raises:
            StoreUnavailable: it was not committed; nothing of it remains.
        """
        if self._committer == threading.get_ident():
            raise RuntimeError("a callback of the writer waits for the writer")
        job = Apply(change)
        if not self._queue.put(job, wake=False):
            raise StoreUnavailable("the store is closed")
        self._commit_here()
        result: T = job.future.result()
        return result

    def probe(self) -> None:
        """Commit something of no consequence; where there are segments, write to one, too.

        Raises:
            StoreUnavailable: that is not possible.
        """
        self.call(self._touch)

    def close(self) -> None:
        """Commit what is queued, then stop."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()
        self._checkpointer.close()

    def _run(self) -> None:
        try:
            while self._queue.wait():
                with self._turn:
                    self._commit_group()
        finally:
            with self._turn:
                self._disconnect()

    def _commit_here(self) -> None:
        """Commit a group on this thread, unless somebody is at it; what is left then is for the writer's thread."""
        if self._turn.acquire(blocking=False):
            try:
                self._commit_group()
            finally:
                self._turn.release()
        self._queue.wake()

    def _commit_group(self) -> None:
        self._committer = threading.get_ident()
        group = [job for job in self._queue.take() if job.future.set_running_or_notify_cancel()]
        if group:
            self._commit(group)
        self._committer = None

    def _commit(self, group: Sequence[Job]) -> None:
        try:
            outcomes = self._transact(group)
        except (sqlite3.Error, DamagedState, OSError) as error:
            self._problem = str(error)
            self._disconnect()
            _fail(group, f"the store cannot commit: {error}")
        except BaseException as error:  # noqa: BLE001 - the thread must outlive any one group
            self._problem = repr(error)
            self._disconnect()
            _fail(group, f"the store cannot commit: {error!r}")
        else:
            self._problem = None
            for job, outcome in zip(group, outcomes, strict=True):
                _settle(job.future, outcome)
            size = sum(job.size for job in group)
            self._checkpointer.wrote(self._connected(), _PAGES_LOGGED + (size if size < self._rows_below else 0))

    def _transact(self, group: Sequence[Job]) -> list[Any]:
        appends = [job for job in group if isinstance(job, Append)]
        log = self._segments if sum(job.size for job in appends) >= self._rows_below else None
        shared = len(appends) < len(group)
        connection = self._connected()
        self._synchronize(connection, flushed=log is None or shared)
        connection.execute("BEGIN IMMEDIATE")
        ids = _write_all(connection, appends, log, shared=shared)
        outcomes = [next(ids) if isinstance(job, Append) else _attempt(connection, job.change) for job in group]
        connection.execute("COMMIT")
        return outcomes

    def _touch(self, connection: sqlite3.Connection) -> None:
        touch_state(connection)
        self._segments.probe(read_state(connection).tail)

    def _synchronize(self, connection: sqlite3.Connection, *, flushed: bool) -> None:
        """Say whether the next commit is to be flushed; rows of what is flushed in a segment can be put back."""
        wanted = self._database.synchronous
        if wanted == "FULL" and not flushed:
            wanted = "NORMAL"  # flushes when the log is copied home, without which nothing would be safe
        if wanted != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {wanted}")
            self._synchronous = wanted

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._database.connect()
            self._synchronous = self._database.synchronous
            self._checkpointer.prepare(self._connection)
        return self._connection

    def _disconnect(self) -> None:
        # After a failed commit a fresh connection rolls back and recovers from the files alone.
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._segments.close()


def _write_all(
    connection: sqlite3.Connection, jobs: Sequence[Append], log: SegmentWriter | None, *, shared: bool
) -> Iterator[int | range]:
    """Write the entries of all jobs and return what each job's future gives."""
    if not jobs:
        return iter(())
    ids = write_entries(connection, [entry for job in jobs for entry in job.entries], log, shared=shared)
    ends = accumulate((len(job.entries) for job in jobs), initial=0)
    return (ids[start] if job.alone else ids[start:end] for job, (start, end) in zip(jobs, pairwise(ends), strict=True))


def _attempt(connection: sqlite3.Connection, change: Change[Any]) -> Any:
    """Apply one change so that its own mistake undoes itself only; the outcome may be that error."""
    connection.execute("SAVEPOINT change")
    try:
        outcome = change(connection)
    except Exception as error:
        if _is_trouble_of_the_store(error):
            raise
        connection.execute("ROLLBACK TO change")
        outcome = error
    connection.execute("RELEASE change")
    return outcome


def _is_trouble_of_the_store(error: Exception) -> bool:
    # A corrupt file raises DatabaseError itself; its other subclasses are mistakes in a statement or value.
    troubles = sqlite3.OperationalError | sqlite3.InternalError | OSError
    return type(error) is sqlite3.DatabaseError or isinstance(error, troubles)


def _settle(future: Future[Any], outcome: Any) -> None:
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _fail(group: Sequence[Job], message: str) -> None:
    for job in group:
        kind = JournalUnavailable if isinstance(job, Append) else StoreUnavailable
        job.future.set_exception(kind(message))
