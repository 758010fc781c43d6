"""Opening a store: what is made, migrated, refused, and with which words."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from spanverdict.storage.database import Database
from spanverdict.storage.errors import StoreTooNew, StoreUnavailable, StoreUnusable
from spanverdict.storage.schema import MIGRATIONS, Migration, prepare
from spanverdict.storage.store import Store


def raw(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


def test_a_new_store_is_made_readable_by_its_owner_only(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.db") as store:
        store.probe()
        modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in tmp_path.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_a_path_with_odd_characters_is_taken_literally(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1? ünï"
    folder.mkdir()
    Store.open(str(folder / "a b.db")).close()
    assert (folder / "a b.db").exists()


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(path).close()
    raw(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"store\.db as the store: its schema version is 99, this release reads up"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    raw(path, "CREATE TABLE theirs (x)", "PRAGMA user_version = 1")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="a database of another program"):
        Store.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: p.write_text("these are traces, not a database. " * 40), "file is not a database"),
        (lambda p: p.mkdir(), "it is a directory"),
        (lambda p: p.symlink_to("/dev/full"), "."),
    ],
    ids=["text", "directory", "device"],
)
def test_what_is_not_a_store_is_refused_with_its_path_and_reason(tmp_path: Path, make, reason: str) -> None:
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(StoreUnusable, match=reason) as caught:
        Store.open(path)
    assert str(caught.value).startswith(f"cannot use {path} as the store: ")
    assert "\n" not in str(caught.value)


def test_a_schema_that_is_no_text_any_more_is_refused_on_one_line(tmp_path: Path) -> None:
    """SQLite quotes it, and Python cannot decode the quotation."""
    path = tmp_path / "store.db"
    Store.open(path).close()
    path.write_bytes(
        path.read_bytes()
        .replace(b"CREATE TABLE deliveries", b"CREATE TABLE \xa0eliveries", 1)
        .replace(b"tabledeliveriesdeliveries", b"tabled\xa0liveriesd\xa0liveries", 1)
    )
    for opened in (Store.open, Store.read_only):
        with pytest.raises(StoreUnusable, match="malformed") as caught:
            opened(path)
        assert "\n" not in str(caught.value)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=f"the directory {tmp_path / 'no'} does not exist"):
        Store.open(tmp_path / "no" / "store.db")


def test_a_directory_in_which_nothing_can_be_made_is_refused() -> None:
    with pytest.raises(StoreUnusable, match=r"cannot use /proc/store\.db as the store"):
        Store.open("/proc/store.db")


def test_a_store_that_another_process_keeps_locked_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("spanverdict.storage.database.BUSY_SECONDS", 0.05)
    path = tmp_path / "store.db"
    Store.open(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreUnusable, match="locked"):
            Store.open(path)
    finally:
        other.close()


def test_a_store_deleted_while_open_is_not_silently_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        for file in tmp_path.iterdir():
            file.unlink()
        store._readers.close()
        store._readers._closed = False
        with pytest.raises(StoreUnavailable, match="unable to open"):
            store.journal.bounds()
    assert not path.exists()


NEXT = (
    *MIGRATIONS,
    Migration(
        len(MIGRATIONS) + 1,
        ("ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'", "CREATE TABLE extra (x INTEGER)"),
    ),
)


def test_an_older_store_is_migrated_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.journal.append(b"kept", 5).result(10)
        store.runs.touch("run", 1, 1, 5)
    prepare(Database(path), NEXT)
    prepare(Database(path), NEXT)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT id, colour FROM runs").fetchall() == [("run", "blue")]
    assert connection.execute("SELECT payload FROM batches").fetchall() == [(b"kept",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    connection.close()
    with pytest.raises(StoreTooNew):
        Store.open(path)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(path).close()
    broken = (*NEXT, Migration(len(NEXT) + 1, ("CREATE TABLE more (x)", "this is not SQL")))
    with pytest.raises(StoreUnusable, match="syntax error"):
        prepare(Database(path), broken)
    with Store.open(path) as store:
        assert store.journal.bounds() == (1, 0)


def test_migrations_count_up_from_one() -> None:
    assert [m.version for m in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


MAKE_STORES = """
import sys
from spanverdict.storage.store import Store
print("ready", flush=True)
for line in sys.stdin:
    Store.open(line.rstrip()).close()
    print("made", flush=True)
