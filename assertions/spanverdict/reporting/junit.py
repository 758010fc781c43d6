"""JUnit XML for CI servers: a suite a flow, a test case a rule.

Nothing that is not known to be good may look green there, and readers know only failure, error and
skipped. So an inconclusive rule is a failure of type `inconclusive`, an incomplete run gets a failing
case `run-complete`, and a verdict that no case shows gets a failing case `verdict`. A rule that only
reports must not fail a job: it stays a passed case that tells in its output what it saw.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only written here, never parsed
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import PurePath
from typing import TextIO

from spanverdict.evaluation.outcomes import Outcome, RuleResult
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown, xml_text
from spanverdict.reporting.quantities import rfc3339
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.verdict import FlowVerdict, Verdict, noted_only

MESSAGE_BYTES = 65_536
"""A message or text longer than this is cut."""
FLAVORS = ("extended", "xunit2")
"""`extended` adds file and line to every case, and counts to the root, which strict xunit2 readers refuse."""
_KINDS = {
    Outcome.FAILED: ("failure", "violated"),
    Outcome.INCONCLUSIVE: ("failure", "inconclusive"),
    Outcome.ERRORED: ("error", "errored"),
    Outcome.SKIPPED: ("skipped", "skipped"),
}
_COUNTED = (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; `kind` is the element inside that says it did not pass, empty when it did."""

    name: str
    classname: str
    file: str = ""
    line: int = 0
    kind: str = ""
    type: str = ""
    message: str = ""
    text: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """One test suite with what is known about it."""

    name: str
    cases: tuple[Case, ...]
    properties: tuple[tuple[str, str], ...]

    def count(self, kind: str) -> int:
        """Count the cases of one kind."""
        return sum(case.kind == kind for case in self.cases)


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    return OnceFinished(stream, lambda verdict: render(verdict, options.junit_flavor))


def render(verdict: Verdict, flavor: str = "extended") -> str:
    """Write the report as XML in ASCII, which is valid UTF-8 and right on any stream."""
    extended = flavor == "extended"
    root = _root(verdict, _suites(verdict), extended=extended)
    ET.indent(root)
    body: str = ET.tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    # a CI log obeys `##vso[`; as a reference it means the same to XML and nothing to the log
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + body.replace("##", "#&#35;") + "\n"


def _suites(verdict: Verdict) -> list[Suite]:
    suites = [
        Suite(shown(flow.started.flow), tuple(_flow_cases(flow)), _flow_properties(verdict, flow))
        for flow in verdict.flows
    ]
    if verdict.unshown:
        suites.append(Suite("run", (_verdict_case(verdict),), _run_properties(verdict)))
    return list(_uniquely_named(suites))


def _flow_cases(flow: FlowVerdict) -> Iterator[Case]:
    classname = f"{shown(PurePath(flow.started.file).stem)}.{shown(flow.started.flow)}"
    yield from (_rule_case(result, classname) for result in flow.results)
    if not flow.finished.completeness.complete:
        yield _incomplete_case(flow, classname)


def _rule_case(result: RuleResult, classname: str) -> Case:
    case = Case(wording.rule_name(result), classname, shown(result.file), result.line)
    if result.outcome is Outcome.PASSED:
        return replace(case, output=wording.passed_line(result))
    told = wording.explanation(result)
    if noted_only(result):
        return replace(case, output="\n".join((f"report only, {result.outcome}:", *told)))
    kind, kind_type = _KINDS[result.outcome]
    return replace(case, kind=kind, type=kind_type, message=told[0], text="\n".join(told))


def _incomplete_case(flow: FlowVerdict, classname: str) -> Case:
    completeness = flow.finished.completeness
    lines = [f"requests: {wording.requests_text(completeness)}"]
    if completeness.missing_stages:
        lines.append(f"missing: {wording.missing_text(completeness)}")
    message = f"the run is incomplete: {wording.completeness_reason(completeness)}"
    return Case(
        "run-complete",
        classname,
        shown(flow.started.file),
        1,
        kind="failure",
        type="incomplete",
        message=message,
        text="\n".join((message, *lines)),
    )


