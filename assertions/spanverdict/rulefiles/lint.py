"""All mistakes of all rule files."""

from __future__ import annotations

from collections.abc import Iterable

from spanverdict.diagnostics.diagnostic import Diagnostic
from spanverdict.rulefiles.loader import load_files


def lint(paths: Iterable[str]) -> tuple[Diagnostic, ...]:
    """Return every mistake of the files that `load_files` would read, in order of file, line and column."""
    _, problems = load_files(paths)
    return problems.sorted()
