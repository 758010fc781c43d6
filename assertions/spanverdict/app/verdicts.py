"""From events to reports on screens and in files, and to the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.evaluation.outcomes import Event, Outcome, RunFinished, RunStarted
from spanverdict.reporting.catalogue import REPORTERS, Target, UnknownFormatError, ci_targets, parse_target
from spanverdict.reporting.reporter import Reporter, ReportOptions

_CODES: Mapping[Outcome, ExitCode] = {
    Outcome.PASSED: ExitCode.PASSED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.INCONCLUSIVE: ExitCode.NO_VERDICT,
    Outcome.SKIPPED: ExitCode.NO_VERDICT,
    Outcome.ERRORED: ExitCode.INTERNAL,
}


def targets(
    asked: Sequence[str], environ: Mapping[str, str] = os.environ, formats: Collection[str] = REPORTERS
) -> tuple[Target, ...]:
    """Read `-o` options; text on standard output when none goes there, and what the CI understands."""
    try:
        wanted = [parse_target(text, formats) for text in asked]
    except UnknownFormatError as error:
        raise CommandError(str(error)) from None
    on_screen = [target.name for target in wanted if target.path is None]
    if len(on_screen) > 1:
        raise CommandError(f"only one report can go to standard output, not {' and '.join(on_screen)}")
    if not on_screen:
        wanted.insert(0, Target("text", None))
    files = [target.path for target in wanted if target.path is not None]
    for path in files:
        if files.count(path) > 1:
            raise CommandError(f"two reports cannot go to the same file {path}")
        _check_writable(Path(path))
    ci = ci_targets(environ) if on_screen in ([], ["text"]) else ()
    return (*wanted, *(target for target in ci if target.name in formats))


def _check_writable(path: Path) -> None:
    """Find out before the run, not after it, that a report has nowhere to go."""
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        reason = "is a directory" if path.is_dir() else "cannot be written"
        raise CommandError(f"report file {path} {reason}")


def report(events: Sequence[Event], wanted: Sequence[Target], options: ReportOptions) -> ExitCode:
    """Let every reporter consume the events of a run; return what the verdict tells the shell."""
    try:
        with ExitStack() as files:
            reporters = [_open(target, options, files) for target in wanted]
            for event in events:
                for reporter in reporters:
                    reporter.consume(event)
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CommandError(f"a report cannot be written: {error}", ExitCode.INTERNAL) from error
    return next(exit_code(event) for event in events if isinstance(event, RunFinished))


def spans_in(events: Iterable[Event]) -> int:
    """Return how many spans a run had."""
    return next(event.spans for event in events if isinstance(event, RunStarted))


def exit_code(finished: RunFinished) -> ExitCode:
    """Return the exit code of a verdict.

    >>> int(exit_code(RunFinished(Outcome.FAILED, True))), int(exit_code(RunFinished(Outcome.PASSED, False)))
    (1, 4)
    """
    if finished.outcome is Outcome.PASSED and not finished.complete:
        return ExitCode.NO_VERDICT
    return _CODES[finished.outcome]


def _open(target: Target, options: ReportOptions, files: ExitStack) -> Reporter:
    stream: TextIO = sys.stdout
    if target.path is not None:
        mode = "ab" if target.append else "wb"
        stream = files.enter_context(TextIOWrapper(Path(target.path).open(mode), "utf-8"))  # noqa: SIM115 - closed with `files`
    return REPORTERS[target.name](stream, options)
