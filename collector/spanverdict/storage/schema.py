"""The tables of the store, version by version, and the check that a file holds them."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spanverdict.storage import history, samples
from spanverdict.storage.brokenlog import lost_commits
from spanverdict.storage.database import BUSY_SECONDS, PAGE_BYTES, Database
from spanverdict.storage.errors import StoreTooNew, StoreUnusable
from spanverdict.storage.journalstate import initial_state

APPLICATION_ID = 0x53505644
"""`SPVD`, written into the file's header: a store is told from other programs' databases."""

_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Migration:
    """The statements that bring a store from the version before to `version`."""

    version: int
    statements: tuple[str, ...]


_TABLES_OF_VERSION_1 = (
    # The payload stands last: whatever else is asked of a row is read without following its pages.
    """CREATE TABLE batches (
        id INTEGER PRIMARY KEY,
        received_unix_nano INTEGER NOT NULL,
        size INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        payload BLOB NOT NULL
    )""",
    # One row. Batch ids are dense between its bounds, so a batch that is lost is a batch that is missed.
    """CREATE TABLE journal_state (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        first_batch INTEGER NOT NULL,
        next_batch INTEGER NOT NULL,
        stored_bytes INTEGER NOT NULL,
        last_received_unix_nano INTEGER NOT NULL,
        crc INTEGER NOT NULL
    )""",
    initial_state(),
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        declared INTEGER NOT NULL,
        expected_requests INTEGER,
        labels TEXT NOT NULL,
        flows TEXT NOT NULL,
        first_batch INTEGER NOT NULL,
        last_batch INTEGER NOT NULL,
        judged_through INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL CHECK (state IN ('open', 'ended', 'judged')),
        created_unix_nano INTEGER NOT NULL,
        updated_unix_nano INTEGER NOT NULL,
        ended_unix_nano INTEGER
    )""",
    "CREATE INDEX runs_by_age ON runs (created_unix_nano, id)",
    "CREATE INDEX runs_unfinished ON runs (created_unix_nano, id) WHERE state <> 'judged'",
    """CREATE TABLE run_traces (
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        trace_id TEXT NOT NULL,
        PRIMARY KEY (run_id, trace_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE verdicts (
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        revision INTEGER NOT NULL,
        flows TEXT NOT NULL,
        outcome TEXT NOT NULL,
        complete INTEGER NOT NULL,
        document TEXT NOT NULL,
        created_unix_nano INTEGER NOT NULL,
        alerts_decided INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (run_id, revision)
    )""",
    "CREATE INDEX verdicts_undecided ON verdicts (created_unix_nano) WHERE alerts_decided = 0",
    """CREATE TABLE deliveries (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        receiver TEXT NOT NULL,
        group_key TEXT NOT NULL,
        run_id TEXT NOT NULL,
        body BLOB NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'given_up')),
        attempts INTEGER NOT NULL DEFAULT 0,
        created_unix_nano INTEGER NOT NULL,
        next_attempt_unix_nano INTEGER NOT NULL,
        finished_unix_nano INTEGER,
        error TEXT NOT NULL DEFAULT ''
    )""",
    "CREATE INDEX deliveries_pending ON deliveries (receiver, group_key, seq) WHERE state = 'pending'",
    "CREATE INDEX deliveries_by_state ON deliveries (state, finished_unix_nano)",
    """CREATE TABLE alert_states (
        environment TEXT NOT NULL,
        branch TEXT NOT NULL,
        flow TEXT NOT NULL,
        rule TEXT NOT NULL,
        rule_group TEXT NOT NULL,
        firing INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        since_unix_nano INTEGER NOT NULL,
        updated_unix_nano INTEGER NOT NULL,
        run_id TEXT NOT NULL,
        labels TEXT NOT NULL,
        annotations TEXT NOT NULL,
        PRIMARY KEY (environment, branch, flow, rule, rule_group)
    ) WITHOUT ROWID""",
)

_UNTAGGED_SPANS = "ALTER TABLE runs ADD COLUMN takes_untagged INTEGER NOT NULL DEFAULT 0"

