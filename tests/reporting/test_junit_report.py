"""The JUnit report as CI servers read it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from lxml import etree

from reporting.hostile import streams
from reporting.streams import GAPS, SLOW, STREAMS, flow, stream
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.reporting import junit, text
from spanverdict.reporting.escaping import xml_text
from spanverdict.reporting.verdict import gather


def parsed(events, flavor="extended"):
    return ET.fromstring(junit.render(gather(events), flavor))


def cases(root):
    """Give what each case says: its name and the element that judges it."""
    return {
        case.get("name"): next((e.tag, e.get("type")) for e in [*case, case] if e.tag != "system-out")
        for case in root.iter("testcase")
    }


def test_each_outcome_has_its_element():
    """Proves how outcomes are shown: nothing but passed and report-only rules is green."""
    assert cases(parsed(STREAMS["failed"])) == {
        "end-to-end": ("failure", "violated"),
        "queue-wait": ("testcase", None),
        "fresh-features[card_velocity]": ("testcase", None),
        "fresh-features[merchant_risk]": ("testcase", None),
        "fresh-features[user_profile]": ("failure", "violated"),
        "whole-path": ("failure", "violated"),
        "score-range": ("testcase", None),
        "cache-hits": ("failure", "violated"),
    }
    assert cases(parsed(STREAMS["inconclusive"]))["whole-path"] == ("failure", "inconclusive")
    assert cases(parsed(STREAMS["errored"]))["correct"] == ("error", "errored")
    assert cases(parsed(STREAMS["skipped"]))["nightly-quality"] == ("skipped", "skipped")


def test_an_incomplete_run_has_a_failing_case():
    """Proves that half a run cannot be green, even if every rule passed."""
    failure = parsed(STREAMS["incomplete"]).find(".//testcase[@name='run-complete']/failure")
    assert failure.get("type") == "incomplete"
    assert "notify in 7 requests" in failure.text


def test_a_run_that_nobody_judged_fails():
    """Proves that no flow at all is a failing case and not an empty, green file."""
    assert cases(parsed(STREAMS["no_flow"])) == {"verdict": ("failure", "incomplete")}


def test_a_bad_verdict_that_no_rule_shows_fails():
    """Proves that an inconclusive run whose only bad rule just reports is not green."""
    only = replace(GAPS, report_only=True)
    root = parsed(stream(flow(only, outcome=Outcome.INCONCLUSIVE)))
    assert cases(root) == {"whole-path": ("testcase", None), "verdict": ("failure", "inconclusive")}


def test_a_failure_says_what_the_text_report_says():
    """Proves that a reader in CI needs no second report."""
    failure = parsed(STREAMS["failed"]).find(".//testcase[@name='end-to-end']/failure")
    assert failure.get("message") == "p95 = 231.4ms, expected < 200ms   (n = 200 requests, 95 % CI 224.0..240.2ms)"
    said = " ".join(failure.text.split())
    for line in text.render(gather(STREAMS["failed"])).splitlines()[2:5]:
        assert " ".join(line.split()) in said


def test_a_rule_that_only_reports_tells_in_its_output():
    """Proves that such a rule costs no job anything and still says what it saw."""
    case = parsed(STREAMS["failed"]).find(".//testcase[@name='score-range']")
    assert [child.tag for child in case] == ["system-out"]
    assert case.find("system-out").text.startswith("report only, failed:\nevery = 199 of 200")


def test_the_run_stands_in_the_properties():
    """Proves that a report says which run, revision and rule file it is of."""
    properties = {p.get("name"): p.get("value") for p in parsed(STREAMS["failed"]).iter("property")}
    assert properties["run.id"] == "gh-123"
    assert properties["run.label.branch"] == "main"
    assert properties["flow.file"] == "rules/fraud.yaml"


def test_names_are_unique_because_readers_drop_the_second():
    """Proves that equal rules of equally named flows, and a rule called like our own case, all stay."""
    twice = replace(SLOW, id="run-complete")
    numbered = replace(SLOW, id="run-complete #2")
    one = flow(SLOW, SLOW, twice, numbered, completeness=STREAMS["incomplete"][-2].completeness)
    names = [(c.get("classname"), c.get("name")) for c in parsed(stream(one, one)).iter("testcase")]
    assert len(names) == len(set(names)) == 10


def test_xunit2_keeps_to_what_strict_readers_allow():
    """Proves that no attribute outside the strict format is written: Jenkins' xunit plugin refuses them."""
    allowed = {
        "testsuites": {"name", "time", "tests", "failures", "errors"},
        "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"},
        "testcase": {"name", "time", "classname"},
        "failure": {"type", "message"},
        "property": {"name", "value"},
        "properties": set(),
        "system-out": set(),
    }
    for element in parsed(STREAMS["failed"], "xunit2").iter():
        assert set(element.attrib) <= allowed[element.tag], element.tag
    extended = parsed(STREAMS["failed"]).find(".//testcase")
    assert (extended.get("file"), extended.get("line")) == ("rules/fraud.yaml", "38")


def test_a_message_is_cut_at_its_limit():
    """Proves that no data makes a report too large to be read."""
    long = replace(
        SLOW, exhibits=(replace(SLOW.exhibits[0], key="é" * 10**6, value="v" * 10**6),) * 5, message="m" * 10**6
    )
    report = junit.render(gather(stream(flow(long))))
    assert len(report) < 20_000


@pytest.mark.parametrize("limit", range(40))
def test_cutting_never_splits_a_character(limit):
    """Proves that a cut text is whole UTF-8 and within its limit, wherever the cut falls."""
    cut = xml_text("aé漢🚚" * 10, limit)
    assert len(cut.encode()) <= max(limit, len("\n… (cut here)".encode()))


@given(streams())
def test_every_verdict_parses_and_counts_itself(events):
    """Proves with two parsers that any data gives sound XML whose counts are true."""
    report = junit.render(gather(events))
    assert not re.search("[^\n\x20-\x7e]", report)
    assert "##" not in report
    for root in (ET.fromstring(report), etree.fromstring(report.encode())):
        for element in (root, *root.iter("testsuite")):
            kinds = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
            assert {name: int(element.get(name)) for name in kinds} == {
                name: len(list(element.iter(tag))) for name, tag in kinds.items()
            }
        text_seen = "".join(root.itertext())
        assert "\x1b" not in text_seen
        assert "[[ATTACHMENT" not in text_seen


@given(streams())
def test_green_is_only_what_is_good(events):
    """Proves that a file without a failing case is always a complete run that passed or was skipped."""
    verdict = gather(events)
    root = parsed(events)
    if not (root.findall(".//failure") or root.findall(".//error")):
        assert verdict.finished.complete
        assert verdict.finished.outcome in {"passed", "skipped"}
