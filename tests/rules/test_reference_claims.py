"""What the reference says in words about judging, shown on runs so small that a reader can check them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from spantables import table_of
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import FlowFinished, RuleEvaluated, RuleResult, RunInfo
from spanverdict.rulefiles.loader import load

MS = 1_000_000
BEGIN = 1_772_442_000_000 * MS
FLOW = """
version: 1
flow: claims
stages:
  - {stage: first, select: {service: first}}
  - {stage: maybe, select: {service: maybe}, count: ">= 0"}
  - {stage: last, select: {service: last}}
request: {key: span.key, correlate: [span.order]}
rules: [{rules}]
"""
Row = dict[str, Any]


def judge(*rules: str, spans: Iterable[Row], expected: int | None = None) -> tuple[list[RuleResult], str]:
    """Judge rules, each written as a flow mapping without braces and id; return the results and the flow's outcome."""
    written = ", ".join(f"{{id: r{number}, {rule}}}" for number, rule in enumerate(rules))
    problems = Problems()
    flow = load(FLOW.replace("{rules}", written), "claims.yaml", problems)
    assert flow is not None, [found.message for found in problems.sorted()]
    events = list(evaluate([flow], table_of(list(spans)), replace(RunInfo("run"), expected_requests=expected)))
    (end,) = [event for event in events if isinstance(event, FlowFinished)]
    return [event.result for event in events if isinstance(event, RuleEvaluated)], end.outcome.value


def outcome(rule: str, spans: Iterable[Row], expected: int | None = None) -> str:
    (result,), _ = judge(rule, spans=spans, expected=expected)
    return result.outcome.value


def span(request: int | str, number: int, service: str, *, at: float = 0, took: float = 10, **more: Any) -> Row:
    """Write a span; `at` and `took` are milliseconds."""
    start = BEGIN + round(at * MS)
    return {
        "trace": str(request),
        "id": number,
        "resource": {"service.name": service},
        "start": start,
        "end": start + round(took * MS),
        **more,
    }


def request(number: int, took: float = 10, *, last: bool = True, **more: Any) -> list[Row]:
    """Write a request of two stages that takes `took` ms in all; the last one may be missing."""
    found = [span(number, 1, "first", took=1, **more)]
    return [*found, span(number, 2, "last", at=took - 1, took=1, parent=1)] if last else found


def requests(count: int, *, lost: int = 0, took: float = 10) -> list[Row]:
    """Write so many whole requests, and so many that lack their last stage."""
    return [row for n in range(count + lost) for row in request(n, took, last=n < count)]


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ('p95: "< 20ms"', "passed"),
        ('p95: "< 5ms"', "failed"),
        ('max: "< 20ms"', "inconclusive"),
        ('max: "< 5ms"', "failed"),
        ('min: "> 1ms"', "inconclusive"),
        ('min: "> 15ms"', "failed"),
        ('mean: "< 20ms"', "inconclusive"),
        ('mean: "< 5ms"', "inconclusive"),
        ('sum: "< 1h"', "inconclusive"),
        ('stddev: "< 1h"', "inconclusive"),
        ('every: "< 20ms"', "inconclusive"),
        ('every: "< 5ms"', "failed"),
        ('any: "< 20ms"', "passed"),
        ('any: "< 5ms"', "inconclusive"),
        ('none: "> 20ms"', "inconclusive"),
        ('none: "> 5ms"', "failed"),
    ],
)
def test_one_missing_value_of_200(expect: str, said: str) -> None:
    """Proves the table of *Missing data* for measures that can miss values."""
    assert outcome(f"latency: request, expect: {{{expect}}}", requests(199, lost=1)) == said


@pytest.mark.parametrize(
    ("expect", "lost", "said"),
    [
        ('ratio: ">= 95%"', 1, "passed"),
        ('ratio: ">= 100%"', 1, "inconclusive"),
        ('ratio: "< 95%"', 1, "failed"),
        ('count: ">= 19"', 1, "passed"),
        ('count: ">= 20"', 1, "inconclusive"),
        ('count: ">= 21"', 1, "failed"),
        ('every: "== true"', 1, "inconclusive"),
    ],
)
def test_shares_and_counts_with_missing_values(expect: str, lost: int, said: str) -> None:
    assert outcome(f"order: [first, last], expect: {{{expect}}}", requests(20 - lost, lost=lost)) == said


