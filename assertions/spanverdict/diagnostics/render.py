"""Diagnostics for people and for machines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final, TypedDict

from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.diagnostic import Diagnostic, Level

TAB_STOP: Final = 4
LONGEST_LINE: Final = 160
"""Columns of a source line that are shown; a longer one is cut around the caret."""

_BEFORE: Final = 60
"""Characters kept before the caret when a line is cut."""
_WIDE: Final = frozenset("WF")


class DiagnosticData(TypedDict):
    """A diagnostic as plain data; the keys are part of the output format and only ever added to."""

    file: str
    line: int
    column: int
    width: int
    level: str
    code: str
    title: str
    message: str
    hint: str


def render(diagnostic: Diagnostic) -> str:
    """Return a diagnostic as lines of text: place and message, the line with a caret, the hint.

    Control characters are shown as escapes, so that no file can write to the terminal.
    """
    head = f"{diagnostic.position}: {diagnostic.level}[{diagnostic.code}]: {diagnostic.message}"
    lines = [_visible(head)]
    if diagnostic.excerpt.strip():
        lines += [f"  {line}".rstrip() for line in _excerpt(diagnostic)]
    if diagnostic.hint:
        lines.append(f"  hint: {_visible(diagnostic.hint)}")
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """Return all of them, an empty line between, and a last line that counts them; empty for none."""
    found = tuple(diagnostics)
    if not found:
        return ""
    errors = sum(diagnostic.level is Level.ERROR for diagnostic in found)
    counts = ((errors, "error"), (len(found) - errors, "warning"))
    total = ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count)
    return "\n\n".join([*map(render, found), total]) + "\n"


def render_findings(diagnostics: Iterable[Diagnostic]) -> str:
    """Return what `lint` says for people: all of them, or that there are none."""
    return render_all(diagnostics) or "no mistakes found\n"


def as_json(diagnostic: Diagnostic) -> DiagnosticData:
    """Return a diagnostic as data for `json.dumps`."""
    place = diagnostic.position
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "width": diagnostic.width,
        "level": diagnostic.level.value,
        "code": diagnostic.code,
        "title": CODES.get(diagnostic.code, ""),
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    }


def _excerpt(diagnostic: Diagnostic) -> tuple[str, str]:
    """Return the source line and the line of carets below it."""
    line, start = diagnostic.excerpt, diagnostic.position.column - 1
    end = max(start + 1, min(start + diagnostic.width, len(line)))
    first = max(0, start - _BEFORE) if _columns(line) > LONGEST_LINE else 0
    last = min(len(line), first + LONGEST_LINE - 2)
    before, after = "…" * (first > 0), "…" * (last < len(line))
    shown = _expand(line[first:last])
    left = len(before) + _columns(line[first:start])
    marked = max(1, _columns(line[start : min(end, last)]))
    return before + shown + after, " " * left + "^" * marked


def _expand(text: str) -> str:
    return _visible(text.replace("\t", " " * TAB_STOP))


def _columns(text: str) -> int:
    r"""Return how many columns of a terminal the text takes, tabs expanded.

    >>> _columns("a\t"), _columns("日本")
    (5, 4)
    """
    return sum(_width(character) for character in _expand(text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
