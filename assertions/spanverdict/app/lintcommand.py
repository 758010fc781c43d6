"""`lint`: report what is wrong with rule files, in the formats that were asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.printing import print_text
from spanverdict.diagnostics.diagnostic import Diagnostic, Level, Problems
from spanverdict.diagnostics.render import render_findings
from spanverdict.rulefiles.lint import lint
from spanverdict.rulefiles.sources import TESTS


def lint_files(paths: Sequence[str], outputs: Sequence[str]) -> ExitCode:
    """Report on rule files; text on standard output when nothing else is asked for, and annotations on GitHub.

    Raises:
        CommandError: there is no such format, or a report cannot be written.
    """
    if outputs or os.environ.get("GITHUB_ACTIONS") == "true":
        found = _report(paths, outputs)
    else:
        found = _find(paths)
        print_text(render_findings(found))
    errors = sum(one.level is Level.ERROR for one in found)
    return ExitCode.USAGE if errors else ExitCode.LINT if found else ExitCode.PASSED


def _report(paths: Sequence[str], outputs: Sequence[str]) -> tuple[Diagnostic, ...]:
    from spanverdict.app.verdicts import targets  # noqa: PLC0415 - what plain text does without
    from spanverdict.reporting.lintreports import LINT_REPORTERS  # noqa: PLC0415 - as above

    wanted = targets(outputs, formats=LINT_REPORTERS)
    found = _find(paths)
    for target in wanted:
        text = LINT_REPORTERS[target.name](found)
        if target.path is None:
            print_text(text)
            continue
        try:
            Path(target.path).write_text(text, encoding="utf-8")
        except OSError as error:
            message = f"a report cannot be written: {error}"
            raise CommandError(message, ExitCode.INTERNAL) from error
    return found


def _find(paths: Sequence[str]) -> tuple[Diagnostic, ...]:
    """Return all mistakes of rule files, and of files of tests by name; a folder stands for its rules alone."""
    tests = [path for path in paths if path.endswith(TESTS) and Path(path).is_file()]
    rules = [path for path in paths if path not in tests]
    found = lint(rules) if rules else ()
    return tuple(sorted({*found, *_of_tests(tests)}, key=lambda one: (one.position, one.code, one.message)))


def _of_tests(paths: Sequence[str]) -> tuple[Diagnostic, ...]:
    if not paths:
        return ()
    from spanverdict.ruletest.finding import find_test_files  # noqa: PLC0415 - rules need none of it
    from spanverdict.ruletest.reading import read_tests  # noqa: PLC0415 - as above

    problems = Problems()
    for file in find_test_files(paths, problems):
        read_tests(file, problems)
    return problems.sorted()