def test_an_optional_stage_is_not_missed() -> None:
    rows = [*requests(3), span(0, 3, "maybe", parent=1)]
    assert outcome('latency: {stage: maybe}, expect: {max: "< 20ms"}', rows) == "passed"
    assert outcome('order: all, expect: {every: "== true"}', rows) == "passed"
    assert outcome("coverage: {stages: all}, expect: {every: '== true'}", rows) == "passed"


def test_requests_that_never_arrived_are_missing_and_not_covered() -> None:
    assert outcome('latency: request, expect: {max: "< 20ms"}', requests(3), expected=4) == "inconclusive"
    assert (
        outcome("count: {of: {service: last}, per: request}, expect: {max: '<= 1'}", requests(3), 4) == "inconclusive"
    )
    assert outcome("coverage: {stages: all}, expect: {ratio: '>= 75%'}", requests(3), 4) == "passed"
    assert outcome("coverage: {stages: all}, expect: {ratio: '> 75%'}", requests(3), 4) == "failed"


def test_where_is_not_matched_by_what_never_arrived() -> None:
    rule = "coverage: {stages: all}, where: '{ span:name = \"span\" }', expect: {every: '== true'}"
    assert outcome(rule, requests(3), expected=4) == "passed"


def test_nothing_to_judge_is_what_the_rule_says() -> None:
    """Proves that no data fails, unless the rule or an empty run says otherwise."""
    for written, said in {"": "failed", ", on_no_data: skip": "skipped", ", on_no_data: pass": "passed"}.items():
        assert outcome(f'latency: {{stage: maybe}}, expect: {{max: "< 1s"}}{written}', requests(2)) == said
    assert outcome('latency: request, expect: {max: "< 1s"}', []) == "inconclusive"
    assert outcome("ratio: {of: '{ span.hit = true }', over: '{ span.hit != nil }'}, expect: {ratio: '> 1%'}", requests(2)) == "failed"  # fmt: skip


def test_a_flow_of_which_nothing_was_judged_has_not_passed() -> None:
    _, said = judge('latency: request, expect: {max: "< 1s"}, skip: "not yet"', spans=requests(2))
    assert said == "inconclusive"


def test_too_few_samples_leave_even_a_failure_open() -> None:
    assert outcome('latency: request, expect: {max: "< 5ms", samples: ">= 3"}', requests(2)) == "inconclusive"
    assert outcome('latency: request, expect: {max: "< 5ms", samples: ">= 2"}', requests(2)) == "failed"


def test_report_only_costs_the_flow_nothing() -> None:
    passing = 'latency: request, expect: {max: "< 1s"}'
    results, said = judge(passing, 'latency: request, expect: {max: "< 5ms"}, report_only: true', spans=requests(2))
    assert [result.outcome.value for result in results] == ["passed", "failed"]
    assert said == "passed"


def test_a_flow_is_as_good_as_the_worst_of_its_rules() -> None:
    rules = ['latency: request, expect: {max: "< 1s"}', 'latency: request, expect: {max: "< 5ms"}']
    assert judge(*rules, spans=requests(2))[1] == "failed"


def test_what_cannot_be_right_never_lets_a_rule_pass() -> None:
    """Proves it for negative latencies, and for texts where numbers are needed."""
    wrong = [*requests(3), span(9, 1, "first", at=50, took=1), span(9, 2, "last", at=10, took=1, parent=1)]
    rule = "latency: {from: first.start, to: last.start}, expect: "
    assert outcome(rule + '{max: "< 20ms"}', wrong) == "inconclusive"
    assert outcome(rule + '{max: "< 5ms"}', wrong) == "failed"
    text = [*requests(1), *request(5, attributes={"size": "large"}), *request(6, attributes={"size": 3})]
    assert outcome("attribute: {stage: first, value: span.size}, expect: {any: '== 3'}", text) == "inconclusive"
    assert outcome("attribute: {stage: first, value: span.size}, expect: {none: '== 3'}", text) == "failed"