_SEGMENTS = (
    # A payload that stands in a segment is empty here. Both columns are empty where the payload is not.
    "ALTER TABLE batches ADD COLUMN segment INTEGER",
    "ALTER TABLE batches ADD COLUMN start INTEGER",
    "ALTER TABLE journal_state ADD COLUMN store_key INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE journal_state ADD COLUMN segment INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE journal_state ADD COLUMN segment_end INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE journal_state ADD COLUMN segment_bytes INTEGER NOT NULL DEFAULT 0",
)

MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, _TABLES_OF_VERSION_1),
    Migration(2, (_UNTAGGED_SPANS,)),
    Migration(3, (*samples.TABLES, *history.TABLES)),
    Migration(4, ()),  # payloads may be gzip, which readers of earlier versions do not expect
    Migration(5, _SEGMENTS),
)
"""Every version of the schema, oldest first. A released one is never edited; a change is a new one."""


def prepare(database: Database, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Make the file a store of the latest version: create it, check it, migrate it.

    Returns how many commits are lost with a damaged write-ahead log.

    Raises:
        StoreTooNew: a later release wrote it.
        StoreUnusable: it cannot be opened or written, or is something else.
    """
    path = database.path
    try:
        _make_file(path)
        connection = database.connect()
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(path, _reason(path, error)) from error
    try:
        _check_identity(path, connection, migrations)
        _enable_write_ahead_log(path, connection)
        lost = lost_commits(path, connection)
        migrate(connection, migrations)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(path, _reason(path, error)) from error
    finally:
        connection.close()
    return lost


def readable(path: Path) -> Database:
    """Find how a store can be read without changing it; whoever writes it meanwhile is not disturbed.

    Raises:
        StoreTooNew: a later release wrote it.
        StoreUnusable: it is not there, is no store, or an earlier release wrote it.
    """
    if not path.is_file():
        raise StoreUnusable(path, "it is a directory" if path.is_dir() else "there is no such file")
    try:
        return _readable(Database(path, access="ro"))
    except sqlite3.OperationalError as error:
        if _may_be_written(path):
            raise StoreUnusable(path, _reason(path, error)) from error
    except sqlite3.Error as error:
        raise StoreUnusable(path, _reason(path, error)) from error
    try:
        return _readable(Database(path, access="immutable"))
    except sqlite3.Error as error:
        raise StoreUnusable(path, _reason(path, error)) from error


def _may_be_written(path: Path) -> bool:
    """Whoever writes to the store has its log beside it; without one, and with no room for one, it is at rest."""
    return path.with_name(f"{path.name}-wal").exists() or os.access(path.absolute().parent, os.W_OK)


def _readable(database: Database) -> Database:
    connection = database.connect()
    try:
        _check_identity(database.path, connection, MIGRATIONS)
        found, latest = _version(connection), MIGRATIONS[-1].version
    finally:
        connection.close()
    if found == 0:
        raise StoreUnusable(database.path, "it is an empty file")
    if found < latest:
        reason = f"its schema version is {found}, which `serve` and `run` bring to {latest} when they open it"
        raise StoreUnusable(database.path, reason)
    return database


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Apply what the store has not seen yet, all of it or nothing.

    Takes the write lock even when there is nothing to do, so an unwritable store is found now.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in migrations:
            if migration.version > _version(connection):
                _apply(connection, migration)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    for statement in migration.statements:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {migration.version:d}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")


def _make_file(path: Path) -> None:
    # Spans may hold what only their owner should see; SQLite gives its side files the same mode. A file that is there
    # is not opened: when it is closed, the locks on it go that SQLite holds for all of this process.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _check_identity(path: Path, connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    found, latest = _version(connection), migrations[-1].version
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreUnusable(path, "it is a database of another program")
    if found > latest:
        raise StoreTooNew(path, found, latest)


def _enable_write_ahead_log(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    if _mode_after_asking(connection) != "wal":
        raise StoreUnusable(path, "its file system does not support SQLite's write-ahead log")


def _mode_after_asking(connection: sqlite3.Connection) -> str:
    """Ask for a write-ahead log and return what there is; SQLite does not wait for others that ask at the same time."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return str(mode)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _reason(path: Path, error: OSError | sqlite3.Error) -> str:
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return "it is a directory"
    if isinstance(error, FileNotFoundError):
        return f"the directory {path.parent} does not exist"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
