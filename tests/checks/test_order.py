"""`order`: stages that start one after the other."""

from __future__ import annotations

from ruleruns import EPOCH, MS, Row, call, measured, only, span, values, without

MEASURE = "order: [ingest, score, notify]"


def late_score(trace: str) -> list[Row]:
    """A request that scores after it has notified."""
    rows = call(trace)
    rows[1] = {**rows[1], "start": EPOCH + 160 * MS, "end": EPOCH + 170 * MS}
    return rows


def test_stages_in_their_order_are_true() -> None:
    assert values(measured(call("a"), MEASURE)) == [True]
    same = call("a")
    same[2] = {**same[2], "start": same[1]["start"]}
    assert values(measured(same, MEASURE)) == [True], "equal starts are in order"


def test_a_stage_out_of_order_is_false_and_the_order_seen_is_told() -> None:
    found = measured(late_score("a"), MEASURE)
    assert values(found) == [False]
    assert found.explain is not None
    assert found.explain(0) == "started ingest, notify, score"


def test_a_request_that_lacks_a_stage_is_missing_unless_the_rest_is_wrong() -> None:
    found = measured([*without(call("a"), "score"), *call("b", 1000)], MEASURE, expected=3)
    assert (values(found), found.missing_note) == (
        [True],
        "have no value: 1 lack a stage of the order, 1 never arrived",
    )
    rows = [row for row in late_score("a") if row["name"] != "ingest"]
    assert values(measured([*rows, span("a", 1, "in", 165, 168)], MEASURE)) == [False]


def test_an_optional_stage_may_be_absent_and_counts_where_it_is_there() -> None:
    measure = "order: [ingest, extra, score]"
    assert values(measured(call("a"), measure)) == [True]
    found = measured([*call("a"), span("a", 9, "extra", 50, 60, parent=1)], measure)
    assert values(found) == [False]
    assert found.explain is not None
    assert found.explain(0) == "started ingest, score, extra"


def test_every_request_has_to_be_in_order_for_a_pass() -> None:
    rule = "- {id: r, order: [ingest, score, notify], expect: {every: '== true'}}"
    assert only([*call("b", 1000), *late_score("a")], rule).outcome == "failed"
    assert only([*call("b", 1000), *call("a")], rule).outcome == "passed"
    assert only([*call("b", 1000), *without(call("a"), "score")], rule).outcome == "inconclusive"