@pytest.mark.parametrize(
    ("of", "value"), [("extent", "40ms"), ("sum", "45ms"), ("busy", "35ms"), ("self", "41ms"), (None, "40ms")]
)
def test_the_times_of_a_stage(of: str | None, value: str) -> None:
    """Two spans overlap for 10 ms, a third follows after a gap of 5 ms; a child covers 4 ms of the first."""
    rows = [
        *request(1),
        span(1, 3, "maybe", at=0, took=20, parent=1),
        span(1, 4, "maybe", at=10, took=15, parent=1),
        span(1, 5, "maybe", at=30, took=10, parent=1),
        span(1, 6, "other", at=2, took=4, parent=3),
    ]
    time = "" if of is None else f", of: {of}"
    assert outcome(f'latency: {{stage: maybe{time}}}, expect: {{every: "== {value}"}}', rows) == "passed"


def test_each_span_of_a_stage_by_itself() -> None:
    rows = [*request(1), span(1, 3, "maybe", took=20, parent=1), span(1, 4, "maybe", took=5, parent=1)]
    rule = 'latency: {stage: maybe, of: each}, expect: {min: "== 5ms", max: "== 20ms", samples: "== 2"}'
    assert outcome(rule, rows) == "passed"


def test_a_duration_that_a_span_carries() -> None:
    rows = request(1, attributes={"wait": 1.5})
    assert outcome('latency: {attribute: span.wait, unit: s, in: first}, expect: {max: "== 1.5s"}', rows) == "passed"
    assert outcome('latency: {attribute: span.wait, unit: ms, in: first}, expect: {max: "== 1500us"}', rows) == "passed"


FRESH = "freshness: {stage: first, "


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ("age: span.v, unit: s}, expect: {max: '== 12.5s'}", 12.5, "passed"),
        ("age: span.v, unit: s}, expect: {max: '== 9s'}", [3, 9, 1], "passed"),
        ("updated_at: span.v, unit: ns}, expect: {max: '== 5ms'}", BEGIN - 5 * MS, "passed"),
        ("updated_at: span.v, unit: ns, at: end}, expect: {max: '== 6ms'}", BEGIN - 5 * MS, "passed"),
        ("updated_at: span.v, unit: ms}, expect: {max: '== 7ms'}", BEGIN // MS - 7, "passed"),
        ("updated_at: span.v, unit: rfc3339}, expect: {max: '== 1h'}", "2026-03-02T08:00:00Z", "passed"),
        ("updated_at: span.v, unit: ns}, expect: {max: '< 1s', samples: '>= 0'}", BEGIN + MS, "failed"),
        ("updated_at: span.v, unit: ns, skew: 1ms}, expect: {max: '== 0s'}", BEGIN + MS, "passed"),
        ("updated_at: span.v, unit: s}, expect: {max: '< 1000000h'}", -5, "failed"),
    ],
)
def test_ages_of_features(rule: str, value: object, said: str) -> None:
    """Proves units, moments, arrays, skew; what cannot be right is left out, and alone is nothing to judge."""
    assert outcome(FRESH + rule, request(1, attributes={"v": value})) == said


def test_features_from_the_future_leave_the_others_in_doubt() -> None:
    rows = [*request(1, attributes={"v": BEGIN - MS}), *request(2, attributes={"v": BEGIN + MS})]
    assert outcome(FRESH + "updated_at: span.v, unit: ns}, expect: {any: '== 1ms'}", rows) == "inconclusive"


def test_coverage_asks_for_stages_attributes_services_and_parents() -> None:
    rows = [*request(1, attributes={"v": 1}), *request(2), span(3, 1, "first"), span(3, 2, "last", parent=77)]
    for asked, count in {
        "stages: all": 3,
        "stages: first, attributes: [span.v]": 1,
        "services: [first, last]": 3,
        "no_orphans: true": 2,
    }.items():
        assert outcome(f"coverage: {{{asked}}}, expect: {{count: '== {count}', samples: '== 3'}}", rows) == "passed"


