"""Which rule files are meant, and what they hold."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import LINE_BREAK, Position, Problems
from spanverdict.diagnostics.yamldoc import MAX_BYTES

STDIN: Final = "-"

_SUFFIXES: Final = (".yaml", ".yml")
TESTS: Final = ("_test.yaml", "_test.yml")
"""How the name of a file of rule tests ends; in a folder it is no rule file."""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule file to be read; without a path it is the standard input."""

    name: str
    """As the user gave it, or as it follows from the directory that the user gave."""
    path: Path | None


def find_files(paths: Iterable[str], problems: Problems) -> tuple[RuleFile, ...]:
    """Return the files that paths, directories and patterns stand for, each once, in stable order."""
    found: dict[object, RuleFile] = {}
    for path in paths:
        try:
            for file in _expand(path, problems):
                found.setdefault(file.path.resolve() if file.path else STDIN, file)
        except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL in it, links in a circle
            _report(path, codes.FILE_UNREADABLE, f"the path cannot be read: {_reason(error)}", "", problems)
    return tuple(found.values())


def _expand(path: str, problems: Problems) -> Iterator[RuleFile]:
    if path == STDIN:
        yield RuleFile("<stdin>", None)
        return
    matches = [path] if _is_one(path) else sorted(glob(path, recursive=True))  # noqa: PTH207 - may be absolute
    files = [file for match in matches for file in _below(Path(match))]
    if not files:
        _report(path, codes.NO_FILES, "there is no rule file here", "rule files end in .yaml or .yml", problems)
    yield from (RuleFile(str(file), file) for file in files)


def _is_one(path: str) -> bool:
    return not has_magic(path) or Path(path).exists()


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _SUFFIXES
        and not file.name.endswith(TESTS)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    )


def read_text(file: RuleFile, problems: Problems) -> str | None:
    """Return what a file holds; None (reported) when it cannot be read, is too large or is not UTF-8."""
    try:
        data = _read_bytes(file.path)
    except (OSError, ValueError) as error:
        _report(file.name, codes.FILE_UNREADABLE, f"the file cannot be read: {_reason(error)}", "", problems)
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if len(data) <= MAX_BYTES:
            _report_encoding(file.name, error, problems)
        else:
            _report(file.name, codes.FILE_TOO_LARGE, f"the file is larger than {MAX_BYTES >> 20} MiB", "", problems)
        return None


def _read_bytes(path: Path | None) -> bytes:
    """Read one byte more than is allowed, so that too much is noticed and never loaded whole."""
    if path is None:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _report_encoding(name: str, error: UnicodeDecodeError, problems: Problems) -> None:
    before = error.object[: error.start].decode()
    lines = LINE_BREAK.split(before)
    place = Position(name, len(lines), len(lines[-1]) + 1)
    message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
    problems.error(place, codes.NOT_UTF8, message, "save the file as UTF-8")


def _report(name: str, code: str, message: str, hint: str, problems: Problems) -> None:
    problems.error(Position(name, 1, 1), code, message, hint)
