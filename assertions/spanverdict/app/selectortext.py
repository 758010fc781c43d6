"""A selector from the command line: the text itself, `@FILE`, or `-` for standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Final

from spanverdict.app.errors import CommandError
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import LINE_BREAK, Position, Problems
from spanverdict.diagnostics.render import render
from spanverdict.selectors import Selector, SelectorError, parse

STANDARD_INPUT: Final = "-"
_MOST_BYTES: Final = 1 << 16
"""More than any selector has; what is longer is refused as a selector, not read to its end."""


def read_selector(argument: str) -> Selector:
    """Return the selector that an argument names.

    Raises:
        CommandError: it is no selector (the place was shown on standard error), or its file cannot be read.
    """
    if argument == STANDARD_INPUT:
        return parse_shown(_text(sys.stdin.buffer, "standard input"), "<stdin>")
    if argument.startswith("@"):
        path = argument[1:]
        try:
            with Path(path).open("rb") as file:
                return parse_shown(_text(file, path), path)
        except OSError as error:
            raise CommandError(f"cannot read the selector file {path}: {error.strerror}") from None
    return parse_shown(argument, "selector")


def _text(file: IO[bytes], name: str) -> str:
    try:
        return file.read(_MOST_BYTES).decode("utf-8-sig").rstrip()
    except UnicodeDecodeError:
        raise CommandError(f"the selector in {name} is not UTF-8") from None


def parse_shown(text: str, name: str) -> Selector:
    """Return the selector; a mistake is shown on standard error, with a caret under it."""
    try:
        return parse(text)
    except SelectorError as error:
        before = LINE_BREAK.split(text[: error.offset])
        place = Position(name, len(before), len(before[-1]) + 1)
        problems = Problems()
        problems.keep_source(name, text)
        problems.error(place, codes.SELECTOR, error.message, error.hint, max(1, error.length))
        print(render(problems.sorted()[0]), file=sys.stderr)  # noqa: T201 - diagnostics go to standard error
        raise CommandError("the selector cannot be used") from None
