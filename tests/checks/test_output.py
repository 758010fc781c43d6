"""`output`: one value a request, from the attempt that counts, of any type."""

from __future__ import annotations

from typing import Any

import pytest

from ruleruns import HEAD, call, measured, only, scores, span, values, without

MEASURE = "output: {stage: score, value: span.score}"


def rule(expect: str) -> str:
    return f"- {{id: r, {MEASURE}, expect: {expect}}}"


def test_every_request_gives_its_value_as_it_is() -> None:
    given = [0.5, 1, "ok", True, [1, 2]]
    assert values(measured(scores(given), MEASURE)) == [0.5, 1, "ok", True, (1, 2)]


def test_of_several_attempts_the_last_good_one_counts() -> None:
    tries = [
        span("a", 4, "score", 75, 80, parent=1, attributes={"score": "second"}),
        span("a", 5, "score", 82, 90, parent=1, attributes={"score": "failed"}, status="error"),
        span("a", 6, "score", 91, 95, parent=1),
    ]
    assert values(measured([*call("a", score={"score": "first"}), *tries], MEASURE)) == ["second"]
    assert values(measured([*without(call("a"), "score"), tries[1]], MEASURE)) == ["failed"]


def test_requests_without_value_are_missing_with_the_reason() -> None:
    rows = [*call("a", score={"score": 1}), *call("b", 1000), *without(call("c", 2000), "score")]
    found = measured(rows, MEASURE, expected=4)
    assert found.missing_note == (
        "have no value: 1 have no span.score at score, 1 have no stage score, 1 never arrived"
    )  # fmt: skip


def test_an_optional_stage_without_value_is_missing_only_where_the_stage_is() -> None:
    head = HEAD.replace("{stage: score, select: {name: score}}", '{stage: score, select: {name: score}, count: ">= 0"}')
    rows = [*call("a", score={"score": 1}), *call("b", 1000), *without(call("c", 2000), "score")]
    assert measured(rows, MEASURE, head=head).missing_note == "have no span.score at score"


@pytest.mark.parametrize(
    ("given", "expect", "outcome"),
    [
        ([0.1, 0.9], "{every: '0..1'}", "passed"),
        ([0.1, 1.1], "{every: '0..1'}", "failed"),
        ([1, 1.0], "{every: '== 1'}", "passed"),
        (["ok", "ok"], "{every: '== ok'}", "passed"),
        (["ok", "no"], "{every: 'in [ok, no]'}", "passed"),
        (["v1", "v22"], "{every: 'matches /v[0-9]/'}", "failed"),
        ([[0.1, 0.2]], "{every: '0..1'}", "passed"),
        ([[0.1, 2.0]], "{every: '0..1'}", "failed"),
        ([[]], "{every: '0..1'}", "failed"),
        ([True], "{every: '== true'}", "passed"),
        ([True], "{every: '== 1'}", "failed"),
        ([None], "{every: '0..1'}", "failed"),
        ([0.1, 0.2, 0.9], "{any: '> 0.8'}", "passed"),
        ([0.1, 0.2], "{any: '> 0.8'}", "failed"),
        ([0.1, 0.2], "{none: '> 0.8'}", "passed"),
        ([0.1, 0.9], "{none: '> 0.8'}", "failed"),
        ([1, 2, 3, 4], "{p50: '== 2', min: '== 1', max: '== 4', mean: '== 2.5', sum: '== 10'}", "passed"),
        ([1, "two", 3], "{max: '<= 5'}", "inconclusive"),
        ([1, "two", 3], "{min: '>= 2'}", "failed"),
        ([0.1, "x"], "{every: '0..1'}", "failed"),
    ],
)
def test_conditions_on_values_of_any_type(given: list[Any], expect: str, outcome: str) -> None:
    assert only(scores(given), rule(expect)).outcome == outcome


def test_of_the_values_that_fail_those_are_shown() -> None:
    result = only(scores([0.5, 1.5, 0.2, -3]), rule("{every: '0..1'}"))
    assert [(exhibit.key, exhibit.value) for exhibit in result.exhibits] == [("r-2", "1.5"), ("r-4", "-3")]
    assert result.conditions[0].observed == "2 of 4 do not hold"
    largest = only(scores([0.5, 1.5, 0.2, 9]), rule("{max: '< 1'}"))
    assert [exhibit.value for exhibit in largest.exhibits] == ["9", "1.5", "0.5", "0.2"]
    smallest = only(scores([0.5, 1.5, 0.2, 9]), rule("{min: '> 1'}"))
    assert [exhibit.value for exhibit in smallest.exhibits] == ["0.2", "0.5", "1.5", "9"]
