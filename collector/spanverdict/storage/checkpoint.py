"""Copying the write-ahead log home while commits go on, so that none of them waits for all of it.

SQLite would do it inside a commit. Here a thread of its own copies most of the log; the writer only copies what was
added meanwhile, after which the log begins anew.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from typing import Final

from spanverdict.storage.database import CHECKPOINT_BYTES, PAGE_BYTES, Database

LOG_LIMIT_BYTES: Final = 4 * CHECKPOINT_BYTES
"""Where SQLite copies the log inside a commit after all, should we not keep up."""
_SMALL: Final = 128
"""Pages that the writer may be left to copy."""
_PASSES: Final = 2
"""Attempts to get there while more is being written; each one costs flushes."""
_COPY: Final = "PRAGMA wal_checkpoint(PASSIVE)"

_log = logging.getLogger(__name__)


class Checkpointer:
    """Watches how much the writer writes. `prepare` and `wrote` belong to the writer's thread."""

    def __init__(self, database: Database, after_bytes: int = CHECKPOINT_BYTES) -> None:
        self._database = database
        self._after_bytes = after_bytes
        self._written = 0
        """Bytes since the log began anew, about."""
        self._copied = threading.Event()
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Keep the writer's connection from copying the log itself."""
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_LIMIT_BYTES // PAGE_BYTES}")

    def wrote(self, connection: sqlite3.Connection, size: int) -> None:
        """Take note of a commit; returns soon."""
        self._written += size
        if self._copied.is_set():
            self._copied.clear()
            self._written = 0
            with contextlib.suppress(sqlite3.Error):  # it is tried again, and whoever commits next would notice
                connection.execute(_COPY).fetchall()
        elif self._written >= self._after_bytes and not self._wanted.is_set():
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spanverdict-checkpoint", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread. The writer's thread must have ended."""
        self._closing.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wanted.wait()
            if self._closing.is_set():
                return
            try:
                self._copy()
            except sqlite3.Error as error:
                _log.warning("the write-ahead log cannot be copied now: %s", error)
            self._copied.set()
            self._wanted.clear()  # only now, so that closing in between is seen above

    def _copy(self) -> None:
        with contextlib.closing(self._database.connect()) as connection:
            done = 0
            for _ in range(_PASSES):
                _, _, copied = connection.execute(_COPY).fetchone()
                if copied - done < _SMALL or self._closing.is_set():
                    return
                done = copied