def test_the_output_is_that_of_the_last_attempt_that_did_not_fail() -> None:
    rows = [
        *request(1),
        span(1, 3, "last", at=20, parent=1, attributes={"label": "good"}),
        span(1, 4, "last", at=40, parent=1, attributes={"label": "late"}, status="error"),
        span(1, 5, "last", at=60, parent=1),
    ]
    assert outcome("output: {stage: last, value: span.label}, expect: {every: '== good'}", rows) == "passed"


def test_an_array_satisfies_a_condition_with_all_of_its_values() -> None:
    rows = request(1, attributes={"labels": ["a", "b"]})
    assert outcome("output: {stage: first, value: span.labels}, expect: {every: [a, b]}", rows) == "passed"
    assert outcome("output: {stage: first, value: span.labels}, expect: {every: [a, c]}", rows) == "failed"


@pytest.mark.parametrize(("value", "said"), [(2, "passed"), (1, "failed"), ("2", "failed"), (float("nan"), "failed")])
def test_another_type_and_what_is_not_finite_satisfy_no_condition(value: object, said: str) -> None:
    rows = request(1, attributes={"v": value})
    assert outcome("output: {stage: first, value: span.v}, expect: {every: '!= 1'}", rows) == said


def test_equal_starts_are_in_order() -> None:
    rows = [span(1, 1, "first"), span(1, 2, "last", parent=1)]
    assert outcome("order: [first, last], expect: {every: '== true'}", rows) == "passed"
    assert outcome("order: [last, first], expect: {every: '== true'}", rows) == "passed"
    assert outcome("order: [last, first], expect: {every: '== true'}", request(2, took=30)) == "failed"


BATCH = [
    span("a", 1, "first", kind="producer"),
    span("b", 1, "first", kind="producer"),
    span("c", 1, "last", at=20, kind="consumer", links=[{"trace": "a", "id": 1}, {"trace": "b", "id": 1}]),
]


def test_a_shared_span_counts_once_in_the_run_and_in_each_request() -> None:
    assert outcome("count: {service: last}, expect: {count: '== 1'}", BATCH) == "passed"
    assert outcome("count: {of: {service: last}, per: run}, expect: {count: '== 1'}", BATCH) == "passed"
    assert outcome("count: {of: {service: last}, per: request}, expect: {every: '== 1', samples: '== 2'}", BATCH) == "passed"  # fmt: skip
    assert outcome("latency: {stage: last, of: each}, expect: {samples: '== 2', max: '== 10ms'}", BATCH) == "passed"


def test_what_is_specific_beats_the_shared_parent() -> None:
    """Proves that a span below a batch belongs only to the request that its own link names."""
    own = [span("c", number, "maybe", at=25, parent=1, links=[{"trace": trace, "id": 1}]) for number, trace in ((2, "a"), (3, "b"))]  # fmt: skip
    assert outcome("count: {of: {service: maybe}, per: request}, expect: {every: '== 1'}", [*BATCH, *own]) == "passed"


def test_messages_join_traces_without_links() -> None:
    message = {"messaging.message.id": "m1"}
    rows = [
        span("a", 1, "first", kind="producer", attributes=message),
        span("b", 1, "last", at=20, kind="consumer", attributes=message),
    ]
    assert outcome("coverage: {stages: all}, expect: {every: '== true', samples: '== 1'}", rows) == "passed"


def test_traces_that_share_a_key_are_one_request() -> None:
    """Proves it for a trace without an ingest span, and for two ingest spans with the same key."""
    order = {"order": "o1"}
    rows = [
        span("a", 1, "first", attributes=order),
        span("b", 1, "first", at=5, attributes=order),
        span("c", 1, "last", at=20, attributes=order),
    ]
    assert outcome("coverage: {stages: all}, expect: {every: '== true', samples: '== 1'}", rows) == "passed"
    assert outcome("latency: request, expect: {max: '== 30ms', samples: '== 1'}", rows) == "passed"


def test_an_orphan_joins_the_only_request_of_its_trace() -> None:
    rows = [span(1, 1, "first"), span(1, 2, "last", parent=77)]
    assert outcome("coverage: {stages: all}, expect: {every: '== true', samples: '== 1'}", rows) == "passed"
    two = [*rows, span(1, 3, "first", at=50)]
    assert outcome("coverage: {stages: all}, expect: {count: '== 0', samples: '== 2'}", two) == "passed"


