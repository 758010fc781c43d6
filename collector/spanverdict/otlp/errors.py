"""What can be wrong with OTLP that somebody sent."""

from __future__ import annotations


class Undecodable(ValueError):  # noqa: N818 - it says what the data is, as the statuses it becomes do
    """The bytes are not OTLP; the message says why, in a client's words."""


class UnreadableFile(ValueError):  # noqa: N818 - likewise
    """A file cannot be read as OTLP; `line` counts from 1 and is None where lines mean nothing."""

    def __init__(self, path: str, line: int | None, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}")
        self.path = path
        self.line = line
        self.message = message
