"""One mistake of a user, with the place where it stands and a hint how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

LINE_BREAK = re.compile(r"\r\n|\r|\n")
"""What ends a line of a rule file; the other line ends of Unicode are not allowed there."""

LONGEST_MESSAGE = 500
"""Characters of a message or a hint."""


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
    excerpt: str = ""
    """The line of the file, for those who show it; empty when it is not known."""


class Problems:
    """Collects every mistake of a file, so that all are reported and not only the first."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []
        self._sources: dict[str, str] = {}

    def keep_source(self, file: str, text: str) -> None:
        """Remember what a file holds, so that diagnostics about it can show the line."""
        self._sources[file] = text

    @property
    def sources(self) -> Mapping[str, str]:
        """What the files hold that were read so far."""
        return self._sources

    def add(self, diagnostic: Diagnostic) -> None:
        """Keep one more, its words cut where they quote too much of a file."""
        message, hint = shorten(diagnostic.message), shorten(diagnostic.hint)
        self._found.append(replace(diagnostic, message=message, hint=hint))

    def extend(self, other: Problems) -> None:
        """Keep all that `other` has collected."""
        self._found.extend(other._found)
        self._sources.update(other._sources)

    def error(self, position: Position, code: str, message: str, hint: str = "", width: int = 1) -> None:
        """Keep one more error."""
        self.add(Diagnostic(position, code, message, hint, Level.ERROR, width))

    def warn(self, position: Position, code: str, message: str, hint: str = "", width: int = 1) -> None:
        """Keep one more warning."""
        self.add(Diagnostic(position, code, message, hint, Level.WARNING, width))

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Return all in order of their place in the file, each once and with its line."""
        lines = {file: LINE_BREAK.split(text) for file, text in self._sources.items()}
        found = {replace(d, excerpt=d.excerpt or _line(lines, d.position)) for d in self._found}
        return tuple(sorted(found, key=lambda d: (d.position, d.code, d.message, d.hint)))

    @property
    def fatal(self) -> bool:
        """Tell whether there is an error among them."""
        return any(d.level is Level.ERROR for d in self._found)


def shorten(text: str) -> str:
    """Return the text, its middle left out when it is longer than `LONGEST_MESSAGE`."""
    half = LONGEST_MESSAGE // 2
    return text if len(text) <= LONGEST_MESSAGE else text[:half] + "…" + text[1 - half :]


def _line(lines: Mapping[str, list[str]], position: Position) -> str:
    of_file = lines.get(position.file, [])
    return of_file[position.line - 1] if position.line <= len(of_file) else ""
