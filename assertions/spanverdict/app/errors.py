"""What ends a command early, as one line for its user and an exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command tells the shell."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    LINT = 3
    NO_VERDICT = 4
    """No data, incomplete or inconclusive."""
    INTERNAL = 5
    INTERRUPTED = 130


class CommandError(Exception):
    """The command cannot go on. The message is one line and names what to change."""

    def __init__(self, message: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.code = code
