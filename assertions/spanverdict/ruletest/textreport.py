"""The report of a run of tests that people read: a line a test, what came out otherwise in full, the sum last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TextIO

from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.reporting.text import Line, Looks, Piece, looks, written
from spanverdict.ruletest.comparing import Difference, Trial
from spanverdict.ruletest.coverage import FlowCoverage
from spanverdict.ruletest.session import Session

_INDENT = 8
_TOLD = 12


def render(session: Session, options: ReportOptions, stream: TextIO | None = None) -> str:
    """Write the report for a stream; plain where there is none."""
    look = Looks() if stream is None else looks(stream, options, os.environ)
    return written(report_lines(session, quiet=options.quiet), look)


def report_lines(session: Session, *, quiet: bool) -> Iterator[Line]:
    """Give the whole report line by line; a quiet one leaves out what passed."""
    for file, results in session.by_file():
        told = [result for result in results if not (quiet and result.passed)]
        if told:
            yield Line((Piece(shown(file), "strong"), Piece(f"  flow {shown(results[0].test.flow.name)}", "dim")))
            for result in told:
                yield from _test_lines(result)
            yield Line()
    if session.coverage is not None:
        yield from _coverage_lines(session.coverage, quiet=quiet)
    word, tone = ("FAILED", "failed") if session.failed else ("PASSED", "passed")
    yield Line((Piece(word, tone), Piece(f"  {session.counts()}  ({session.size()})")))


def _test_lines(result: Trial) -> Iterator[Line]:
    word, tone = ("PASSED", "passed") if result.passed else ("FAILED", "failed")
    yield Line((Piece(word.ljust(_INDENT), tone), Piece(shown(result.test.name), "")), _INDENT)
    for difference in result.differences:
        yield from _difference_lines(difference)


def _difference_lines(difference: Difference) -> Iterator[Line]:
    said = f": expected {shown(difference.expected)}, got {shown(difference.got, 400)}"
    yield Line((Piece(" " * _INDENT), Piece(shown(difference.subject), "strong"), Piece(said)), _INDENT + 2)
    for text in difference.told:
        yield Line((Piece(" " * _TOLD), Piece(text)), _TOLD)
    yield Line((Piece(" " * _TOLD), Piece(f"expected in {shown(str(difference.position))}", "dim")), _TOLD)


def _coverage_lines(coverage: tuple[FlowCoverage, ...], *, quiet: bool) -> Iterator[Line]:
    listed = [each for each in coverage if not (quiet and each.whole)]
    if not listed:
        return
    yield Line((Piece("coverage", "strong"),))
    for each in listed:
        yield from _flow_lines(each)
    yield Line()


def _flow_lines(each: FlowCoverage) -> Iterator[Line]:
    size = f"{counted(each.tests, 'tests')}, {counted(each.rules, 'rules')}, {counted(each.stages, 'stages')}"
    word, tone = ("whole", "passed") if each.whole else ("gaps", "inconclusive")
    place = Piece(f"  {shown(each.file)}", "dim")
    yield Line(
        (Piece(word.ljust(_INDENT), tone), Piece(shown(each.flow), "strong"), Piece(f"  {size}"), place), _INDENT
    )
    gaps = (
        ("rules never seen to fail", each.never_failed),
        ("rules never seen to pass", each.never_passed),
        ("stages never matched", each.never_matched),
    )
    for what, names in gaps:
        if names:
            text = f"{what}: {', '.join(shown(name) for name in names)}"
            yield Line((Piece(" " * _INDENT), Piece(text)), _INDENT + 2)
