"""One mistake of a user, with the place where it stands and a hint how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: an error stops, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mistake: where, what, and how to mend it. `code` is stable (SV001 …) and documented."""

    position: Position
    code: str
    message: str
    hint: str = ""
    level: Level = Level.ERROR
    width: int = 1
    """How many characters the caret underlines."""


class Problems:
    """Collects every mistake of a file, so that all are reported and not only the first."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def add(self, diagnostic: Diagnostic) -> None:
        """Keep one more."""
        self._found.append(diagnostic)

    def error(self, position: Position, code: str, message: str, hint: str = "", width: int = 1) -> None:
        """Keep one more error."""
        self.add(Diagnostic(position, code, message, hint, Level.ERROR, width))

    def warn(self, position: Position, code: str, message: str, hint: str = "", width: int = 1) -> None:
        """Keep one more warning."""
        self.add(Diagnostic(position, code, message, hint, Level.WARNING, width))

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Return all in order of their place in the file."""
        return tuple(sorted(self._found, key=lambda d: (d.position, d.code, d.message)))

    @property
    def fatal(self) -> bool:
        """Tell whether there is an error among them."""
        return any(d.level is Level.ERROR for d in self._found)
