"""`attribute`: a number on every span of a stage."""

from __future__ import annotations

import pytest

from ruleruns import Row, call, measured, only, span, values, without

TOKENS = "attribute: {stage: score, value: span.tokens}"


def test_every_span_of_the_stage_gives_its_number() -> None:
    rows = [*call("a", score={"tokens": 5}), span("a", 9, "score", 40, 50, parent=1, attributes={"tokens": 7})]
    found = measured([*rows, *call("b", 1000, score={"tokens": 1.5})], TOKENS)
    assert (sorted(values(found)), found.population) == ([1.5, 5, 7], "spans")


def test_numbers_beyond_what_floats_can_tell_apart_stay_exact() -> None:
    rows = [*call("a", score={"tokens": 2**53 + 1})]
    assert only(rows, f"- {{id: r, {TOKENS}, expect: {{max: '<= 9007199254740992'}}}}").outcome == "failed"
    assert (
        only(
            rows, f"- {{id: r, {TOKENS}, expect: {{max: '== 9007199254740993', mean: '== 9007199254740993'}}}}"
        ).outcome
        == "passed"
    )


def test_spans_without_a_number_are_missing() -> None:
    rows = [
        *call("a", score={"tokens": 5}), *call("b", 1000), *call("c", 2000, score={"tokens": "many"}),
        *without(call("d", 3000), "score"),
    ]  # fmt: skip
    found = measured(rows, TOKENS)
    assert found.missing_note == (
        "have no value: 1 have no number span.tokens at score, 1 hold what is no finite number, such as 'many', "
        "1 have no stage score"
    )
    assert only(rows, f"- {{id: r, {TOKENS}, expect: {{p1: '<= 9'}}}}").outcome == "inconclusive"


def test_the_example_of_what_is_no_number_is_from_the_stage() -> None:
    rows = [
        *call("a", score={"tokens": "some"}),
        span("a", 9, "other", 40, 50, parent=1, attributes={"tokens": "a few"}),
    ]
    assert "such as 'some'" in measured(rows, TOKENS).missing_note


def test_a_long_value_is_cut_in_the_example() -> None:
    assert len(measured(call("a", score={"tokens": "x" * 10_000}), TOKENS).missing_note) < 120


SUM = "attribute: {stage: score, value: span.tokens, of: sum}"


def twice(trace: str, start: float, first: object, second: object) -> list[Row]:
    """A request that is scored twice."""
    again = span(trace, 9, "score", start + 40, start + 50, parent=1, attributes={"tokens": second})
    return [*call(trace, start, score={"tokens": first}), again]


def test_a_request_gives_the_sum_of_its_spans() -> None:
    found = measured([*twice("a", 0, 5, 7), *call("b", 1000, score={"tokens": 1})], SUM)
    assert (values(found), found.population) == ([12, 1], "requests")
    assert values(measured([*twice("a", 0, 0.1, 2), *call("b", 1000, score={"tokens": 1})], SUM)) == [2.1, 1.0]


def test_sums_beyond_what_floats_can_tell_apart_stay_exact_and_larger_ones_stay_large() -> None:
    assert values(measured(twice("a", 0, 2**53, 1), SUM)) == [2**53 + 1]
    assert values(measured(twice("a", 0, 2**62, 2**62), SUM)) == [2.0**63]


@pytest.mark.parametrize("other", ["many", float("nan"), None])
def test_a_request_is_missing_once_when_any_of_its_spans_has_no_number(other: object) -> None:
    rows = [*twice("a", 0, 5, other), *twice("b", 1000, other, other), *without(call("c", 2000), "score")]
    found = measured([*rows, *call("d", 3000, score={"tokens": 4})], SUM)
    assert values(found) == [4]
    assert sorted(found.missing_request.tolist() + found.request.tolist()) == [0, 1, 2, 3]
    assert only(rows, f"- {{id: r, {SUM}, expect: {{max: '<= 9'}}}}").outcome == "failed"
    assert only([*rows, *call("d", 3000)], f"- {{id: r, {SUM}, expect: {{max: '<= 9'}}}}").outcome != "passed"
