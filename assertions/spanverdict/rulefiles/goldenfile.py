"""Golden files: JSON Lines, one record a request, every mistake in its line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spanverdict.checks.golden import SINGLE, GoldenFile
from spanverdict.checks.jsonpath import NotJsonError, frozen, read_json
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Diagnostic, Level, Position, Problems
from spanverdict.diagnostics.yamldoc import did_you_mean

if TYPE_CHECKING:
    from spanverdict.telemetry.pool import Value

MOST_REPORTED: Final = 20
"""Mistakes of one file that are listed one by one."""
_EXCERPT: Final = 500
_KEYS: Final = ("key", "value", "values")
_EXAMPLE: Final = 'write {"key": "…", "value": …} or {"key": "…", "values": {"score": …}}'


@dataclass(frozen=True, slots=True)
class GoldenText:
    """A golden file as it stands: its records, and the line of each."""

    file: GoldenFile
    lines: dict[str, int]
    """By key, counted from 1."""
    texts: dict[str, str]
    """The lines themselves, without line end."""


@dataclass(slots=True)
class _Reading:
    """What was read so far of a file, and what is wrong with it."""

    path: str
    problems: Problems
    records: dict[str, dict[str, Value]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    mistakes: int = 0

    def mistake(self, place: tuple[int, int], code: str, message: str, hint: str = "", text: str = "") -> None:
        """Report one at a line and column, the first of many only."""
        self.mistakes += 1
        if self.mistakes <= MOST_REPORTED:
            position = Position(self.path, *place)
            excerpt = text if len(text) <= _EXCERPT else ""
            self.problems.add(Diagnostic(position, code, message, hint, Level.ERROR, 1, excerpt))


def read_golden_text(data: bytes, name: str, path: str, problems: Problems) -> GoldenText | None:
    """Return what a golden file holds; None when anything is wrong with it, the first mistakes reported.

    `name` is how the rule names it, `path` how people are told of it.
    """
    reading = _Reading(path, problems)
    for number, text in _lines(data, reading):
        _read_record(text, number, reading)
    if reading.mistakes > MOST_REPORTED:
        more = reading.mistakes - MOST_REPORTED
        problems.error(Position(path, 1, 1), codes.GOLDEN_LINE, f"{more} more lines of this file are wrong")
    elif not reading.mistakes and not reading.records:
        message, hint = "the golden file holds no record, so nothing would be compared", _EXAMPLE
        reading.mistake((1, 1), codes.GOLDEN_FILE, message, hint)
    if reading.mistakes:
        return None
    file = GoldenFile(name, path, hashlib.sha256(data).hexdigest(), reading.records)
    return GoldenText(file, reading.lines, reading.texts)


def _lines(data: bytes, reading: _Reading) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers."""
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            text = line.decode().rstrip("\r")
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            message = f"the byte 0x{line[error.start]:02x} is not UTF-8"
            reading.mistake((number, column), codes.NOT_UTF8, message, "save the file as UTF-8")
            continue
        if text.strip():
            yield number, text


def _read_record(text: str, number: int, reading: _Reading) -> None:
    try:
        found = read_json(text)
        key, fields = _parts(found)
    except NotJsonError as error:
        message = f"this line is not JSON: {error.message}"
        reading.mistake((number, max(0, error.offset) + 1), codes.GOLDEN_LINE, message, _EXAMPLE, text)
        return
    except _WrongShapeError as error:
        reading.mistake((number, 1), codes.GOLDEN_LINE, error.message, error.hint or _EXAMPLE, text)
        return
    if key in reading.records:
        hint = f"it stands in line {reading.lines[key]}"
        reading.mistake((number, 1), codes.GOLDEN_KEY, f"there is a record of `{key}` already", hint, text)
        return
    reading.records[key], reading.lines[key], reading.texts[key] = fields, number, text


class _WrongShapeError(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def _parts(found: object) -> tuple[str, dict[str, Value]]:
    """Return the key and the values of a record."""
    if not isinstance(found, dict):
        raise _WrongShapeError("a record has to be an object")
    unknown = next((name for name in found if name not in _KEYS), None)
    if unknown is not None:
        raise _WrongShapeError(f"a record has no `{unknown}`", did_you_mean(unknown, _KEYS))
    if "key" not in found:
        raise _WrongShapeError("the record does not say its `key`")
    key = found["key"]
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise _WrongShapeError("a `key` has to be a text or a whole number")
    if ("value" in found) == ("values" in found):
        raise _WrongShapeError("a record has either a `value` or `values`")
    return str(key), _values(found)


def _values(found: dict[str, object]) -> dict[str, Value]:
    if "value" in found:
        return {SINGLE: frozen(found["value"])}
    values = found["values"]
    if not isinstance(values, dict) or not values:
        raise _WrongShapeError("`values` has to be an object of names and values")
    return {str(name): frozen(value) for name, value in values.items()}