def test_a_span_without_usable_times_is_part_of_no_stage() -> None:
    start = BEGIN + 5 * MS
    for end in (0, start - 1, 2**63 - 1):
        rows = [span(1, 1, "first"), span(1, 2, "last", at=5, parent=1, end=end)]
        assert outcome("coverage: {stages: last}, expect: {count: '== 0'}", rows) == "passed"


def test_a_request_within_a_request_is_one() -> None:
    rows = [*request(1), span(1, 3, "first", at=2, parent=2)]
    assert outcome("coverage: {stages: all}, expect: {samples: '== 1', every: '== true'}", rows) == "passed"


def test_throughput_is_over_the_whole_time_of_the_run() -> None:
    rows = [*requests(4), span(9, 1, "other", took=2000)]
    assert outcome("throughput: {service: first}, expect: {rate: '== 2'}", rows) == "passed"


def test_groups_go_by_the_span_and_then_by_the_request() -> None:
    rows = [
        *request(1, attributes={"tier": "gold"}),
        *request(2),
        span(1, 3, "maybe", parent=1, attributes={"tier": "other"}),
        span(1, 4, "maybe", parent=1),
        span(2, 3, "maybe", parent=1),
    ]
    results, _ = judge("latency: {stage: maybe, of: each}, per: span.tier, expect: {max: '< 1s'}", spans=rows)
    assert [(result.group, result.samples) for result in results] == [("(none)", 1), ("gold", 1), ("other", 1)]


def test_a_hundred_groups_are_judged_and_the_others_named() -> None:
    rows = [row for n in range(102) for row in request(n, attributes={"tier": f"t{n:03}"})]
    results, _ = judge("latency: request, per: span.tier, expect: {max: '< 1s'}", spans=rows)
    assert [result.outcome.value for result in results] == ["passed"] * 100 + ["inconclusive"]
    assert "t100, t101" in results[-1].message


def test_a_request_is_named_by_the_first_value_of_its_key() -> None:
    results, _ = judge('latency: request, expect: {max: "< 5ms"}', spans=request(1, attributes={"key": "order-7"}))
    assert [exhibit.key for exhibit in results[0].exhibits] == ["order-7"]


def test_labels_of_flow_and_rule_go_together() -> None:
    results, _ = judge('latency: request, expect: {max: "< 1s"}, labels: {tier: 1}', spans=requests(1))
    assert results[0].labels == {"tier": "1"}


# attributes that were cut

WRONG = "count: '{ span.label = \"wrong\" }', expect: {count: '== 0'}"


@pytest.mark.parametrize(
    ("more", "came"),
    [
        ({"attributes": {"label": "wro", "spanverdict.cut": ["span.label"]}}, "inconclusive"),
        ({"attributes": {"spanverdict.cut": ["span.label"]}}, "inconclusive"),
        ({"attributes": {"spanverdict.cut": ["span.prompt"]}}, "passed"),
        ({"dropped_attributes": 1}, "inconclusive"),
        ({"dropped_attributes": 1, "attributes": {"label": "right"}}, "passed"),
        ({"attributes": {"label": "wrong"}, "dropped_attributes": 1}, "failed"),
    ],
)
def test_a_rule_that_asks_for_what_was_cut_does_not_pass(more: dict[str, Any], came: str) -> None:
    assert outcome(WRONG, [*request(1), *request(2), span(2, 7, "other", **more)]) == came


def test_what_the_rest_of_a_condition_excludes_is_in_no_doubt() -> None:
    lost = span(1, 7, "other", dropped_attributes=3)
    rule = WRONG.replace("span.label", 'resource.service.name = "last" && span.label')
    assert outcome(rule, [*request(1), lost]) == "passed"


def test_the_report_says_what_is_in_doubt() -> None:
    rows = request(1)
    rows[-1]["attributes"] = {"spanverdict.cut": ["span.label"]}
    rule = "output: {stage: last, value: span.label}, expect: {every: '== right'}, on_no_data: pass"
    (result,), _ = judge(rule, spans=rows)
    assert result.outcome.value == "inconclusive"
    assert "requests are in doubt, as span.label was cut or lost" in result.message
