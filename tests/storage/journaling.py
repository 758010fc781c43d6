"""Journals that tests fill, look into and let a power failure or somebody's copy take something from."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from spanverdict.storage.segments import HEAD_BYTES
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import GroupLimits

IN_SEGMENTS = GroupLimits(rows_below=0)
IN_ROWS = GroupLimits(rows_below=1 << 40)
SIZES = (30, 0, 7, 55, 1, 20)


def payload(batch_id: int) -> bytes:
    return random.Random(batch_id).randbytes(SIZES[batch_id % len(SIZES)])


def fill(store: Store, *groups: int) -> None:
    """Journal groups of so many batches each."""
    for count in groups:
        first = store.journal.bounds().last + 1
        store.journal.append_all([payload(n) for n in range(first, first + count)], first, here=True).result(10)


def held(store: Store) -> list[int]:
    """Return which batches are there; whatever is, is as it was."""
    batches = list(store.journal.read())
    assert all(batch.payload == payload(batch.id) for batch in batches)
    return [batch.id for batch in batches]


def going_on(store: Store) -> list[int]:
    """Return which batches are there; all others are told of, and the journal goes on behind them."""
    bounds, found = store.journal.bounds(), held(store)
    damaged = {damage.batch_id for damage in store.journal.damaged}
    assert {*found} | damaged == set(range(1, bounds.last + 1))
    fill(store, 1)
    assert held(store) == [*found, bounds.last + 1]
    return found


def segments(path: Path) -> list[Path]:
    return sorted(path.with_name(f"{path.name}-segments").iterdir())


def in_rows(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT id FROM batches WHERE segment IS NULL")]
    finally:
        connection.close()


def records(path: Path) -> dict[int, range]:
    """Return where in its segment the record of each batch stands, by the store's rows."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT id, start, size FROM batches WHERE segment IS NOT NULL")
        return {number: range(start, start + HEAD_BYTES + size) for number, start, size in rows}


def file_of(path: Path) -> bytes:
    """Return the store's file as it would be with all that is in its log."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.serialize()


def lose_rows(path: Path, earlier: bytes) -> None:
    """Let the store's file be what it was earlier, as after a power failure; the segments stay."""
    path.write_bytes(earlier)
    for name in ("wal", "shm"):
        path.with_name(f"{path.name}-{name}").unlink(missing_ok=True)
