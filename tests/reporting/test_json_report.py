"""The JSON report: described by its schema, readable by everyone, and the way back to events."""

from __future__ import annotations

import copy
import io
import json
import random

import jsonschema
import pytest
from hypothesis import given

from reporting.hostile import streams
from reporting.streams import START, STREAMS
from spanverdict.reporting import jsonl, jsonreport
from spanverdict.reporting.jsonreport import UnreadableReportError
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.reporting.text import render as text_of
from spanverdict.reporting.verdict import gather

VALIDATOR = jsonschema.Draft7Validator(jsonreport.schema())


def closed(schema):
    """Return the schema with every object closed, so that a key it does not describe is an error."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **kept} if "properties" in kept else kept


CLOSED = jsonschema.Draft7Validator(closed(jsonreport.schema()))


def strict(text):
    def refused(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refused)


def test_the_schema_is_one():
    """Proves that the published schema is valid draft-07."""
    jsonschema.Draft7Validator.check_schema(jsonreport.schema())


@pytest.mark.parametrize("story", STREAMS)
def test_a_document_is_what_the_schema_says_and_nothing_else(story):
    """Proves that the schema describes every key that is written."""
    CLOSED.validate(strict(jsonreport.render(jsonreport.document(STREAMS[story]))))


def test_the_schema_refuses_what_is_no_report():
    """Proves that the schema can fail: a missing rule outcome and an unknown one are seen."""
    report = jsonreport.document(STREAMS["failed"])
    for spoil in (lambda rule: rule.pop("outcome"), lambda rule: rule.update(outcome="green")):
        spoiled = copy.deepcopy(report)
        spoil(spoiled["rules"][0])
        assert not VALIDATOR.is_valid(spoiled)


@given(streams())
def test_any_verdict_is_strict_json_by_the_schema(events):
    """Proves that no text or number of the data makes the report unreadable."""
    text = jsonreport.render(jsonreport.document(events))
    CLOSED.validate(strict(text))
    text.encode("ascii")
    assert "##" not in text


@pytest.mark.parametrize("story", [story for story in STREAMS if story != "hostile"])
def test_a_stored_report_gives_the_events_back(story):
    """Proves that nothing of a verdict is lost by storing it."""
    stored = jsonreport.render(jsonreport.document(STREAMS[story]))
    assert jsonreport.events_of(json.loads(stored)) == STREAMS[story]


@given(streams())
def test_storing_twice_changes_nothing(events):
    """Proves that any verdict read back gives the same document and the same text report."""
    report = jsonreport.document(events)
    again = jsonreport.events_of(json.loads(jsonreport.render(report)))
    assert jsonreport.document(again) == report


def test_a_stored_report_reads_the_same_as_the_first():
    """Proves that a stored verdict can be shown in any other format later."""
    stored = jsonreport.events_of(jsonreport.document(STREAMS["failed"]))
    assert text_of(gather(stored)) == text_of(gather(STREAMS["failed"]))


def test_the_order_of_labels_does_not_show():
    """Proves that equal verdicts are equal bytes, however their mappings were filled."""
    report = jsonreport.document(STREAMS["failed"])
    shuffled = list(report.items())
    random.Random(7).shuffle(shuffled)
    assert jsonreport.render(dict(shuffled)) == jsonreport.render(report)


def test_machine_values_stand_beside_the_text():
    """Proves what a program reads of a failed rule: base units observed, the condition expected."""
    rule = jsonreport.document(STREAMS["failed"])["rules"][0]
    assert rule["id"] == "end-to-end"
    assert rule["outcome"] == "failed"
    assert rule["observed"] == {"p95": 231_400_000, "p99": 640_700_000, "samples": 200}
    assert rule["expected"] == {"p95": "< 200ms", "p99": "< 500ms", "samples": ">= 100"}


def test_what_is_not_finite_is_null_and_its_text_stays():
    """Proves that NaN and infinity are not written as numbers and not hidden."""
    rule = jsonreport.document(STREAMS["hostile"])["rules"][0]
    assert rule["observed"] == {"p95": None, "max": None}
    assert rule["conditions"][1]["observed"] == "inf"


def test_times_keep_their_nanoseconds():
    """Proves that times are exact, though they are too large for a double."""
    run = jsonreport.document(STREAMS["passed"])["run"]
    assert (run["started"], run["ended"]) == ("2026-01-01T00:00:00.000000000Z", "2026-01-01T00:00:12.345678901Z")
    assert jsonreport.events_of(jsonreport.document(STREAMS["passed"]))[0].run.started_unix_nano == START


def test_flow_is_named_only_when_there_is_one():
    """Proves that `flow` is null for several flows and for none."""
    flows = {story: jsonreport.document(STREAMS[story])["flow"] for story in ("passed", "two_flows", "no_flow")}
    assert flows == {"passed": "fraud-scoring", "two_flows": None, "no_flow": None}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda report: report.update(schema_version=2), "schema_version 2"),
        (lambda report: report.pop("run"), "KeyError 'run'"),
        (lambda report: report["rules"].append(report["rules"][0]), "belong to no flow"),
        (lambda report: report["rules"][0].update(outcome="green"), "'green'"),
        (lambda report: report.update(flows=7), "TypeError"),
    ],
)
def test_what_is_no_report_is_refused_in_words(spoil, said):
    """Proves that a damaged or newer document is one clear error."""
    report = copy.deepcopy(jsonreport.document(STREAMS["failed"]))
    spoil(report)
    with pytest.raises(UnreadableReportError, match=said):
        jsonreport.events_of(report)


def test_lines_come_as_the_events_do():
    """Proves that JSON Lines can be followed: each event is on the stream before the next comes."""
    out = io.StringIO()
    reporter = jsonl.reporter(out, ReportOptions())
    for number, event in enumerate(STREAMS["failed"], 1):
        reporter.consume(event)
        assert out.getvalue().count("\n") == number
    lines = [strict(line) for line in out.getvalue().splitlines()]
    assert lines[0]["event"] == "run_started"
    assert lines[-1] | {"counts": 0, "defects": 0, "changes": 0, "clocks": 0} == {
        "changes": 0,
        "clocks": 0,
        "event": "run_finished",
        "outcome": "failed",
        "complete": True,
        "counts": 0,
        "defects": 0,
    }


@given(streams())
def test_lines_hold_the_same_rules_as_the_document(events):
    """Proves that both JSON formats say the same of a rule, one object a line whatever the data holds."""
    lines = [strict(jsonl.strict_json(jsonl.line_object(event))) for event in events]
    rules = [line["rule"] for line in lines if line["event"] == "rule_evaluated"]
    assert rules == jsonreport.document(events)["rules"]