def _verdict_case(verdict: Verdict) -> Case:
    line = wording.closing_line(verdict)
    return Case("verdict", "spanverdict.run", kind="failure", type=_verdict_type(verdict), message=line, text=line)


def _verdict_type(verdict: Verdict) -> str:
    return verdict.finished.outcome.value if verdict.finished.complete else "incomplete"


def _uniquely_named(suites: Iterable[Suite]) -> Iterator[Suite]:
    """Number the cases that would share a name: readers keep only the first of those."""
    taken: set[tuple[str, str]] = set()
    for suite in suites:
        yield replace(suite, cases=tuple(_numbered(case, taken) for case in suite.cases))


def _numbered(case: Case, taken: set[tuple[str, str]]) -> Case:
    names = chain([case.name], (f"{case.name} #{number}" for number in count(2)))
    name = next(name for name in names if (case.classname, name) not in taken)
    taken.add((case.classname, name))
    return replace(case, name=name)


def _run_properties(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    run = verdict.started.run
    labels = ((f"run.label.{shown(key)}", shown(value)) for key, value in sorted(run.labels.items()))
    return (
        ("run.id", shown(run.id)),
        ("run.revision", str(run.revision)),
        ("run.spans", str(verdict.started.spans)),
        *labels,
    )


def _flow_properties(verdict: Verdict, flow: FlowVerdict) -> tuple[tuple[str, str], ...]:
    completeness = flow.finished.completeness
    return (
        *_run_properties(verdict),
        ("flow.file", shown(flow.started.file)),
        ("flow.sha256", shown(flow.started.sha256)),
        ("run.complete", str(completeness.complete).lower()),
        ("run.complete.trigger", shown(completeness.trigger)),
        ("run.requests", wording.requests_text(completeness)),
    )


def _root(verdict: Verdict, suites: list[Suite], *, extended: bool) -> ET.Element:
    root = ET.Element("testsuites", {"name": f"spanverdict {shown(verdict.started.run.id)}"})
    _set(root, {"tests": sum(len(suite.cases) for suite in suites)})
    for name, kind in _COUNTED if extended else _COUNTED[:2]:
        _set(root, {name: sum(suite.count(kind) for suite in suites)})
    root.set("time", _seconds(verdict))
    root.extend(_suite_element(suite, verdict, extended=extended) for suite in suites)
    return root


def _suite_element(suite: Suite, verdict: Verdict, *, extended: bool) -> ET.Element:
    element = ET.Element("testsuite", {"name": _attribute(suite.name), "tests": str(len(suite.cases))})
    _set(element, {name: suite.count(kind) for name, kind in _COUNTED})
    element.set("time", _seconds(verdict))
    if started := rfc3339(verdict.started.run.started_unix_nano):
        element.set("timestamp", started.partition(".")[0])
    listed = ET.SubElement(element, "properties")
    for name, value in suite.properties:
        ET.SubElement(listed, "property", {"name": _attribute(name), "value": _attribute(value)})
    element.extend(_case_element(case, extended=extended) for case in suite.cases)
    return element


def _case_element(case: Case, *, extended: bool) -> ET.Element:
    names = {"classname": _attribute(case.classname), "name": _attribute(case.name), "time": "0"}
    element = ET.Element("testcase", names)
    if extended and case.file:
        element.set("file", _attribute(case.file))
        _set(element, {"line": case.line})
    if case.kind:
        inner = ET.SubElement(element, case.kind, {"message": _attribute(case.message), "type": case.type})
        inner.text = xml_text(case.text, MESSAGE_BYTES)
    if case.output:
        ET.SubElement(element, "system-out").text = xml_text(case.output, MESSAGE_BYTES)
    return element


def _set(element: ET.Element, numbers: dict[str, int]) -> None:
    for name, value in numbers.items():
        element.set(name, str(value))


def _seconds(verdict: Verdict) -> str:
    """Give how long the run's spans took; a single rule has no time of its own."""
    run = verdict.started.run
    return f"{max(run.ended_unix_nano - run.started_unix_nano, 0) / 1e9:.3f}" if run.started_unix_nano else "0"


def _attribute(text: str) -> str:
    return xml_text(text, MESSAGE_BYTES)
