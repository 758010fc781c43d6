"""Fields that nothing in the run carries: told where there was nothing to judge, and warned of where misspelt."""

from __future__ import annotations

import pytest

from ruleruns import HEAD, call, events, flow_end, flow_of, only, span
from spanverdict.checks.catalogue import CHECKS

SCORE = "- {id: score, output: {stage: score, value: span.FIELD}, expect: {every: '0..1'}}"


def warnings(rules: str, head: str = HEAD, **more: object) -> tuple[str, ...]:
    return flow_end(events(call("a", score={"score": 0.5, "hit": True}), flow_of(rules, head), **more)).warnings


def test_nothing_to_judge_says_which_field_nothing_carries_and_which_was_meant() -> None:
    result = only(call("a", score={"score": 0.5}), SCORE.replace("FIELD", "scor"))
    assert result.outcome == "failed"
    assert result.message == (
        "nothing to judge: 1 requests have no span.scor at score; no span carries span.scor; did you mean span.score?"
    )


def test_a_field_like_no_other_is_named_without_a_guess() -> None:
    result = only(call("a", score={"score": 0.5}), SCORE.replace("FIELD", "zebra.crossing"))
    assert result.message.endswith("; no span carries span.zebra.crossing")


def test_a_field_of_another_scope_is_found_there() -> None:
    rows = call("a", score={"score": 0.5}, resource={"service.version": "1"})
    rule = SCORE.replace("FIELD", "service.version")
    assert only(rows, rule).message.endswith("; did you mean resource.service.version?")


def test_a_field_that_the_stage_lacks_and_others_have_is_not_called_absent() -> None:
    rows = [*call("a"), span("a", 9, "other", 10, 20, parent=1, attributes={"score": 1})]
    assert only(rows, SCORE.replace("FIELD", "score")).message == (
        "nothing to judge: 1 requests have no span.score at score"
    )


def test_a_count_that_passes_because_of_a_misspelling_is_warned_of() -> None:
    """`count == 0` of what can never match."""
    rule = "- {id: misses, count: '{ span.hitt = false }', expect: {count: '== 0'}}"
    assert warnings(rule) == ("rule misses: no span carries span.hitt; did you mean span.hit?",)


def test_a_field_that_is_merely_absent_is_no_warning_where_the_rule_found_data() -> None:
    """An attribute that only failures carry."""
    assert warnings("- {id: r, count: '{ span.exception.type != nil }', expect: {count: '== 0'}}") == ()


def test_every_part_of_a_flow_is_looked_at_once() -> None:
    head = HEAD.replace("{name: notify}", "'{ span.messaging.kind = \"x\" }'").replace(
        "key: span.request.id", "key: span.request.idd, correlate: [span.order]"
    )
    rules = f"{SCORE.replace('FIELD', 'scor')}\n{SCORE.replace('FIELD', 'scor').replace('id: score', 'id: skipped, skip: later')}"
    assert warnings(rules, head) == (
        "stage notify: no span carries span.messaging.kind",
        "request: no span carries span.request.idd; did you mean span.request.id?",
        "request: no span carries span.order",
        "rule score: no span carries span.scor; did you mean span.score?",
    )


def test_fields_in_where_and_per_and_of_other_scopes_are_looked_at() -> None:
    rule = (
        "- {id: r, per: span.hitt, where: '{ event.scor > 1 || link.scor > 1 || instrumentation.scor > 1 || .scor > 1 }', "
        "latency: request, expect: {max: '< 1s'}}"
    )
    said = warnings(rule)
    assert [text.partition(": ")[2].partition(";")[0] for text in said] == [
        "no event carries event.scor",
        "no link carries link.scor",
        "no instrumentation scope carries instrumentation.scor",
        "no span or resource carries .scor",
        "no span carries span.hitt",
    ]


MISSPELT = [
    "latency: {attribute: span.scor, unit: s, in: score}, expect: {max: '< 1s'}",
    "latency: {stage: score}, where: '{ span.scor > 0 }', expect: {max: '< 1s'}",
    "freshness: {stage: score, age: span.scor, unit: s}, expect: {max: '< 1s'}",
    "freshness: {stage: score, updated_at: 'json(span.scor, \"$.at\")', unit: rfc3339}, expect: {max: '< 1s'}",
    "coverage: {stages: all, attributes: [span.scor]}, expect: {ratio: '>= 99%'}",
    "output: {stage: score, value: span.scor}, expect: {every: '0..1'}",
    "order: all, per: span.scor, expect: {every: '== true'}",
    "count: {of: '{ span.scor > 1 }', per: request}, expect: {max: '== 0'}",
    "ratio: {of: '{ span.scor > 1 }', over: '{ span.score != nil }'}, expect: {ratio: '<= 1%'}",
    "throughput: '{ span.scor > 0 }', expect: {rate: '> 0'}",
    "attribute: {stage: score, value: span.scor}, expect: {max: '<= 1'}",
]


@pytest.mark.parametrize("rule", MISSPELT, ids=[rule.partition(":")[0] + str(n) for n, rule in enumerate(MISSPELT)])
def test_a_misspelt_attribute_is_told_of_in_every_measure(rule: str) -> None:
    assert warnings(f"- {{id: r, {rule}}}") == ("rule r: no span carries span.scor; did you mean span.score?",)


def test_every_measure_of_spans_is_among_them() -> None:
    assert {rule.partition(":")[0] for rule in MISSPELT} == {check.key for check in CHECKS} - {"pass_rate", "burn_rate"}


def test_without_spans_nothing_is_said_of_fields() -> None:
    found = events([], flow_of(SCORE.replace("FIELD", "scor")))
    assert flow_end(found).warnings == ()
