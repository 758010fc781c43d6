"""What can go wrong with the store, by what can be done about it."""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """Any trouble with the store; the message is one line for people."""


class StoreUnusable(StoreError):  # noqa: N818 - says what is wrong, as `FileExists` would
    """The file cannot be opened, is not a store, or its core is damaged. Trying again does not help."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot use {path} as the store: {reason}")
        self.path = path
        self.reason = reason


class StoreTooNew(StoreUnusable):
    """A later release wrote this store; this one would not understand it."""

    def __init__(self, path: Path, found: int, supported: int) -> None:
        super().__init__(path, f"its schema version is {found}, this release reads up to {supported}; use a newer one")
        self.found = found
        self.supported = supported


class StoreUnavailable(StoreError):  # noqa: N818 - says what is wrong
    """The store cannot commit or read just now (disk full, I/O error, locked). Trying again later may help."""


class JournalUnavailable(StoreUnavailable):
    """A batch could not be journaled and must not be acknowledged; the client should send it again."""


class UnknownRecord(StoreError):  # noqa: N818 - says what is wrong
    """A run or verdict that something refers to is not in the store."""
