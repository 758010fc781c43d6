"""Durations are read and written exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.diagnostics.durations import DurationError, format_duration, format_exact, parse_duration, parse_exact

ANY_NS = st.integers(-(2**63) + 1, 2**63 - 1)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0s", 0), ("1ns", 1), ("10us", 10_000), ("10µs", 10_000), ("10μs", 10_000), ("250ms", 250_000_000),
        ("1.5s", 1_500_000_000), (".5ms", 500_000), ("1m", 60 * 10**9), ("1h30m", 5400 * 10**9),
        ("2d", 2 * 86400 * 10**9), ("1w", 7 * 86400 * 10**9), ("1h0m0.000000001s", 3600 * 10**9 + 1),
        ("0.1s", 100_000_000), ("0.3ms", 300_000), (" 5s ", 5 * 10**9), ("1.0000000010s", 10**9 + 1),
    ],
)  # fmt: skip
def test_a_duration_is_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "1.5", "s", "5 s", "5S", "5x", "-5s", "--5s", "5s-", "1e3s", "0.5ns", "\u0665s", "1s\n1s", "9" * 30 + "h",
     "300y", "293w293w293w293w293w293w293w15000w", "1.s", "∞s", "1,5s"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DurationError):
        parse_duration(text)


def test_a_missing_unit_is_named_with_what_may_be_meant() -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration("200")
    assert caught.value.message == "`200` has no unit"
    assert caught.value.hint == 'write "200ms" or "200s"'


def test_negative_durations_are_read_where_they_are_asked_for() -> None:
    assert parse_duration("-1m30s", negative=True) == -90 * 10**9
    assert parse_exact("-0.5ns") == Fraction(-1, 2)


@given(ANY_NS)
def test_the_exact_form_is_read_back_to_the_same_nanoseconds(ns: int) -> None:
    assert parse_duration(format_exact(ns), negative=True) == ns


@given(st.integers(-(2**62), 2**62))
def test_the_form_for_people_is_within_half_of_what_its_last_digit_says(ns: int) -> None:
    shown = parse_exact(format_duration(ns))
    minute = 60 * 10**9
    assert abs(shown - ns) <= Fraction(abs(ns), 48 if abs(ns) >= minute else 1900)


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0ns"), (1, "1ns"), (999, "999ns"), (1234, "1.234us"), (999_960, "1ms"), (12_345_678, "12.35ms"),
        (231_400_000, "231.4ms"), (231_449_999, "231.4ms"), (999_999_999, "1s"), (1_500_000_000, "1.5s"),
        (59_990_000_000, "59.99s"), (59_999_999_999, "1m"), (123_000_000_000, "2m3s"), (3_600_000_000_000, "1h"),
        (5_430_000_000_000, "1h30m"), (90_000_000_000_000, "1d1h"), (-1_500_000, "-1.5ms"),
    ],
)  # fmt: skip
def test_people_see_few_digits(ns: int, shown: str) -> None:
    assert format_duration(ns) == shown


def test_what_is_no_number_is_shown_as_such() -> None:
    assert [format_duration(float(word)) for word in ("nan", "inf", "-inf")] == ["nan", "inf", "-inf"]


def test_means_are_shown_though_they_are_fractions() -> None:
    assert format_duration(Fraction(10, 3)) == "3.333ns"
    assert format_duration(2.5e6) == "2.5ms"


@given(st.integers(1, 10**18))
def test_the_form_for_people_never_shows_as_much_as_one_of_the_next_unit(ns: int) -> None:
    """Rounding makes no 1000ms, 60s or 60m."""
    shown = format_duration(ns)
    assert "1000" not in shown
    assert "60s" not in shown
    assert "60m" not in shown
    assert "24h" not in shown
