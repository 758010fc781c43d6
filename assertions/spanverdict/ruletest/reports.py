"""The report formats of a run of tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, TextIO, TypeAlias

from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown, strict_json
from spanverdict.reporting.github import Annotation
from spanverdict.reporting.junitxml import Case, Suite
from spanverdict.reporting.junitxml import written as junit_written
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.ruletest import textreport
from spanverdict.ruletest.comparing import Difference, Trial
from spanverdict.ruletest.coverage import FlowCoverage
from spanverdict.ruletest.session import Session

Render: TypeAlias = Callable[[Session, ReportOptions, TextIO | None], str]

SCHEMA_VERSION = 1


def junit(session: Session, options: ReportOptions, stream: TextIO | None = None) -> str:
    """Write JUnit XML: a suite a file of tests, a case a test."""
    del stream
    suites = [
        Suite(shown(file), tuple(_case(result) for result in results), (("flow", shown(results[0].test.flow.name)),))
        for file, results in session.by_file()
    ]
    return junit_written("spanverdict test", suites, "0", "", extended=options.junit_flavor == "extended")


def _case(result: Trial) -> Case:
    test = result.test
    classname = f"{shown(PurePath(test.file).stem)}.{shown(test.flow.name)}"
    place = (shown(test.name), classname, shown(test.file), test.position.line)
    if result.passed:
        return Case(*place)
    text = "\n".join(line for difference in result.differences for line in _lines(difference))
    return Case(*place, kind="failure", type="unexpected", message=_lines(result.differences[0])[0], text=text)


def _lines(difference: Difference) -> list[str]:
    said = f"expected {shown(difference.expected)}, got {shown(difference.got, 400)}"
    place = shown(str(difference.position))
    return [f"{shown(difference.subject)}: {said}", *difference.told, f"expected in {place}"]


def github(session: Session, options: ReportOptions, stream: TextIO | None = None) -> str:
    """Write annotations for GitHub Actions: one at each expectation that did not come true."""
    del options, stream
    notes = [
        Annotation(
            "error",
            f"{result.test.name}: {difference.subject}",
            "\n".join(_lines(difference)[:-1]),
            difference.position.file,
            difference.position.line,
            difference.position.column,
        )
        for result in session.results
        for difference in result.differences
    ]
    return "".join(f"{note.command()}\n" for note in notes)


def json_report(session: Session, options: ReportOptions, stream: TextIO | None = None) -> str:
    """Write everything for machines; keys are only ever added to."""
    del options, stream
    data: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "outcome": "failed" if session.failed else "passed",
        "counts": {"passed": len(session.results) - session.failed, "failed": session.failed},
        "tests": [_test_data(result) for result in session.results],
    }
    if session.coverage is not None:
        data["coverage"] = [_coverage_data(each) for each in session.coverage]
    return strict_json(data, indent=2) + "\n"


def _test_data(result: Trial) -> dict[str, Any]:
    test = result.test
    return {
        "name": test.name,
        "file": test.file,
        "line": test.position.line,
        "flow": test.flow.name,
        "flowFile": test.flow.file,
        "outcome": "passed" if result.passed else "failed",
        "differences": [_difference_data(difference) for difference in result.differences],
        "rules": [
            {"rule": rule.id, "group": rule.group, "outcome": str(rule.outcome), "name": wording.rule_name(rule)}
            for rule in result.results
        ],
    }


def _difference_data(difference: Difference) -> dict[str, Any]:
    place = difference.position
    return {
        "subject": difference.subject,
        "expected": difference.expected,
        "got": difference.got,
        "told": list(difference.told),
        "file": place.file,
        "line": place.line,
        "column": place.column,
    }


def _coverage_data(each: FlowCoverage) -> dict[str, Any]:
    return {
        "flow": each.flow,
        "file": each.file,
        "tests": each.tests,
        "rules": each.rules,
        "stages": each.stages,
        "neverFailed": list(each.never_failed),
        "neverPassed": list(each.never_passed),
        "neverMatched": list(each.never_matched),
        "whole": each.whole,
    }


TEST_REPORTERS: Mapping[str, Render] = MappingProxyType(
    {"text": textreport.render, "json": json_report, "junit": junit, "github": github}
)
"""Every format of a run of tests."""
