"""The ledger's book: which payments were decided how. One SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def opened(path: Path) -> sqlite3.Connection:
    """Open the book at `path`, created when it is not there; the caller closes it."""
    book = sqlite3.connect(path)
    book.execute("PRAGMA journal_mode = WAL")
    book.execute("PRAGMA synchronous = NORMAL")
    book.execute("CREATE TABLE IF NOT EXISTS entries (payment TEXT PRIMARY KEY, approved INTEGER, score REAL)")
    return book


def enter(book: sqlite3.Connection, decision: dict[str, Any]) -> None:
    """Enter one decision; a message that is delivered twice is entered once."""
    with book:
        entry = (decision["id"], decision["approved"], decision["score"])
        book.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?)", entry)


def count(path: Path) -> int:
    """Return how many decisions stand in the book at `path`."""
    with closing(opened(path)) as book:
        (entries,) = book.execute("SELECT count(*) FROM entries").fetchone()
        return int(entries)
