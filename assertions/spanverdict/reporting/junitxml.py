"""JUnit XML as such: suites of test cases, written so that every known reader takes them."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only written here, never parsed
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count

from spanverdict.reporting.escaping import xml_text

MESSAGE_BYTES = 65_536
"""A message or text longer than this is cut."""
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


def written(name: str, suites: Iterable[Suite], seconds: str, timestamp: str, *, extended: bool) -> str:
    """Write suites as XML in ASCII, which is valid UTF-8 and right on any stream.

    `seconds` is how long all of it took and `timestamp` when it began, empty where nobody knows.
    `extended` names file and line of each case, which strict readers refuse.
    """
    named = list(_uniquely_named(suites))
    root = ET.Element("testsuites", {"name": name})
    _set(root, {"tests": sum(len(suite.cases) for suite in named)})
    for attribute, kind in _COUNTED if extended else _COUNTED[:2]:
        _set(root, {attribute: sum(suite.count(kind) for suite in named)})
    root.set("time", seconds)
    root.extend(_suite_element(suite, seconds, timestamp, extended=extended) for suite in named)
    ET.indent(root)
    body: str = ET.tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    # a CI log obeys `##vso[`; as a reference it means the same to XML and nothing to the log
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + body.replace("##", "#&#35;") + "\n"


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


def _suite_element(suite: Suite, seconds: str, timestamp: str, *, extended: bool) -> ET.Element:
    element = ET.Element("testsuite", {"name": _attribute(suite.name), "tests": str(len(suite.cases))})
    _set(element, {name: suite.count(kind) for name, kind in _COUNTED})
    element.set("time", seconds)
    if timestamp:
        element.set("timestamp", timestamp)
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


def _attribute(text: str) -> str:
    return xml_text(text, MESSAGE_BYTES)
