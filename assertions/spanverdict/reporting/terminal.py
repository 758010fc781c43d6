"""Lines in colour and at a width. Loaded only where somebody looks at a terminal, because rich is slow to import."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from spanverdict.reporting.text import Line

STYLES = {
    "passed": "green",
    "failed": "bold red",
    "inconclusive": "bold yellow",
    "errored": "bold magenta",
    "skipped": "dim",
    "warned": "yellow",
    "strong": "bold",
    "dim": "dim",
}
_NARROWEST = 20
"""Fewer columns than these for the text, and hanging indents are given up."""


def painted(lines: Iterable[Line], *, colour: bool, width: int | None) -> str:
    """Write the lines, wrapped at word ends when there is a width, with escape codes only when there is colour."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=width or 80)
    texts = (text for line in lines for text in _wrapped(line, console, width))
    if not colour:
        return "".join(f"{text.plain.rstrip()}\n" for text in texts)
    with console.capture() as capture:
        for text in texts:
            text.rstrip()
            console.print(text, soft_wrap=True, markup=False, highlight=False, emoji=False)
    return capture.get()


def _wrapped(line: Line, console: Console, width: int | None) -> Iterator[Text]:
    text = Text.assemble(*((piece.text, STYLES.get(piece.tone, "")) for piece in line.pieces))
    if width is None or cell_len(text.plain) <= width:
        yield text
        return
    hang = line.hang if width - line.hang >= _NARROWEST else 2
    start, rest = text.divide([_first_break(text.plain, hang, width)])
    yield start
    rest_text = Text(" " * hang)
    for piece in rest.wrap(console, max(width - hang, 1)):
        yield rest_text + piece


def _first_break(plain: str, hang: int, width: int) -> int:
    """Find where the first line ends: after the last space that still fits, else at the width."""
    fitting = len(plain)
    while cell_len(plain[:fitting]) > width:
        fitting -= 1
    space = plain.rfind(" ", hang, fitting + 1)
    return space + 1 if space > hang else max(fitting, 1)
