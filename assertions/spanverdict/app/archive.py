"""What is known of runs of the past."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.rundocuments import flaky_document, page_of, run_document
from spanverdict.storage.errors import StoreError
from spanverdict.storage.store import Store
from spanverdict.web.backend import Asked, Document

_PAGE: Final = 100


class Archive(Protocol):
    """Where runs are looked up. Every method may raise `CommandError`."""

    def runs(self, asked: Asked, limit: int) -> list[Document]:
        """Return runs, newest first; all for a limit of 0."""
        ...

    def run(self, run_id: str) -> Document | None:
        """Return a run with its last verdict at `verdict`; None when it is unknown."""
        ...

    def flaky(self, asked: Asked, by: Sequence[str]) -> Document:
        """Return the flaky rules, at `rules`."""
        ...


class StoreArchive:
    """The runs of a store, which another process may be writing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def runs(self, asked: Asked, limit: int) -> list[Document]:
        """Return runs, newest first."""
        found: list[Document] = []
        before: str | None = None
        while not found or before is not None:
            page = page_of(self._store.runs, limit or _PAGE, before, asked)
            found += page["runs"]
            before = page["next"] if not limit else None
            if not page["runs"]:
                break
        return found

    def run(self, run_id: str) -> Document | None:
        """Return a run with its last verdict."""
        record = self._store.runs.get(run_id)
        if record is None:
            return None
        verdict = self._store.runs.verdict(run_id)
        return run_document(record, verdict) | {"verdict": None if verdict is None else json.loads(verdict.document)}

    def flaky(self, asked: Asked, by: Sequence[str]) -> Document:
        """Return the flaky rules."""
        return flaky_document(self._store.history, asked, by)


def open_store(path: Path, *, write: bool = False) -> Store:
    """Open a store that is there; raises `CommandError`."""
    try:
        if not write or not path.is_file():
            return Store.read_only(path)
        return Store.open(path)
    except StoreError as error:
        raise CommandError(str(error), ExitCode.INTERNAL) from None
