"""Reports name the golden file that a rule was judged by, its digest, and the keys that only one side has."""

from __future__ import annotations

import io

import jsonschema

from goldenruns import flow_with, lines, rule
from ruleruns import Row, events, scores
from spanverdict.reporting import jsonreport, text
from spanverdict.reporting.catalogue import REPORTERS
from spanverdict.reporting.jsonreport import document, events_of
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.reporting.revision import changes
from spanverdict.reporting.verdict import gather

RECORDS = {"r-1": 0.5, "r-2": 0.5, "r-9": 0.5}


def report(rows: list[Row], records: dict[str, float], name: str = "text") -> str:
    stream = io.StringIO()
    reporter = REPORTERS[name](stream, ReportOptions())
    for event in events(rows, flow_with(rule(how="tolerance: 0.01"), lines(records))):
        reporter.consume(event)
    return stream.getvalue()


def test_a_verdict_with_a_golden_file_is_written_and_read_back() -> None:
    stream = events(scores([0.5, 0.9]), flow_with(rule(), lines(RECORDS)))
    written = document(stream)
    jsonschema.validate(written, jsonreport.schema())
    golden = written["rules"][0]["golden"]
    assert (golden["file"], golden["records"], len(golden["sha256"])) == ("rules/golden/scores.jsonl", 3, 64)
    assert golden["note"] == "1 of 2 answers differ; no request has the 1 golden key r-9"
    assert events_of(written)[:-1] == stream[:-1]


def test_a_failed_comparison_is_explained() -> None:
    said = report(scores([0.5, 0.83, 0.1]), RECORDS)
    assert "ratio = 33.33 %, expected >= 99%" in said
    assert "r-2 (trace 00000000…) expected 0.5, got 0.83 (tolerance 0.01)" in said
    assert "r-9 expected 0.5, got nothing: no request of the run has this key" in said
    assert "golden: rules/golden/scores.jsonl (3 records, sha256 " in said
    assert "1 request not in the golden file: r-3" in said


def test_a_pass_names_the_file_and_what_it_did_not_know() -> None:
    said = report(scores([0.5, 0.5, 0.1]), {"r-1": 0.5, "r-2": 0.5})
    assert "PASSED" in said
    assert "golden: rules/golden/scores.jsonl (2 records, sha256 " in said
    assert "1 request not in the golden file: r-3" in said
    assert "golden: rules/golden/scores.jsonl" in report(scores([0.5, 0.5]), {"r-1": 0.5, "r-2": 0.5}, "junit")


def test_every_format_takes_such_a_verdict() -> None:
    for name in REPORTERS:
        assert report(scores([0.5, 0.83]), RECORDS, name), name


def test_another_golden_file_is_a_change_between_revisions() -> None:
    one, other = (
        document(events(scores([0.5]), flow_with(rule(how="tolerance: 1"), lines({"r-1": v})))) for v in (0.5, 0.6)
    )
    assert list(changes(one, other)) == ["the golden file of rule r of flow scoring was changed in between"]
    assert gather(events_of(one)).results[0].golden is not None
    assert text.render(gather(events_of(one)))
