"""Rules over spans of which something was cut or lost: they say no more than they would know of the whole ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleruns import Row, call, events, flow_of, judged, only, span
from spanverdict.evaluation.outcomes import Outcome, RunFinished
from spanverdict.telemetry.vocabulary import CUT, CUT_ANY, DROPPED

OPEN = (Outcome.INCONCLUSIVE, Outcome.SKIPPED)
RULES = """
- {id: none-wrong, count: '{ span.label = "wrong" }', expect: {count: "== 0"}}
- {id: one-wrong, count: '{ span.label = "wrong" }', expect: {count: "<= 1"}}
- {id: some-right, count: '{ span.label = "right" }', expect: {count: ">= 2"}}
- {id: pattern, count: '{ span.label =~ "w.*" && span:name = "score" }', expect: {count: "== 0"}}
- {id: negated, count: '{ span:name = "score" && !(span.label = "right") }', expect: {count: "== 0"}}
- {id: another, count: '{ span.label != "right" }', expect: {count: "== 0"}}
- {id: absent, count: '{ span:name = "score" && span.label = nil }', expect: {count: "== 0"}}
- {id: present, count: '{ span.label != nil }', expect: {count: ">= 3"}}
- {id: either, count: '{ span.label = "wrong" || span.score > 2 }', expect: {count: "== 0"}}
- {id: parent, count: '{ parent.span.label = "wrong" }', expect: {count: "== 0"}}
- {id: below, count: '{ span.label = "wrong" } >> { span:name = "notify" }', expect: {count: "== 0"}}
- {id: anywhere, count: '{ .label = "wrong" }', expect: {count: "== 0"}}
- {id: calls, count: {of: '{ span.label = "wrong" }', per: request}, expect: {max: "<= 0"}}
- {id: share, ratio: {of: '{ span.label = "right" }', over: '{ span:name = "score" }'}, expect: {ratio: ">= 75%"}}
- {id: rate, throughput: '{ span.label = "right" }', expect: {rate: ">= 4"}}
- {id: slow, throughput: '{ span.label = "wrong" }', expect: {rate: "< 4"}}
- {id: covered, coverage: {stages: [score], attributes: [span.score]}, expect: {ratio: ">= 75%"}}
- {id: range, output: {stage: score, value: span.score}, expect: {every: "0..1"}}
- {id: never, output: {stage: score, value: span.label}, expect: {none: "== wrong"}}
- {id: mean, attribute: {stage: score, value: span.score}, expect: {mean: "<= 1"}}
- {id: chosen, where: '{ span.label = "right" }', latency: request, expect: {max: "< 200ms"}}
- {id: left, where: '{ span.label = "wrong" }', output: {stage: score, value: span.score}, expect: {max: "<= 1"}}
- {id: events, count: '{ event.code = "bad" }', expect: {count: "== 0"}}
- {id: named, count: '{ event:name = "good" }', expect: {count: ">= 3"}}
- {id: linked, count: '{ link.why = "bad" }', expect: {count: "== 0"}}
- {id: team, count: '{ resource.team = "other" }', expect: {count: "== 0"}}
- {id: any-team, count: '{ .team = "other" }', expect: {count: "== 0"}}
- {id: no-team, count: '{ span:name = "score" && resource.team = nil }', expect: {count: "== 0"}}
- {id: mode, count: '{ instrumentation.mode != "test" && span:name = "score" }', expect: {count: "== 0"}}
"""
FLOW = flow_of(RULES)
BY_ATTRIBUTE = flow_of(
    RULES,
    head="""
version: 1
flow: scoring
stages:
  - {stage: ingest, select: {name: in}}
  - {stage: score, select: '{ span.label = "right" }'}
  - {stage: notify, select: {name: notify}}
