"""`spanverdict test`: judge the traces of rule tests and say what came out otherwise than expected."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.offline import choose_run
from spanverdict.app.printing import print_text
from spanverdict.app.testruns import judged, read_tables
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.render import render_all
from spanverdict.reporting.catalogue import Target
from spanverdict.reporting.escaping import fit_encoding
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.rulefiles.loader import load_files
from spanverdict.rulefiles.models import Flow
from spanverdict.ruletest.comparing import Trial
from spanverdict.ruletest.coverage import FlowCoverage, coverage, stages_matched
from spanverdict.ruletest.finding import find_test_files
from spanverdict.ruletest.models import RuleTest
from spanverdict.ruletest.payload import otlp_json
from spanverdict.ruletest.reading import read_tests
from spanverdict.ruletest.reports import TEST_REPORTERS
from spanverdict.ruletest.session import Session
from spanverdict.telemetry.spantable import SpanTable


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """What a user asked of a run of tests."""

    targets: tuple[Target, ...]
    report: ReportOptions
    coverage: bool = False
    require_coverage: bool = False


def run_tests(paths: Sequence[str], options: SuiteOptions) -> ExitCode:
    """Run the tests of files and folders and report on them.

    Raises:
        CommandError: a file has a mistake (all of them were printed), or there is no test.
    """
    tests = load_tests(paths)
    problems = Problems()
    tables = read_tables(tests, problems)
    _stop_at(problems)
    results = tuple(judged(test, tables) for test in tests)
    session = Session(
        results, _coverage(paths, results, [tables[test.given] for test in tests]) if options.coverage else None
    )
    _report(session, options)
    if session.failed or (options.require_coverage and session.uncovered):
        return ExitCode.FAILED
    return ExitCode.PASSED


def print_spans(paths: Sequence[str], name: str | None) -> ExitCode:
    """Print the spans that tests write down as OTLP/JSON, one document a test and line.

    Raises:
        CommandError: as `run_tests`, or no test of that name writes spans down.
    """
    tests = [test for test in load_tests(paths) if test.given.blocks and name in (None, test.name)]
    if not tests:
        raise CommandError(f"no test {f'named {name!r} ' if name else ''}writes spans down", ExitCode.NO_VERDICT)
    print_text("".join(f"{otlp_json(test.given.blocks)}\n" for test in tests))
    return ExitCode.PASSED


def load_tests(paths: Sequence[str]) -> tuple[RuleTest, ...]:
    """Load the tests of files and folders.

    Raises:
        CommandError: a file has a mistake (all of them were printed to standard error), or there is no test.
    """
    problems = Problems()
    files = find_test_files(paths, problems)
    tests = [test for file in files for test in read_tests(file, problems)]
    _stop_at(problems)
    if not tests:
        message = f"no rule test was found in {', '.join(paths)}; their files end in _test.yaml"
        raise CommandError(message, ExitCode.NO_VERDICT)
    return tuple(tests)


def _stop_at(problems: Problems) -> None:
    found = problems.sorted()
    if found:
        print(render_all(found), file=sys.stderr)  # noqa: T201 - diagnostics go to standard error
    if problems.fatal:
        raise CommandError("the rule tests have mistakes; none was run")


def _coverage(paths: Sequence[str], results: Sequence[Trial], tables: Sequence[SpanTable]) -> tuple[FlowCoverage, ...]:
    stages = [
        stages_matched(result.test.flow, choose_run(table, [result.test.flow], result.test.given.run)[1])
        for result, table in zip(results, tables, strict=True)
    ]
    return coverage(_flows(paths, results), results, stages)


def _flows(paths: Sequence[str], results: Sequence[Trial]) -> Iterable[Flow]:
    """Yield the flows that tests are about, then those in the same folders that have no test."""
    tested = {Path(result.test.flow.file).resolve(): result.test.flow for result in results}
    yield from tested.values()
    folders = [path for path in paths if Path(path).is_dir()]
    for flow in load_files(folders)[0] if folders else ():
        if Path(flow.file).resolve() not in tested:
            yield flow


def _report(session: Session, options: SuiteOptions) -> None:
    for target in options.targets:
        render = TEST_REPORTERS[target.name]
        if target.path is None:
            print_text(render(session, options.report, sys.stdout))
            continue
        try:
            Path(target.path).write_text(fit_encoding(render(session, options.report, None), "utf-8"), "utf-8")
        except OSError as error:
            message = f"report file {target.path} cannot be written: {os.strerror(error.errno or 0)}"
            raise CommandError(message, ExitCode.INTERNAL) from None
