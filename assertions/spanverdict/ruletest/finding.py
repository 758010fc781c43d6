"""Which files hold rule tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from glob import glob, has_magic
from pathlib import Path

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.rulefiles.sources import TESTS, RuleFile


def find_test_files(paths: Iterable[str], problems: Problems) -> tuple[RuleFile, ...]:
    """Return the files that paths, folders and patterns stand for, each once; a folder may hold none."""
    found: dict[Path, RuleFile] = {}
    for path in paths:
        try:
            for file in _expand(path):
                found.setdefault(file.resolve(), RuleFile(str(file), file))
        except (OSError, ValueError, RuntimeError) as error:
            problems.error(Position(path, 1, 1), codes.FILE_UNREADABLE, f"the path cannot be read: {error}")
    return tuple(found.values())


def _expand(path: str) -> Iterator[Path]:
    matches = [path] if not has_magic(path) or Path(path).exists() else sorted(glob(path, recursive=True))  # noqa: PTH207 - may be absolute
    for match in matches:
        yield from _below(Path(match))


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.name.endswith(TESTS)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    )
