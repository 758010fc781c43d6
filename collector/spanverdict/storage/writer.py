"""One writes at a time: what is queued together is committed together, then acknowledged.

One writer means that nothing in this process ever waits for SQLite's write lock, that a verdict or
an alert shares the disk flush of the batches beside it, and that nobody starves. It is a thread of its own that writes,
or whoever has nothing else to do: handing a commit over and back costs more than a small one takes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, TypeAlias, TypeVar

from spanverdict.storage.batches import DamagedState, Entry, write_entries
from spanverdict.storage.checkpoint import Checkpointer
from spanverdict.storage.database import Database
from spanverdict.storage.errors import JournalUnavailable, StoreUnavailable

T = TypeVar("T")
Change: TypeAlias = Callable[[sqlite3.Connection], T]
"""Reads and writes within the transaction that the writer opened; never commits itself."""


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """How much one commit may hold; a single larger batch still goes, alone."""

    max_bytes: int = 16 * 1024 * 1024
    max_jobs: int = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """Batches to journal, all of them or none; the future gives the range of their ids, or the id of one `alone`."""

    entries: Sequence[Entry]
    alone: bool = False
    future: Future[Any] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return sum(len(entry.payload) for entry in self.entries)


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """A change of other tables; the future gives what the change returned, or its error."""

    change: Change[Any]
    future: Future[Any] = field(default_factory=Future)
    size: int = 0


Job: TypeAlias = Append | Apply


class WriteQueue:
    """What waits for the next commit, first come first served. Thread-safe."""

    def __init__(self, limits: GroupLimits) -> None:
        self._limits = limits
        self._jobs: deque[Job] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of payload not yet taken."""
        return self._bytes

    def put(self, job: Job, *, wake: bool = True) -> bool:
        """Queue a job; False when the queue is closed. Without `wake` nobody is told yet."""
        with self._changed:
            if self._closed:
                return False
            self._jobs.append(job)
            self._bytes += job.size
            if wake:
                self._changed.notify()
            return True

    def wake(self) -> None:
        """Wake who waits, if there is work."""
        with self._changed:
            if self._jobs:
                self._changed.notify()

    def wait(self) -> bool:
        """Wait for work; False when closed and all is done."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            return bool(self._jobs)

    def take(self) -> list[Job]:
        """Take one group of what is there, perhaps nothing."""
        with self._changed:
            group: list[Job] = []
            size = 0
            while self._jobs and self._fits(len(group), size + self._jobs[0].size):
                job = self._jobs.popleft()
                size += job.size
                group.append(job)
            self._bytes -= size
            return group

    def close(self) -> None:
        """Refuse new jobs; those waiting are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, jobs: int, size: int) -> bool:
        return jobs == 0 or (jobs < self._limits.max_jobs and size <= self._limits.max_bytes)


class Writer:
    """Runs the write queue against its own connection until closed.

    Futures are resolved on the thread that commits, after the commit: callbacks must be short and must
    not wait for another write.
    """

    def __init__(self, database: Database, limits: GroupLimits = GroupLimits()) -> None:
        self._database = database
        self._queue = WriteQueue(limits)
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
        except (sqlite3.Error, DamagedState) as error:
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
            self._checkpointer.wrote(self._connected(), sum(job.size for job in group))

    def _transact(self, group: Sequence[Job]) -> list[Any]:
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        ids = _write_all(connection, [job for job in group if isinstance(job, Append)])
        outcomes = [next(ids) if isinstance(job, Append) else _attempt(connection, job.change) for job in group]
        connection.execute("COMMIT")
        return outcomes

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._database.connect()
            self._checkpointer.prepare(self._connection)
        return self._connection

    def _disconnect(self) -> None:
        # After a failed commit a fresh connection rolls back and recovers from the file alone.
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _write_all(connection: sqlite3.Connection, jobs: Sequence[Append]) -> Iterator[int | range]:
    """Write the entries of all jobs and return what each job's future gives."""
    if not jobs:
        return iter(())
    ids = write_entries(connection, [entry for job in jobs for entry in job.entries])
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
    return type(error) is sqlite3.DatabaseError or isinstance(error, sqlite3.OperationalError | sqlite3.InternalError)


def _settle(future: Future[Any], outcome: Any) -> None:
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _fail(group: Sequence[Job], message: str) -> None:
    for job in group:
        kind = JournalUnavailable if isinstance(job, Append) else StoreUnavailable
        job.future.set_exception(kind(message))
