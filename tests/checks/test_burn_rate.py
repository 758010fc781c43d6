"""`burn_rate`: how much faster than allowed an error budget is spent, in a short and in a long window."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.pasttimes import MINUTE, looking_back, runs
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.past import NOTHING_BEFORE

RULE = "- {id: r, burn_rate: {of: whole, objective: 90%%, short: 5m, long: 1h, runs: 2%s}, expect: {%s}}"


def rule(expect: str, more: str = "") -> str:
    return RULE % (more, expect)


def burns(outcomes: str) -> list[float]:
    """The burn in the slower and in the faster window."""
    result = looking_back(rule("min: '>= 0', max: '>= 0'"), runs(outcomes))
    return [float(condition.observed_value or 0) for condition in result.conditions]


@settings(deadline=None, max_examples=50)
@given(st.text("pf", min_size=1, max_size=70))
def test_the_burn_of_a_window_is_its_share_of_failures_over_the_budget(outcomes: str) -> None:
    """The run that is judged passed; of those before, one a minute, the last 4 and the last 59 are in the windows."""
    shares = [Fraction(outcomes[-count:].count("f"), len(outcomes[-count:]) + 1) for count in (4, 59)]
    assert burns(outcomes) == sorted(float(share / Fraction(1, 10)) for share in shares)


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        ("p" * 30, Outcome.PASSED),
        ("f" * 30 + "pppp", Outcome.PASSED),
        ("p" * 50 + "ffff", Outcome.PASSED),
        ("f" * 30 + "ffff", Outcome.FAILED),
    ],
)
def test_an_alert_needs_both_windows_to_burn(outcomes: str, outcome: Outcome) -> None:
    """What burned long ago and stopped, and what began just now, is not yet one."""
    assert looking_back(rule("min: '< 2'"), runs(outcomes)).outcome is outcome


def test_a_failure_says_what_was_bad_in_each_window() -> None:
    result = looking_back(rule("min: '< 2'"), runs("f" * 9))
    assert result.outcome is Outcome.FAILED
    assert result.message == "min = 8, expected < 2 (n = 2 windows)"
    assert [exhibit.value for exhibit in result.exhibits] == ["9 in 1h: 9 bad of 10 runs", "8 in 5m: 4 bad of 5 runs"]


@pytest.mark.parametrize(
    ("outcomes", "condition", "outcome"),
    [
        ("ppppppppi", "min: '<= 2'", Outcome.PASSED),
        ("ppppppppi", "min: '< 1'", Outcome.INCONCLUSIVE),
        ("ppppppppi", "max: '< 2'", Outcome.INCONCLUSIVE),
        ("ffffffffi", "min: '< 5'", Outcome.FAILED),
    ],
)
def test_a_run_that_did_not_decide_may_have_been_bad(outcomes: str, condition: str, outcome: Outcome) -> None:
    result = looking_back(rule(condition), runs(outcomes))
    assert result.outcome is outcome
    assert outcome is not Outcome.INCONCLUSIVE or "did not decide" in result.message


def test_values_of_a_rule_are_counted_where_that_is_asked() -> None:
    """1 of 100 and 30 of 100 were bad, and none of the one in this run: 31 of 201 is 1.54 times the budget."""
    past = runs("pf", counts=[(99, 100), (70, 100)])
    result = looking_back(rule("max: '< 1.55', min: '> 1.54'", ", by: values"), past)
    assert result.outcome is Outcome.PASSED
    assert "15.4" not in result.message


def test_a_run_that_does_not_say_counts_like_the_others() -> None:
    past = runs("pp", counts=[(100, 100), None])
    result = looking_back(rule("max: '< 3'", ", by: values"), past)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "lies between 0 and" in result.message or "between 0 and" in result.message


def test_a_window_without_runs_says_nothing() -> None:
    skipped = "- {id: whole, skip: 'not now', coverage: {stages: all}, expect: {ratio: '>= 0%'}}"
    past = runs("pppp", every=10 * MINUTE)
    assert looking_back(rule("max: '< 5'"), past, skipped).outcome is Outcome.INCONCLUSIVE
    assert looking_back(rule("min: '< 5'"), past, skipped).outcome is Outcome.PASSED


def test_too_little_history_is_no_verdict() -> None:
    result = looking_back(rule("min: '< 1000'").replace("runs: 2", "runs: 5"), runs("ppp"))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "4 runs in 1h decided on the rule whole, and 5 are needed" in result.message
    assert looking_back(rule("min: '< 1000'"), NOTHING_BEFORE).outcome is Outcome.INCONCLUSIVE
