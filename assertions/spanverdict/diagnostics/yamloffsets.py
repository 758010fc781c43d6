"""Where a character of a YAML scalar's decoded text stands in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_BREAK: Final = r"(?:\r\n|\r|\n)"
_PROPERTIES: Final = re.compile(r"(?:[&!][^\s]*\s+)*")
_BREAKS: Final = rf"{_BREAK}(?:[ \t]*{_BREAK})*[ \t]*"
_FOLD: Final = rf"[ \t]*{_BREAKS}"
_PLAIN: Final = re.compile(rf"(?P<fold>{_FOLD})|.", re.DOTALL)
_SINGLE: Final = re.compile(rf"(?P<fold>{_FOLD})|''|.", re.DOTALL)
_DOUBLE: Final = re.compile(
    rf"(?P<joined>\\{_BREAKS})|(?P<fold>{_FOLD})"
    r"|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\.|.",
    re.DOTALL,
)
_LINE: Final = re.compile(rf".*?(?:{_BREAK}|\Z)", re.DOTALL)
_ONE_BREAK: Final = re.compile(_BREAK)


def place_of(raw: str, text: str, offset: int) -> tuple[int, int]:
    """Return (lines below the start of `raw`, characters from the start of that line or of `raw`).

    `raw` is the scalar as written, `text` what it decodes to; an `offset` past the text is its end.
    """
    index = _raw_index(raw, text, offset)
    before = raw[:index]
    breaks = list(_ONE_BREAK.finditer(before))
    return (len(breaks), index - breaks[-1].end()) if breaks else (0, index)


def _raw_index(raw: str, text: str, offset: int) -> int:
    properties = _PROPERTIES.match(raw)
    start = properties.end() if properties else 0
    style = raw[start : start + 1]
    if style in ("|", ">"):
        return _in_block(raw, start, text, offset)
    if style in ("'", '"'):
        places = _flow_places(_SINGLE if style == "'" else _DOUBLE, raw, start + 1, len(raw) - 1)
    else:
        places = _flow_places(_PLAIN, raw, start, len(raw))
    end = len(raw) - 1 if style in ("'", '"') else len(raw)
    return next((place for number, place in enumerate(places) if number == offset), end)


def _flow_places(pattern: re.Pattern[str], raw: str, start: int, end: int) -> Iterator[int]:
    """Yield the place in `raw` of every character that `raw[start:end]` decodes to."""
    for match in pattern.finditer(raw, start, end):
        kind = match.lastgroup
        if kind is None:
            yield match.start()
            continue
        breaks = len(_ONE_BREAK.findall(match.group()))
        made = breaks - 1 if kind == "joined" or breaks > 1 else breaks
        yield from (match.start() for _ in range(made))


def _in_block(raw: str, start: int, text: str, offset: int) -> int:
    """Follow `text` through the lines of a block scalar; its own characters keep their order there."""
    content = _block_content(raw, start, text)
    place = len(raw)
    for character in text[: offset + 1]:
        found = next(
            ((at, seen) for at, seen in content if seen == character or (character, seen) == (" ", "\n")), None
        )
        place = found[0] if found else len(raw)
    return place if offset < len(text) else len(raw.rstrip())


def _block_content(raw: str, start: int, text: str) -> Iterator[tuple[int, str]]:
    """Yield (place, character) of a block scalar's lines without their indentation."""
    header = _LINE.match(raw, start)
    at = header.end() if header else len(raw)
    indent = _indent(raw[at:]) - _indent(text)
    while at < len(raw):
        line = raw[at : _line_end(raw, at)]
        body = line.rstrip("\r\n")
        yield from ((at + column, body[column]) for column in range(min(indent, len(body)), len(body)))
        if len(body) < len(line):
            yield at + len(body), "\n"
        at += len(line)


def _indent(lines: str) -> int:
    """Return the indentation of the first line that holds something."""
    first = re.search(r"^( *)[^ \r\n]", lines, re.MULTILINE)
    return len(first[1]) if first else 0


def _line_end(raw: str, at: int) -> int:
    match = _LINE.match(raw, at)
    return match.end() if match else len(raw)
