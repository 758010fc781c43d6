"""`freshness`: ages and times in every unit, arrays, clocks that disagree, and what no clock could have made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleruns import EPOCH, MS, call, flow_of, judged, measured, only, span, values
from spanverdict.checks.ages import rfc3339_ns

USE = EPOCH + 30 * MS
"""When `call` begins to score."""


def age_of(attributes: dict[str, Any], measure: str) -> list[float]:
    return values(measured(call("a", score=attributes), f"freshness: {{stage: score, {measure}}}"))


@pytest.mark.parametrize(
    ("value", "unit", "ms"),
    [(90, "s", 90_000), (0.5, "s", 500), (90, "ms", 90), (90_500, "us", 90.5), (90_000_000, "ns", 90), (0, "s", 0)],
)
def test_ages_in_every_unit(value: float, unit: str, ms: float) -> None:
    assert age_of({"age": value}, f"age: span.age, unit: {unit}") == [ms]


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ((USE - 2_000 * MS) // 10**9, "s"),
        ((USE - 2_000 * MS) // 10**6, "ms"),
        ((USE - 2_000 * MS) // 10**3, "us"),
        (USE - 2_000 * MS, "ns"),
        ("2023-11-14T22:13:18.030Z", "rfc3339"),
        ("2023-11-14T23:13:18.030000000+01:00", "rfc3339"),
    ],
)
def test_times_in_every_unit_are_compared_with_the_start_of_the_span(value: Any, unit: str) -> None:
    expected = 2_000 + (30 if unit == "s" else 0)
    assert age_of({"at": value}, f"updated_at: span.at, unit: {unit}") == [expected]


def test_the_moment_of_use_may_be_the_end_of_the_span() -> None:
    assert age_of({"at": USE - 1000 * MS}, "updated_at: span.at, unit: ns, at: end") == [1040]


def test_of_several_values_the_oldest_counts() -> None:
    assert age_of({"age": [5, 60, 7]}, "age: span.age, unit: s") == [60_000]
    assert age_of({"at": [USE - 7 * MS, USE - 9 * MS]}, "updated_at: span.at, unit: ns") == [9]


@pytest.mark.parametrize("wrong", ["soon", "", True, [1, "x"], [], None, float("nan"), float("inf"), 2.0**64, {"a": 1}])
def test_what_is_no_age_is_missing_and_never_a_pass(wrong: Any) -> None:
    rows = [*call("a", score={"age": wrong}), *call("b", 1000, score={"age": 1}), *call("c", 2000, score={"age": 1})]
    result = only(rows, "- {id: r, freshness: {stage: score, age: span.age, unit: s}, expect: {p1: '< 1m'}}")
    assert (result.outcome, result.samples) == ("passed" if wrong is None else "inconclusive", 2)


def test_an_age_below_zero_is_within_the_skew_or_wrong() -> None:
    rows = [*call("a", score={"age": -0.2}), *call("b", 1000, score={"age": 1})]
    rule = "- {id: r, freshness: {stage: score, age: span.age, unit: s, skew: SKEW}, expect: {p1: '< 1m'}}"
    assert only(rows, rule.replace("SKEW", "250ms")).outcome == "passed"
    result = only(rows, rule.replace("SKEW", "199ms"))
    assert result.outcome == "inconclusive"
    assert "1 use features from the future, by up to 200ms: clock skew or a wrong unit" in result.message
    assert result.samples == 1


def test_an_age_beyond_all_time_is_a_wrong_unit() -> None:
    """A time in seconds that is read as milliseconds, and an age in milliseconds read as days of seconds."""
    for attributes, measure in (
        ({"at": USE // 10**9}, "updated_at: span.at, unit: ns"),
        ({"age": 10**12}, "age: span.age, unit: s"),
        ({"at": 0}, "updated_at: span.at, unit: s"),
        ({"at": "0001-01-01T00:00:00Z"}, "updated_at: span.at, unit: rfc3339"),
    ):
        rows = [*call("a", score=attributes), *call("b", 1000, score={"age": 1, "at": 5})]
        result = only(rows[:3], f"- {{id: r, freshness: {{stage: score, {measure}}}, expect: {{max: '< 9999d'}}}}")
        assert result.outcome in ("failed", "inconclusive"), attributes


def test_a_second_taken_for_a_millisecond_is_not_taken_for_fresh() -> None:
    """The time in ms read as s lies thousands of years ahead."""
    result = only(
        call("a", score={"at": USE // 10**6}),
        "- {id: r, freshness: {stage: score, updated_at: span.at, unit: s}, expect: {max: '< 1m'}}",
    )
    assert result.outcome == "failed"
    assert "1 spans use features from the future" in result.message


def test_each_group_has_its_own_ages_and_its_own_missing() -> None:
    """A span without age counts for the view that it names, not for the first of its request."""
    rows = call("a", score={"view": "card", "age": 1})
    rows.append(span("a", 4, "score", 30, 50, parent=1, attributes={"view": "merchant"}))
    rows.append(span("a", 5, "score", 30, 50, parent=1, attributes={"view": "merchant", "age": 500}))
    rules = "- {id: r, per: span.view, freshness: {stage: score, age: span.age, unit: s}, expect: {min: '< 1m'}}"
    found = judged(rows, flow_of(rules))
    assert {name: str(result.outcome) for name, result in found.items()} == {
        "r[card]": "passed", "r[merchant]": "inconclusive",
    }  # fmt: skip
    assert "1 of 2 spans have no span.age at score" in found["r[merchant]"].message


def test_requests_without_the_stage_are_missing() -> None:
    found = measured(
        [*call("a", score={"age": 1}), *call("b", 1000)[:1]], "freshness: {stage: score, age: span.age, unit: s}", 4
    )
    assert found.missing_note == "have no value: 1 have no stage score, 2 never arrived"


@given(st.datetimes(), st.integers(0, 999_999_999), st.integers(-14 * 60, 14 * 60))
def test_written_times_are_read_to_the_nanosecond(when: Any, ns: int, offset: int) -> None:
    sign, minutes = "+" if offset >= 0 else "-", abs(offset)
    text = f"{when:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f".{ns:09}{sign}{minutes // 60:02}:{minutes % 60:02}"
    days = when.toordinal() - 719163
    seconds = days * 86_400 + when.hour * 3600 + when.minute * 60 + when.second - offset * 60
    assert rfc3339_ns(text) == seconds * 10**9 + ns


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30T00:00:00Z",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01T25:00:00Z",
        "2024-01-01T00:00:60Z",
        "",
        5,
        None,
    ],
)
def test_what_is_no_written_time_is_none(text: Any) -> None:
    assert rfc3339_ns(text) is None


def test_a_written_time_beyond_the_range_of_clocks_is_no_value() -> None:
    rows = [*call("a", score={"at": "9999-01-01T00:00:00Z"}), *call("b", 1000, score={"at": "2023-11-14T22:13:18Z"})]
    found = measured(rows, "freshness: {stage: score, updated_at: span.at, unit: rfc3339}")
    assert len(values(found)) == 1
    assert "hold what is no time, such as '9999" in found.problem


def test_of_several_written_times_the_oldest_counts() -> None:
    times = ["2023-11-14T22:13:18.030Z", "2023-11-14T23:13:15.030+01:00", "2023-11-14T22:13:19.030Z"]
    assert age_of({"at": times}, "updated_at: span.at, unit: rfc3339") == [5_000]


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([USE - 5 * MS, 0], "ns"),
        (["2023-11-14T22:13:18Z", "1970-01-01T00:00:00Z"], "rfc3339"),
        (["2023-11-14T22:13:18Z", ""], "rfc3339"),
        (["2023-11-14T22:13:18Z", None], "rfc3339"),
    ],
)
def test_one_time_of_several_that_is_none_is_not_passed_over(times: list[Any], unit: str) -> None:
    """What a store writes for a value that it has not got: the beginning of 1970, or nothing."""
    rows = [
        *call("a", score={"at": times}),
        *call("b", 1000, score={"at": [USE if unit == "ns" else "2023-11-14T22:13:18Z"]}),
    ]
    result = only(
        rows, f"- {{id: r, freshness: {{stage: score, updated_at: span.at, unit: {unit}}}, expect: {{p1: '< 9999d'}}}}"
    )
    assert (result.outcome, result.samples) == ("inconclusive", 1)


@pytest.mark.parametrize(("ahead", "outcome"), [(250, "passed"), (250.000001, "inconclusive")])
def test_a_time_of_making_may_lie_ahead_by_the_skew(ahead: float, outcome: str) -> None:
    rows = [*call("a", score={"at": USE + round(ahead * MS)}), *call("b", 1000, score={"at": USE})]
    rule = "- {id: r, freshness: {stage: score, updated_at: span.at, unit: ns, skew: 250ms}, expect: {p1: '< 1m'}}"
    assert only(rows, rule).outcome == outcome


def test_a_group_of_several_feature_views_is_named_by_all_of_them() -> None:
    rows = call("a", score={"views": ["card", "merchant"], "age": [1, 70]})
    found = judged(
        rows,
        flow_of("- {id: r, per: span.views, freshness: {stage: score, age: span.age, unit: s}, expect: {max: '< 1m'}}"),
    )
    assert {name: str(result.outcome) for name, result in found.items()} == {"r[card, merchant]": "failed"}
