"""Connections to the one SQLite file: how they are set up, and a pool of those that only read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from spanverdict.storage.errors import StoreUnavailable

Synchronous: TypeAlias = Literal["FULL", "NORMAL", "OFF"]
Access: TypeAlias = Literal["rw", "ro", "immutable"]
"""To read and write; to read beside whoever writes; to read what nobody can be writing, without locks."""

PAGE_BYTES = 16 * 1024
"""A batch of spans is large beside a row of a business table; bigger pages make shorter overflow chains."""
CHECKPOINT_BYTES = 16 * 1024 * 1024
"""How large the write-ahead log grows before its pages are copied home: more is faster, but stalls a commit longer."""
BUSY_SECONDS = 10.0
"""How long to wait for another process that is writing."""

_PARAMETERS: Final[Mapping[Access, str]] = MappingProxyType(
    {"rw": "mode=rw", "ro": "mode=ro", "immutable": "mode=ro&immutable=1"}
)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the store is and how surely it writes."""

    path: Path
    synchronous: Synchronous = "FULL"
    access: Access = "rw"

    def connect(self) -> sqlite3.Connection:
        """Open the existing file; never makes a new one, so that a store deleted under us is noticed."""
        uri = f"{self.path.absolute().as_uri()}?{_PARAMETERS[self.access]}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.execute(f"PRAGMA synchronous = {self.synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BYTES // PAGE_BYTES}")
            connection.execute(f"PRAGMA journal_size_limit = {4 * CHECKPOINT_BYTES}")
            connection.execute("PRAGMA foreign_keys = ON")
        except UnicodeDecodeError as error:  # SQLite quotes what is damaged
            connection.close()
            raise sqlite3.DatabaseError("malformed database schema") from error
        except BaseException:
            connection.close()
            raise
        return connection


class Readers:
    """Connections that only read, lent to one caller at a time and kept for the next. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; give its rows up before the block ends.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error

    def close(self) -> None:
        """Close the idle connections; those still lent close when they come back."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._idle:
                return self._idle.pop()
        connection = self._database.connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)
