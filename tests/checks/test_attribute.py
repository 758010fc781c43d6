"""`attribute`: a number on every span of a stage."""

from __future__ import annotations

from ruleruns import call, measured, only, span, values, without

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