""",
)

SCORES = st.fixed_dictionaries(
    {},
    optional={
        "label": st.sampled_from(["right", "wrong", "other", "right and long"]),
        "score": st.sampled_from([0.5, 1.5, 2.5]),
    },
)
EVENTS = st.lists(st.sampled_from([("good", "fine"), ("good", "bad"), ("other", "bad")]), max_size=2)
HARMS = st.sampled_from(["none", "none", "cut", "left out", "any", "lost", "lost event", "cut event", "lost around"])
REQUESTS = st.lists(st.tuples(SCORES, EVENTS, HARMS, st.sampled_from(["label", "score"])), min_size=1, max_size=5)


def whole(requests: Sequence[Any]) -> list[Row]:
    rows = []
    for number, (attributes, happened, _, _) in enumerate(requests):
        made = call(f"{number + 1:032x}", 1000 * number, score=attributes)
        made[1]["events"] = [{"name": name, "time": 1, "attributes": {"code": code}} for name, code in happened]
        code = happened[0][1] if happened else "fine"
        made[1]["links"] = [{"trace": "elsewhere", "id": 7, "attributes": {"why": code}}]
        made[1]["resource"] = {"service.name": "scorer", "team": "risk" if code == "fine" else "other"}
        made[1]["scope"] = {"name": "model", "attributes": {"mode": "test" if code == "fine" else "live"}}
        rows += made
    return rows


def harmed(requests: Sequence[Any]) -> list[Row]:
    """The same spans as they come when something was cut by us, or lost by their sender."""
    rows = whole(requests)
    for number, (_, _, harm, key) in enumerate(requests):
        row = rows[3 * number + 1]
        attributes = dict(row["attributes"])
        if key in attributes and harm == "cut":
            attributes = {**attributes, key: str(attributes[key])[:5], CUT: [f"span.{key}"]}
        elif key in attributes and harm in ("left out", "any", "lost"):
            del attributes[key]
            row["dropped_attributes"] = int(harm == "lost")
            attributes |= {} if harm == "lost" else {CUT: [f"span.{key}" if harm == "left out" else CUT_ANY]}
        elif row["events"] and harm == "lost event":
            row |= {"events": row["events"][1:], "dropped_events": 1}
        elif row["events"] and harm == "cut event":
            row["events"] = [{**event, "attributes": {}} for event in row["events"]]
            attributes[CUT] = ["event.code"]
        elif harm == "lost around":
            row |= _without_what_is_around(row)
        row["attributes"] = attributes
    return rows


def _without_what_is_around(row: Row) -> Row:
    lost = {DROPPED: 1}
    return {
        "resource": {"service.name": "scorer", **lost},
        "scope": {"name": "model", "attributes": lost},
        "events": [{**event, "attributes": lost} for event in row["events"]],
        "links": [{**link, "attributes": lost} for link in row["links"]],
    }


@pytest.mark.parametrize("flow", [FLOW, BY_ATTRIBUTE], ids=["by name", "by attribute"])
@settings(deadline=None, max_examples=150)
@given(requests=REQUESTS)
def test_a_pass_or_a_failure_is_one_of_the_whole_spans_too(flow, requests) -> None:
    truth = judged(whole(requests), flow)
    for name, result in judged(harmed(requests), flow).items():
        if result.outcome not in OPEN and truth[name].outcome not in OPEN:
            assert result.outcome is truth[name].outcome, result


def test_without_anything_cut_nothing_changes() -> None:
    requests = [({"label": "right", "score": 0.5}, [], "none", "label")] * 3
    assert judged(harmed(requests), FLOW) == judged(whole(requests), FLOW)


MANY = [({"label": "right", "score": 0.5}, [], "none", "label")] * 9


@pytest.mark.parametrize("harm", ["cut", "left out", "any", "lost"])
def test_a_rule_says_what_it_could_not_rely_on(harm: str) -> None:
    rule = '- {id: r, count: \'{ span.label = "wrong" }\', expect: {count: "== 0"}}'
    rows = harmed([*MANY, ({"label": "wrong", "score": 0.5}, [], harm, "label")])
    result = only(rows, rule)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "span.label was cut or lost" in result.message + result.conditions[0].note


def test_rules_that_do_not_ask_for_what_was_cut_are_judged_as_ever() -> None:
    rows = harmed([*MANY, ({"label": "wrong", "score": 0.5}, [], "cut", "label")])
    for rule in (
        "- {id: r, output: {stage: score, value: span.score}, expect: {every: '0..1'}}",
        "- {id: r, latency: request, expect: {max: '< 1s'}}",
        "- {id: r, count: '{ span:name = \"score\" && span.score > 2 }', expect: {count: '== 0'}}",
        "- {id: r, count: '{ span:name = \"in\" && span.label = \"wrong\" }', expect: {count: '== 0'}}",
    ):
        assert only(rows, rule).outcome is Outcome.PASSED, rule


def test_one_value_that_was_cut_does_not_hide_a_clear_result() -> None:
    rows = harmed([*MANY, ({"label": "right", "score": 0.5}, [], "cut", "score")])
    high = "- {id: r, output: {stage: score, value: span.score}, expect: {p50: '<= 1'}}"
    low = "- {id: r, output: {stage: score, value: span.score}, expect: {p50: '<= 0.1'}}"
    assert only(rows, high).outcome is Outcome.PASSED
    assert only(rows, low).outcome is Outcome.FAILED


def test_a_resource_of_which_something_was_cut_is_in_doubt_on_all_its_spans() -> None:
    rows = call("a", resource={"service.name": "shop", "team": "risk"})
    rule = "- {id: r, count: '{ resource.team = \"other\" }', expect: {count: '== 0'}}"
    assert only(rows, rule).outcome is Outcome.PASSED
    for row in rows:
        if "resource" in row:
            row["resource"] = {"service.name": "shop", CUT: ["resource.team"]}
    assert only(rows, rule).outcome is Outcome.INCONCLUSIVE


AROUND = {
    "resource": ("resource.team", {"resource": {"service.name": "shop", DROPPED: 2}}),
    "either": (".team", {"resource": {DROPPED: 2}}),
    "scope": ("instrumentation.team", {"scope": {"name": "x", "attributes": {DROPPED: 2}}}),
    "event": ("event.team", {"events": [{"name": "e", "time": 1, "attributes": {DROPPED: 2}}]}),
    "link": ("link.team", {"links": [{"trace": "z", "id": 5, "attributes": {DROPPED: 2}}]}),
}


@pytest.mark.parametrize(("field", "fields"), AROUND.values(), ids=AROUND)
def test_what_is_around_a_span_may_have_lost_what_a_rule_asks_for(field: str, fields: Row) -> None:
    rows = [{**row, **(fields if number == 1 else {})} for number, row in enumerate(call("a", 0, score={"score": 1}))]
    asks = f"- {{id: r, count: '{{ {field} = \"other\" }}', expect: {{count: '== 0'}}}}"
    others = "- {id: r, output: {stage: score, value: span.score}, expect: {every: '0..1'}}"
    assert only(rows, asks).outcome is Outcome.INCONCLUSIVE
    assert only(rows, others).outcome is Outcome.PASSED
    finished = events(rows, FLOW)[-1]
    assert isinstance(finished, RunFinished)
    assert {defect.name: defect.count for defect in finished.defects}["dropped_attributes"] == 1


def test_the_verdict_counts_what_was_cut_and_names_it() -> None:
    rows = harmed([*MANY, ({"label": "wrong", "score": 0.5}, [], "cut", "label")])
    rows[0]["attributes"] = [("a", 1), ("a", 2)]
    finished = events(rows, FLOW)[-1]
    assert isinstance(finished, RunFinished)
    found = {defect.name: (defect.count, defect.detail) for defect in finished.defects}
    assert found["cut_attributes"][0] == found["repeated_attribute"][0] == 1
    assert found["cut_attributes"][1].endswith(") was cut at span.label")


def test_what_lost_attributes_elsewhere_is_no_trouble_of_a_stage() -> None:
    stray = span("b", 9, "unrelated", 0, 1, dropped_attributes=4)
    rule = "- {id: r, coverage: {stages: [score], attributes: [span.score]}, expect: {ratio: '== 100%'}}"
    assert only([*call("a", score={"score": 1}), stray], rule).outcome is Outcome.PASSED