"""


def test_processes_that_open_a_new_store_at_the_same_time_agree(tmp_path: Path) -> None:
    command, pipe = [sys.executable, "-c", MAKE_STORES], subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)]
    for number in range(25):
        assert [child.stdout.readline() for child in children if child.stdout] == [
            "made\n" if number else "ready\n"
        ] * 4
        for child in children:
            assert child.stdin is not None
            child.stdin.write(f"{tmp_path}/{number}.db\n")
            child.stdin.flush()
    assert [(child.communicate(timeout=30)[1], child.returncode) for child in children] == [("", 0)] * 4


def test_probing_tells_whether_the_store_takes_writes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("spanverdict.storage.database.BUSY_SECONDS", 0.05)
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.probe()
        assert store.problem is None
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.probe()
        assert store.problem == "database is locked"
        other.close()
        store.probe()
        assert store.problem is None


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_store_is_read_while_it_is_written_and_the_writer_does_not_notice(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as writing:
        writing.journal.append(b"one", 5).result(10)
        with Store.read_only(path) as reading:
            assert [batch.payload for batch in reading.journal.read()] == [b"one"]
            writing.journal.append(b"two", 6).result(10)
            writing.runs.touch("r", 1, 2, 7)
            assert [batch.payload for batch in reading.journal.read()] == [b"one", b"two"]
            assert reading.runs.get("r") == writing.runs.get("r")
        writing.probe()
        assert [batch.id for batch in writing.journal.read()] == [1, 2]


def test_what_is_opened_for_reading_refuses_to_write_and_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(path).close()
    before = path.read_bytes()
    with Store.read_only(path) as store:
        with pytest.raises(StoreUnavailable):
            store.runs.touch("r", 1, 1, 5)
        with pytest.raises(StoreUnavailable):
            store.journal.append(b"x", 5).result(10)
    assert path.read_bytes() == before


def test_what_a_killed_process_had_committed_is_read_and_the_store_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    script = """
import os, sys
from spanverdict.storage.store import Store
store = Store.open(sys.argv[1])
store.journal.append(b"survives", 1).result(10)
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=30)
    before = {name: data for name, data in files(tmp_path).items() if not name.endswith("-shm")}
    assert before["store.db-wal"]
    with Store.read_only(path) as store:
        assert [batch.payload for batch in store.journal.read()] == [b"survives"]
    assert {name: data for name, data in files(tmp_path).items() if not name.endswith("-shm")} == before


def test_a_store_at_rest_is_read_from_where_nothing_can_be_written(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.journal.append(b"kept", 1).result(10)
    connect = Database.connect

    def refuses(database: Database) -> sqlite3.Connection:
        # Root may write anywhere, so what SQLite says of a read-only file system is said here.
        if database.access == "ro":
            raise sqlite3.OperationalError("unable to open database file")
        return connect(database)

    monkeypatch.setattr(Database, "connect", refuses)
    monkeypatch.setattr("spanverdict.storage.schema.os.access", lambda *_: False)
    with Store.read_only(path) as store:
        assert [batch.payload for batch in store.journal.read()] == [b"kept"]
    assert list(files(tmp_path)) == ["store.db"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "there is no such file"),
        (lambda p: p.mkdir(), "it is a directory"),
        (lambda p: p.write_bytes(b""), "it is an empty file"),
        (lambda p: p.write_text("these are traces, not a database. " * 40), "file is not a database"),
        (lambda p: raw(p, "CREATE TABLE theirs (x)"), "a database of another program"),
    ],
    ids=["nothing", "directory", "empty", "text", "another's"],
)
def test_what_is_no_store_cannot_be_opened_to_read_and_none_is_made(tmp_path: Path, make, reason: str) -> None:
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(StoreUnusable, match=reason) as caught:
        Store.read_only(path)
    assert str(caught.value).startswith(f"cannot use {path} as the store: ")
    assert [file.name for file in tmp_path.iterdir()] == (["thing"] if path.exists() else [])


def test_a_store_of_another_release_is_not_read_wrongly(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(path).close()
    raw(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew):
        Store.read_only(path)
    raw(path, "PRAGMA user_version = 1")
    with pytest.raises(StoreUnusable, match="its schema version is 1, which `serve` and `run` bring to"):
        Store.read_only(path)


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    prepare(Database(path), MIGRATIONS[:1])
    raw(path, "INSERT INTO runs VALUES ('old', 0, NULL, '{}', '[]', 1, 1, 0, 'open', 5, 5, NULL)")
    with Store.open(path) as store:
        record = store.runs.get("old")
    assert record is not None
    assert not record.takes_untagged


def test_a_store_that_is_opened_again_here_stays_in_use_for_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(path).close()
    read_all = "SELECT * FROM batches"
    with closing(sqlite3.connect(path)) as using:
        using.execute(read_all).fetchall()
        Store.open(path).close()
        other = f"import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute({read_all!r}).fetchall(); c.close()"
        subprocess.run([sys.executable, "-c", other, path], check=True)
        assert path.with_name("store.db-wal").exists(), "whoever closes it last deletes its log"
