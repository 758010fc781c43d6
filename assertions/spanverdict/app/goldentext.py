"""Golden files as text: the lines of records, changed only where they have to be, and written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.checks.alike import as_json
from spanverdict.checks.golden import SINGLE
from spanverdict.rulefiles.goldenfile import GoldenText
from spanverdict.telemetry.pool import Value


def record_line(key: str, values: Mapping[str, Value]) -> str:
    """Write a record as a line, the same for the same values.

    >>> record_line("r-1", {"value": 0.5}), record_line("r-1", {"b": (1, None), "a": "x"})
    ('{"key": "r-1", "value": 0.5}', '{"key": "r-1", "values": {"a": "x", "b": [1, null]}}')
    """
    plain = {name: as_json(value) for name, value in values.items()}
    rest = {"value": plain[SINGLE]} if plain.keys() == {SINGLE} else {"values": dict(sorted(plain.items()))}
    text = json.dumps({"key": key, **rest}, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which UTF-8 cannot hold
        return json.dumps({"key": key, **rest}, allow_nan=False)
    return text


def can_be_kept(value: Value) -> bool:
    """Tell whether JSON can hold a value: it has no NaN and no infinity.

    >>> can_be_kept((1, {"a": float("nan")})), can_be_kept({"a": (0.5, None)})
    (False, True)
    """
    match value:
        case float():
            return math.isfinite(value)
        case tuple():
            return all(map(can_be_kept, value))
        case Mapping():
            return all(map(can_be_kept, value.values()))
        case _:
            return True


@dataclass(slots=True)
class GoldenEdit:
    """The lines of a golden file while they are changed; lines that nobody changes stay byte by byte."""

    lines: list[str]
    line_of_key: dict[str, int]
    """Position in `lines`, in the order of the file."""
    values: dict[str, dict[str, Value]]

    @classmethod
    def of(cls, found: GoldenText, data: bytes) -> GoldenEdit:
        """Return the lines of a file that was read."""
        positions = {key: number - 1 for key, number in found.lines.items()}
        return cls(
            data.decode().split("\n"), positions, {key: dict(record) for key, record in found.file.records.items()}
        )

    def change(self, key: str, values: Mapping[str, Value]) -> None:
        """Give a record new values; those that are not named stay."""
        at = self.line_of_key[key]
        self.values[key] |= values
        end = "\r" if self.lines[at].endswith("\r") else ""
        self.lines[at] = record_line(key, self.values[key]) + end

    def add_and_remove(self, new: Mapping[str, Mapping[str, Value]], gone: Collection[str]) -> None:
        """Add records, in their place where the file is sorted by key and else at its end; drop others."""
        keys = list(self.line_of_key)
        at_end = len(self.lines) - 1 if self.lines and not self.lines[-1] else len(self.lines)
        places = [at_end] * len(new)
        if keys == sorted(keys):
            later = [*(self.line_of_key[key] for key in keys), at_end]
            places = [later[bisect_left(keys, key)] for key in sorted(new)]
        added: dict[int, list[str]] = {}
        for key, place in zip(sorted(new), places, strict=True):
            added.setdefault(place, []).append(record_line(key, new[key]))
        dropped = {self.line_of_key[key] for key in gone}
        kept: list[str] = []
        for place in range(len(self.lines) + 1):
            kept += added.get(place, ())
            kept += [line for line in self.lines[place : place + 1] if place not in dropped]
        self.lines = kept

    def text(self) -> str:
        """Return the file."""
        text = "\n".join(self.lines)
        return text if text.endswith("\n") else f"{text}\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or as it was before; folders are made.

    Raises:
        CommandError: it cannot be written.
    """
    target = path.resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CommandError(f"cannot write {path}: {error.strerror}", ExitCode.INTERNAL) from None
