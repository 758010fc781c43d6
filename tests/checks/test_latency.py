"""`latency`: every form against known times, and the parts of it against naive arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleruns import EPOCH, MS, call, flow_of, judged, measured, only, span, values, without
from spanverdict.checks.durations import to_ns
from spanverdict.checks.unions import union_shares


def test_a_request_lasts_from_the_first_start_of_its_first_stage_to_the_last_end_of_its_last() -> None:
    rows = [*call("a"), *call("b", 1000), span("b", 9, "notify", 1300, 1400, parent=1)]
    found = measured(rows, "latency: request")
    assert sorted(values(found)) == [150, 400]
    assert (found.population, len(found.missing), found.problem) == ("requests", 0, "")


def test_between_two_stages_times_are_taken_where_the_rule_says() -> None:
    rows = call("a")
    assert values(measured(rows, "latency: {from: score.end, to: notify.start}")) == [50]
    assert values(measured(rows, "latency: {from: score.start, to: notify.start}")) == [90]
    assert values(measured(rows, "latency: {from: ingest.start, to: score.end}")) == [70]


@pytest.mark.parametrize(
    ("of", "expected"), [("extent", 80), ("sum", 90), ("busy", 70), ("self", 80), ("each", [40, 30, 20])]
)
def test_the_forms_of_one_stage(of: str, expected: Any) -> None:
    """Attempts of 40, 30 and 20 ms, the first two of which overlap by 20; one calls something for 10."""
    rows = [
        *call("a"),
        span("a", 4, "score", 50, 80, parent=1),
        span("a", 5, "score", 90, 110, parent=1),
        span("a", 6, "lookup", 35, 45, parent=2),
    ]
    found = values(measured(rows, f"latency: {{stage: score, of: {of}}}"))
    assert found == (expected if isinstance(expected, list) else [expected])


def test_children_count_once_and_only_inside_their_parent_for_self_time() -> None:
    rows = [
        *call("a"),
        span("a", 4, "x", 20, 40, parent=2),
        span("a", 5, "x", 35, 45, parent=2),
        span("a", 6, "x", 65, 99, parent=2),
        span("a", 7, "x", 80, 99, parent=2),
        span("a", 8, "x", 36, 38, parent=4),
    ]
    assert values(measured(rows, "latency: {stage: score, of: self}")) == [40 - 15 - 5]


@pytest.mark.parametrize(
    ("value", "unit", "ms"),
    [(2, "s", 2000), (0.25, "s", 250), (70, "ms", 70), (0.07, "ms", 0.07), (1500, "us", 1.5), (7, "ns", 7e-6)],
)
def test_a_time_that_a_span_carries(value: float, unit: str, ms: float) -> None:
    rows = call("a", score={"took": value})
    found = measured(rows, f"latency: {{attribute: span.took, unit: {unit}, in: score}}")
    assert values(found) == [pytest.approx(ms)]
    assert found.population == "spans"


def test_what_is_no_time_is_missing_and_never_a_pass() -> None:
    rows = [
        *call("a", score={"took": 5}),
        *call("b", 1000, score={"took": "5ms"}),
        *call("c", 2000),
        *call("d", 3000, score={"took": float("nan")}),
        *call("e", 4000, score={"took": -1}),
    ]
    result = only(rows, "- {id: r, latency: {attribute: span.took, unit: ms, in: score}, expect: {p1: '< 1s'}}")
    assert result.outcome == "inconclusive"
    assert "hold what is no finite number, such as '5ms'" in result.message
    found = measured(rows, "latency: {attribute: span.took, unit: ms, in: score}")
    assert values(found) == [5, -1]
    assert found.missing_note == (
        "have no value: 1 have no span.took at score, "
        "2 hold what is no finite number, such as '5ms'"
    )  # fmt: skip
    assert found.problem == (
        "1 spans say that they took less than nothing; 2 hold what is no finite number, such as '5ms'"
    )


def test_only_stages_that_are_really_lacking_are_named_with_how_many_lack_each() -> None:
    whole = [*call("a"), *call("b", 1000)]
    assert measured(without(whole, "notify"), "latency: request").missing_note == "have no stage notify"
    rows = [
        *call("a"),
        *without(call("b", 1000), "notify"),
        *without(call("c", 2000), "notify"),
        *without(call("d", 3000), "score"),
    ]
    between = measured(rows, "latency: {from: score.end, to: notify.start}", expected=5)
    assert between.missing_note == "have no value: 1 have no stage score, 2 have no stage notify, 1 never arrived"
    assert len(between.missing) == 4
    both = measured(without(without(whole, "score"), "notify"), "latency: {from: score.end, to: notify.start}")
    assert both.missing_note == "have no stage score or notify"


def test_an_optional_stage_may_lack_without_doubt() -> None:
    rows = [*call("a"), *call("b", 1000), span("b", 9, "extra", 1010, 1020, parent=1)]
    assert values(measured(rows, "latency: {stage: extra}")) == [10]
    assert len(measured(rows, "latency: {stage: extra}").missing) == 0
    assert values(measured(rows, "latency: {from: extra.end, to: notify.start}")) == [100]


def test_spans_that_never_ended_or_end_before_they_start_are_not_used() -> None:
    for broken in ({"end": 0}, {"end": EPOCH}, {"start": 0}, {"end": 2**63 - 1}):
        rows = [*call("a"), *call("b", 1000)]
        rows[1] = {**rows[1], **broken}
        found = measured(rows, "latency: {stage: score}")
        assert (values(found), found.missing_note) == ([40], "have no stage score")


def test_a_stage_that_seems_to_come_before_the_one_it_follows_is_never_a_pass() -> None:
    """Clocks that disagree."""
    rows = [*call("a"), *call("b", 1000)]
    rows[2] = {**rows[2], "start": EPOCH + 60 * MS}
    result = only(rows, "- {id: r, latency: {from: score.end, to: notify.start}, expect: {max: '< 1s'}}")
    assert result.outcome == "inconclusive"
    assert "1 requests reached notify.start before score.end" in result.message
    assert (
        only(rows, "- {id: r, latency: {from: score.end, to: notify.start}, expect: {min: '>= 0ms'}}").outcome
        == "failed"
    )


def test_doubt_about_one_group_is_not_doubt_about_another() -> None:
    rows = [*call("a", score={"model": "old"}), *call("b", 1000, score={"model": "new"})]
    rows[2] = {**rows[2], "start": EPOCH + 60 * MS}
    rules = "- {id: r, per: span.model, latency: {from: score.end, to: notify.start}, expect: {max: '< 1s'}}"
    found = judged(rows, flow_of(rules))
    assert {name: str(result.outcome) for name, result in found.items()} == {
        "r[new]": "passed",
        "r[old]": "inconclusive",
    }


INTERVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 12)), max_size=12)


@given(INTERVALS, st.integers(0, 2**61))
def test_shares_of_a_union_add_up_to_the_union(intervals: list[tuple[int, int, int]], base: int) -> None:
    """In each group, whatever overlaps, however late the times are."""
    made = sorted((group, base + start, base + start + length) for group, start, length in intervals)
    columns = (
        [np.array(column, np.int64) for column in zip(*made, strict=True)] if made else [np.zeros(0, np.int64)] * 3
    )
    shares = union_shares(columns[0], columns[1], columns[2])
    for group in range(3):
        covered = {tick for g, start, end in made if g == group for tick in range(start, end)}
        assert shares[columns[0] == group].sum() == len(covered)
        assert (shares >= 0).all()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.sampled_from([0, 2, 4, 5])), max_size=6))
def test_self_and_busy_time_are_those_of_a_naive_count_of_ticks(made: list[tuple[int, int, int]]) -> None:
    """Score spans and others, hung below the ingest span or each other."""
    rows = [*call("a")]
    for n, (start, length, parent) in enumerate(made):
        known = {row["id"] for row in rows}
        name = "score" if n % 2 else "work"
        rows.append(span("a", 4 + n, name, start, start + length, parent=parent if parent in known else 1))
    ticks = {row["id"]: set(range(row["start"] // MS, row["end"] // MS)) for row in rows}
    stage = [row for row in rows if row["name"] == "score"]
    below = {row["id"]: set().union(*(ticks[r["id"]] for r in rows if r.get("parent") == row["id"])) for row in stage}
    busy = set().union(*(ticks[row["id"]] for row in stage))
    assert values(measured(rows, "latency: {stage: score, of: busy}")) == [len(busy)]
    own = sum(len(ticks[row["id"]] - below[row["id"]]) for row in stage)
    assert values(measured(rows, "latency: {stage: score, of: self}")) == [own]
    assert values(measured(rows, "latency: {stage: score, of: sum}")) == [sum(len(ticks[row["id"]]) for row in stage)]


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from([("s", 10**9), ("ms", 10**6), ("us", 1000), ("ns", 1)]))
def test_whole_numbers_become_nanoseconds_exactly_or_the_limit(value: int, unit: tuple[str, int]) -> None:
    """No float is involved unless the result is beyond a century."""
    limit = 2**62 - 1
    found = int(to_ns(np.array([value], np.int64), unit[0])[0])
    exact = value * unit[1]
    assert found == exact if abs(exact) <= limit else abs(found) >= limit - 2**10 and (found > 0) == (exact > 0)


def test_huge_floats_become_the_limit_and_not_garbage() -> None:
    assert to_ns(np.array([1e300, -1e300]), "s").tolist() == [2**62, -(2**62)]
