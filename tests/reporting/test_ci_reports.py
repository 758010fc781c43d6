"""GitHub annotations, Markdown, TAP and CTRF, as their readers read them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from markdown_it import MarkdownIt

from reporting.hostile import streams
from reporting.streams import SLOW, STREAMS, flow, stream
from spanverdict.evaluation.outcomes import Severity
from spanverdict.reporting import ctrf, github, markdown, tap
from spanverdict.reporting.verdict import gather

COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def annotations(events):
    return [COMMAND.fullmatch(line).groups() for line in github.render(gather(events)).splitlines()]


def test_an_annotation_stands_at_the_rule():
    """Proves that GitHub shows a failure at the rule's line, with the story beneath."""
    kind, properties, message = annotations(STREAMS["failed"])[0]
    assert kind == "error"
    assert properties == "file=rules/fraud.yaml,line=38,col=5,title=end-to-end failed"
    assert message.split("%0A")[0] == "p95 = 231.4ms, expected < 200ms   (n = 200 requests, 95 %25 CI 224.0..240.2ms)"


def test_kinds_follow_what_a_job_should_do():
    """Proves that undecided rules warn, report-only rules are notices, and an incomplete run is an error."""
    assert [kind for kind, _, _ in annotations(STREAMS["inconclusive"])] == ["warning"] * 3
    assert annotations(STREAMS["failed"])[-1][0] == "notice"
    assert annotations(STREAMS["incomplete"])[0][:2] == (
        "error",
        "file=rules/fraud.yaml,line=1,col=1,title=fraud-scoring incomplete",
    )


def test_github_gets_ten_with_the_gravest_first():
    """Proves that the limit never hides a critical failure, nor that there are more."""
    minor = [replace(SLOW, id=f"minor-{n}", severity=Severity.INFO) for n in range(15)]
    shown = annotations(stream(flow(*minor, SLOW)))
    assert len(shown) == 10
    assert "title=end-to-end failed" in shown[0][1]
    assert shown[-1][2] == "7 more are in the step summary and the report"


@given(streams())
def test_every_line_is_one_of_our_commands(events):
    """Proves that no data starts a command of its own or spoils the properties of ours."""
    for line in github.render(gather(events)).split("\n")[:-1]:
        kind, properties, _ = COMMAND.fullmatch(line).groups()
        assert kind in {"error", "warning", "notice"}
        keys = [part.partition("=")[0] for part in properties.split(",")]
        assert keys in (["title"], ["file", "line", "col", "title"])


@given(streams())
def test_markdown_shows_data_as_text(events):
    """Proves that no data becomes HTML, an image, code or a link to anywhere but a runbook."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    parsed = tokens.parse(markdown.render(gather(events)))
    inline = [child for token in parsed for child in token.children or ()]
    found = {token.type for token in (*parsed, *inline)}
    assert not found & {"html_block", "html_inline", "image", "code_inline", "fence", "s_open", "em_open"}
    linked = {token.attrGet("href") for token in inline if token.type == "link_open"}
    assert all(href.startswith(("http://", "https://")) for href in linked)


def test_markdown_links_the_runbook():
    """Proves that a failure's runbook is one click away, and only over http."""
    assert "[runbook](<https://runbooks.example/scoring-latency>)" in markdown.render(gather(STREAMS["failed"]))
    assert "[runbook]" not in markdown.render(gather(STREAMS["hostile"]))


def test_a_summary_that_is_too_long_is_cut_and_says_so():
    """Proves that GitHub's limit on a summary is kept at a whole line."""
    whole = markdown.render(gather(STREAMS["failed"]))
    cut = markdown.render(gather(STREAMS["failed"]), most_bytes=1_000)
    assert len(cut.encode()) <= 1_000
    assert whole.startswith(cut[: cut.index("\n… The rest")])


def points(report):
    return [line for line in report.split("\n") if re.match(r"(not )?ok\b", line)]


def test_tap_marks_what_a_harness_must_not_count():
    """Proves that a report-only failure is TODO and a skipped rule SKIP."""
    assert "not ok 7 - fraud-scoring / score-range # TODO report only" in points(tap.render(gather(STREAMS["failed"])))
    assert points(tap.render(gather(STREAMS["skipped"])))[-1].endswith("# SKIP the model has no golden file yet")


@given(streams())
def test_tap_keeps_its_plan_and_its_yaml(events):
    """Proves that any data gives as many numbered points as planned, with readable blocks and no directive of its own."""
    verdict = gather(events)
    report = tap.render(verdict)
    version, plan, *rest = report.split("\n")
    assert (version, plan) == ("TAP version 14", f"1..{len(points(report))}")
    assert [int(re.search(r"\d+", line)[0]) for line in points(report)] == list(range(1, len(points(report)) + 1))
    blocks = re.findall(r"^  ---\n(.*?)^  \.\.\.$", report, re.MULTILINE | re.DOTALL)
    assert all(yaml.safe_load(block)["message"] is not None for block in blocks)
    directives = sum(bool(re.search(r"(?<!\\)# (TODO|SKIP)", line)) for line in points(report))
    assert directives == verdict.reported_only + sum(r.outcome == "skipped" for r in verdict.results)
    assert rest[-2].startswith("# ")


@pytest.mark.parametrize("story", STREAMS)
def test_ctrf_has_what_the_format_demands(story):
    """Proves the required keys and their types, and that the summary adds up."""
    report = json.loads(ctrf.render(gather(STREAMS[story]), "0.1.0"))
    assert (report["reportFormat"], report["specVersion"]) == ("CTRF", "1.0.0")
    results = report["results"]
    assert results["tool"] == {"name": "spanverdict", "version": "0.1.0"}
    summary = results["summary"]
    statuses = ("passed", "failed", "skipped", "pending", "other")
    assert summary["tests"] == len(results["tests"]) == sum(summary[status] for status in statuses)
    assert isinstance(summary["start"], int)
    for test in results["tests"]:
        assert test["name"]
        assert test["status"] in statuses
        assert isinstance(test["duration"], int)


@given(streams())
def test_neither_tap_nor_ctrf_is_green_without_reason(events):
    """Proves that where nothing is not ok, the run was complete and good."""
    verdict = gather(events)
    not_ok = [line for line in points(tap.render(verdict)) if line.startswith("not ok") and "# TODO" not in line]
    failed = json.loads(ctrf.render(verdict))["results"]["summary"]["failed"]
    assert bool(not_ok) == bool(failed)
    assert not_ok or verdict.good
