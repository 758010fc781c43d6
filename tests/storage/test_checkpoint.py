"""The write-ahead log is copied home beside the commits: it stays small, and nothing in it is missed."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from spanverdict.storage import checkpoint
from spanverdict.storage.checkpoint import Checkpointer
from spanverdict.storage.database import Database
from spanverdict.storage.store import Store
from storage.journaling import IN_ROWS

PAYLOAD = b"p" * 200_000


def test_the_log_stays_small_while_much_is_written_and_all_of_it_is_there(tmp_path: Path) -> None:
    """Twice the limit, as commits go on while a copy is being made: 240 MB are written here, however busy the machine."""
    path, log = tmp_path / "store.sqlite", tmp_path / "store.sqlite-wal"
    end = time.monotonic() + 60
    with Store.open(path, synchronous="OFF", limits=IN_ROWS) as store:
        for _ in range(60):
            store.journal.append_all([PAYLOAD] * 20, 1).result(30)
        while path.stat().st_size < 150_000_000:
            assert time.monotonic() < end, "nothing is copied home"
            store.journal.append_all([b"p"], 1).result(30)
        assert store.problem is None
        assert log.stat().st_size < 2 * checkpoint.LOG_LIMIT_BYTES, "it never shrinks, so it was never larger"
        written = store.journal.bounds().last
        assert [batch.id for batch in store.journal.read()] == list(range(1, written + 1))
    with Store.open(path) as store:
        assert store.journal.bounds() == (1, written)


def test_a_log_that_cannot_be_copied_costs_no_commit(tmp_path: Path, monkeypatch, caplog) -> None:
    path = tmp_path / "store.sqlite"
    with Store.open(path, synchronous="OFF", limits=IN_ROWS) as store:

        def broken(self: Checkpointer) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(Checkpointer, "_copy", broken)
        for _ in range(30):
            store.journal.append_all([PAYLOAD] * 20, 1).result(30)
        assert store.problem is None
        assert store.journal.bounds().last == 600
    assert "cannot be copied now: disk I/O error" in caplog.text


def test_little_starts_no_thread_and_closing_twice_is_fine(tmp_path: Path) -> None:
    Store.open(tmp_path / "store.sqlite").close()
    database = Database(tmp_path / "store.sqlite")
    connection = database.connect()
    checkpointer = Checkpointer(database, after_bytes=100)
    checkpointer.prepare(connection)
    checkpointer.wrote(connection, 99)
    assert checkpointer._thread is None
    checkpointer.wrote(connection, 1)
    assert checkpointer._copied.wait(10)
    checkpointer.close()
    checkpointer.close()
    connection.close()


def test_the_writer_copies_the_rest_and_counts_anew(tmp_path: Path) -> None:
    Store.open(tmp_path / "store.sqlite").close()
    database = Database(tmp_path / "store.sqlite")
    connection = database.connect()
    checkpointer = Checkpointer(database, after_bytes=1)
    checkpointer.wrote(connection, 1)
    assert checkpointer._copied.wait(10)
    checkpointer.wrote(connection, 10**9)
    assert checkpointer._written == 0
    assert not checkpointer._copied.is_set()
    checkpointer.close()
    connection.close()
