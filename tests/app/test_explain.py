"""What `explain` says of a rule, and of a diagnostic."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from scoring_traces import FLOW, document, resource, scoring, span
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.explain import explain_rule
from spanverdict.app.explaincode import explain_code
from spanverdict.app.sources import RunSpans
from spanverdict.app.uses import find_rule, uses
from spanverdict.checks.catalogue import CHECKS
from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.json import convert
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable


def flow(text: str = FLOW, name: str = "flow.yaml") -> Flow:
    problems = Problems()
    found = load(text, name, problems)
    assert found is not None, problems.sorted()
    return found


def with_rule(text: str) -> Flow:
    return flow(f"{FLOW.partition('rules:')[0]}rules:\n  - id: it\n    {text}\n")


def spans(resources: Sequence[dict] | None = None, expected: int | None = None) -> RunSpans:
    data = convert(json.loads(document(scoring() if resources is None else resources))).payload
    return RunSpans(RunInfo("demo-1", expected_requests=expected), decode(data, new_pool()).table)


def explained(rule: str, flow: Flow, run: RunSpans | None = None) -> str:
    return explain_rule(find_rule(rule, [flow])[1], flow, run or spans())


def section(text: str, title: str) -> str:
    """Return one part of an explanation, without the indentation."""
    (part,) = [part for part in text.split("\n\n") if part.startswith(title)]
    return part


@pytest.mark.parametrize(
    ("rule", "titles"),
    [
        ("{latency: request, expect: {p95: '< 1s'}}", ["stage ingest", "stage notify"]),
        ("{latency: {stage: score}, expect: {p95: '< 1s'}}", ["stage ingest", "stage score"]),
        (
            "{latency: {from: score.end, to: notify.start}, expect: {p95: '< 1s'}}",
            ["stage ingest", "stage score", "stage notify"],
        ),
        ("{latency: {critical_path: score}, expect: {p95: '< 50%'}}", ["stage ingest", "stage score"]),
        ("{latency: {critical_path: queue}, expect: {p95: '< 50%'}}", ["stage ingest"]),
        (
            "{latency: {attribute: span.x, unit: s, in: score}, expect: {p95: '< 1s'}}",
            ["stage ingest", "stage score"],
        ),
        (
            "{freshness: {stage: score, age: span.age, unit: s}, expect: {max: '< 1s'}}",
            ["stage ingest", "stage score"],
        ),
        ("{coverage: {stages: [notify]}, expect: {ratio: '>= 1%'}}", ["stage ingest", "stage notify"]),
        ("{coverage: {services: [ledger]}, expect: {ratio: '>= 1%'}}", ["stage ingest"]),
        (
            "{coverage: {attributes: [span.x]}, expect: {ratio: '>= 1%'}}",
            ["stage ingest", "stage score", "stage notify"],
        ),
        ("{output: {stage: score, value: span.score}, expect: {every: '0..1'}}", ["stage ingest", "stage score"]),
        ("{order: [score, notify], expect: {ratio: '>= 1%'}}", ["stage ingest", "stage score", "stage notify"]),
        ("{count: '{ span:status = error }', expect: {count: '== 0'}}", ["stage ingest", "count"]),
        ("{count: {of: {name: predict}, per: request}, expect: {max: '<= 2'}}", ["stage ingest", "count"]),
        (
            "{ratio: {of: '{ span.a = 1 }', over: '{ span.a != nil }'}, expect: {ratio: '>= 1%'}}",
            ["stage ingest", "ratio of", "ratio over"],
        ),
        ("{throughput: {name: predict}, expect: {rate: '> 1'}}", ["stage ingest", "throughput"]),
        ("{pass_rate: {window: 7d}, expect: {ratio: '>= 1%'}}", ["stage ingest"]),
        ("{burn_rate: {objective: 99%, short: 1h, long: 1d}, expect: {min: '< 2'}}", ["stage ingest"]),
        (
            "{attribute: {stage: score, value: span.x}, expect: {max: '< 1'}, where: '{ span.y = 1 }'}",
            ["stage ingest", "stage score", "where"],
        ),
    ],
)
def test_a_rule_shows_every_selector_that_it_uses(rule: str, titles: list[str]) -> None:
    judging = flow(f"{FLOW.partition('rules:')[0]}rules:\n  - {{id: it, {rule[1:]}\n")
    found = uses(judging.rules[0], judging)
    assert [use.title for use in found] == titles
    text = explained("it", judging)
    assert [part.partition("\n")[0].partition("   ")[0] for part in text.split("\n\n")[1:]] == [*titles, "measured"]
    assert re.search(r"^  samples   \d", text, re.MULTILINE)


def test_every_measure_is_tried_above() -> None:
    source = test_a_rule_shows_every_selector_that_it_uses.pytestmark[0].args[1]
    assert {check.key for check in CHECKS} == {key for rule, _ in source for key in re.findall(r"^\{(\w+):", rule)}


def test_a_rule_is_named_by_its_id_or_with_its_flow() -> None:
    first, second = flow(), flow(FLOW.replace("flow: scoring", "flow: canary"), "canary.yaml")
    assert find_rule("end-to-end", [first])[1].id == "end-to-end"
    assert find_rule("canary/end-to-end", [first, second])[0] is second
    with pytest.raises(CommandError, match=r"several flows have a rule end-to-end; say which: scoring/end-to-end, can"):
        find_rule("end-to-end", [first, second])
    with pytest.raises(CommandError, match="there is no rule end-to-ned; did you mean `end-to-end`"):
        find_rule("end-to-ned", [first])
    with pytest.raises(CommandError, match="the rules are scoring/whole-path, scoring/end-to-end"):
        find_rule("zzzzzzzz", [first])


def test_a_stage_shows_what_it_matched_missed_and_nearly_matched() -> None:
    near = "1 span matches all but `span:kind = consumer`: span:kind is internal in 1"
    assert section(explained("whole-path", flow()), "stage notify").splitlines() == [
        "stage notify   requests end here, >= 1 in each request   flow.yaml:8:5",
        '  { resource.service.name = "ledger" && span:name = "notify" && span:kind = consumer }',
        "  matched   2 spans, in 2 of 4 requests",
        f"            e.g. notify of ledger, 5ms (trace {11:032x}, span {18:016x})",
        f"            e.g. notify of ledger, 5ms (trace {14:032x}, span {66:016x})",
        f"  missed    2 of 4 requests, e.g. order-2 (trace {2:032x}), order-3 (trace {3:032x})",
        f"  nearest   {near}; 1 in requests without a match",
        f"            e.g. notify of ledger, 5ms (trace {12:032x}, span {34:016x})",
    ]


def test_structure_is_looked_at_in_stitched_requests() -> None:
    of = '{ span:name = "POST /score" } >> { span:name = "notify" }'
    text = explained("it", with_rule(f"count: '{of}'\n    expect: {{count: '>= 1'}}"))
    assert "  matched   3 spans, in 3 of 4 requests" in section(text, "count")


def test_the_head_says_what_the_rule_expects_of_which_run_and_how_it_came_out() -> None:
    text = explained("whole-path", flow(), spans(expected=5))
    assert text.split("\n\n")[0].splitlines() == [
        "rule      scoring/whole-path   flow.yaml:13:5",
        "          Every order reaches the ledger",
        "measure   coverage",
        "expect    ratio >= 99%",
        "run       demo-1: 11 spans, 4 of 5 expected requests",
        "outcome   FAILED  ratio = 40 %, expected >= 99% (n = 5 requests): missing: notify in 2; 1 of 5 never arrived",
    ]
    assert "  missed    2 of 4 requests" in section(text, "stage notify")
    assert "            1 request of 5 expected never arrived" in section(text, "stage notify")


def test_what_was_measured_shows_samples_missing_and_worst_though_the_rule_passed() -> None:
    lines = section(explained("end-to-end", flow()), "measured").splitlines()
    assert lines[:5] == [
        "measured",
        "  samples   2 requests",
        "  missing   2 have no stage notify",
        "            e.g. order-2, order-3",
        "  values    75ms … 75ms … 75ms (smallest, middle, largest)",
    ]
    assert lines[5].startswith(f"  worst     order-1 (trace {11:032x}) 75ms")
    assert lines[6].startswith(f"            order-4 (trace {14:032x}) 75ms")


def test_where_narrows_what_was_measured() -> None:
    judging = with_rule("latency: request\n    where: '{ span.order.id = \"order-4\" }'\n    expect: {max: '< 1s'}")
    text = explained("it", judging)
    assert "  matched   1 span, in 1 of 4 requests" in section(text, "where")
    assert "  samples   1 request\n  missing   0" in section(text, "measured")


def test_truths_texts_and_numbers_are_each_summed_up() -> None:
    ratio = section(explained("cache-hits", flow()), "measured")
    assert "  values    3 true, 1 false" in ratio
    texts = with_rule("output: {stage: ingest, value: span.order.id}\n    expect: {every: 'matches /order-./'}")
    assert "'order-1' in 1, 'order-2' in 1" in section(explained("it", texts), "measured")
    numbers = with_rule("attribute: {stage: score, value: span.score}\n    expect: {max: '< 1'}")
    assert "  values    0.1 … 0.2 … 0.4 (smallest, middle, largest)" in explained("it", numbers)


def test_every_group_has_its_outcome() -> None:
    judging = with_rule("latency: {stage: score}\n    per: span.cache.hit\n    expect: {max: '< 1s'}")
    lines = explained("it", judging).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("outcome"))
    assert lines[at].startswith("outcome   it[false]  PASSED")
    assert lines[at + 1].startswith("          it[true]  PASSED")


def test_spans_that_a_stage_cannot_use_are_named() -> None:
    unfinished = {**span((1, 17), "predict", "internal", 110, 1, parent=16), "endTimeUnixNano": "0"}
    stray = span((70, 1), "predict", "internal", 1, 2)
    ingest = span((1, 16), "POST /score", "server", 100, 50, order__id="o-1")
    run = spans([resource("gateway", [ingest]), resource("scorer", [unfinished, stray])])
    text = section(explained("whole-path", flow(), run), "stage score")
    assert "matched   2 spans, in 1 of 1 request" in text
    assert f"1 of them belongs to no request, e.g. predict of scorer, 2ms (trace {70:032x}" in text
    assert "1 of them never ended or have impossible times, and do not count" in text


def test_where_no_request_starts_the_near_misses_say_why() -> None:
    judging = flow(FLOW.replace("{service: gateway, kind: server}", "{service: gateway, kind: client}"))
    text = section(explained("whole-path", judging), "stage ingest")
    assert "  matched   0 spans, in 0 of 0 requests" in text
    assert "  nearest   4 spans match all but `span:kind = client`: span:kind is server in 4" in text


def test_a_run_without_spans_is_explained_too() -> None:
    run = RunSpans(RunInfo("empty"), SpanTable.empty(new_pool()))
    text = explained("whole-path", flow(), run)
    assert "run       empty: 0 spans, 0 requests" in text
    assert "outcome   INCONCLUSIVE" in text


@pytest.mark.parametrize("rule", ["whole-path", "end-to-end", "score-range", "cache-hits"])
def test_nothing_that_came_with_a_span_commands_the_terminal(rule: str) -> None:
    bad = "\x1b[31m\r\n::error::\u202e\x00"
    ingest = span((1, 16), bad, "server", 100, 50, order__id=bad)
    predict = span((1, 17), "predict", "internal", 110, 5, parent=16, score=bad, cache__hit=bad)
    text = explained(rule, flow(), spans([resource("gateway", [ingest]), resource("scorer", [predict])]))
    assert text.replace("\n", "").isprintable()
    assert "\n::" not in text


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_explained(code: str, capsys) -> None:
    assert explain_code(code.lower()) is ExitCode.PASSED
    assert capsys.readouterr().out.startswith(f"{code}: {CODES[code]}\n\n")


@pytest.mark.parametrize("name", ["SV999", "whole-path", ""])
def test_what_is_no_code_says_what_to_give(name: str) -> None:
    with pytest.raises(CommandError, match=r"is not the code of a diagnostic \(.*\); for a rule give --rules PATH"):
        explain_code(name)
