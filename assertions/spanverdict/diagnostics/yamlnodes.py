"""What a YAML file holds, every node with its place; see `yamldoc` for the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from spanverdict.diagnostics.diagnostic import Position
from spanverdict.diagnostics.yamloffsets import place_of

Plain: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """Something in a YAML file; its position is where it begins."""

    position: Position

    @property
    def width(self) -> int:
        """How many characters of its first line a caret should underline."""
        return 1


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """A single value."""

    value: Plain
    """As the core schema of YAML 1.2 reads it: `on`, `NO` and `12:30:45` are text."""
    text: str
    """The decoded text, whatever the schema makes of it: `1.50` keeps its zero."""
    quoted: bool
    """Quoted or a block scalar, so text by the author's will."""
    raw: str = field(default="", repr=False, compare=False)
    """As it stands in the file, quotes and indicators included."""

    @property
    def width(self) -> int:
        """How many characters of its first line a caret should underline."""
        return max(1, len(self.raw.splitlines()[0]) if self.raw else 1)

    def at(self, offset: int) -> Position:
        """Return the place in the file of character `offset` of `text`; its end for a larger one."""
        lines_down, column = place_of(self.raw, self.text, max(0, offset))
        start = self.position
        first = start.column if lines_down == 0 else 1
        return Position(start.file, start.line + lines_down, first + column)


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping(Node):
    """Keys with their values, in the order of the file; no key stands twice."""

    entries: tuple[tuple[Scalar, Node], ...]

    def get(self, key: str) -> Node | None:
        """Return the value of `key`, None when it is not there."""
        return next((value for name, value in self.entries if name.text == key), None)

    def key(self, key: str) -> Scalar | None:
        """Return the key itself, for its place."""
        return next((name for name, _ in self.entries if name.text == key), None)
