"""`pass_rate`: the share of runs that passed, in a window that ends with the run."""

from __future__ import annotations

import pytest

from checks.pasttimes import END, LOOKED_AT, MINUTE, looking_back, outcome_of_run, runs
from ruleruns import call, events, flow_of
from spanverdict.checks.history import PastResult, PastRun
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated
from spanverdict.evaluation.past import NOTHING_BEFORE, Past

RULE = "- {id: r, pass_rate: {of: whole, window: 1h, runs: 2}, expect: {ratio: '%s'}}"


@pytest.mark.parametrize(
    ("outcomes", "condition", "outcome", "observed"),
    [
        ("ppp", "== 100%", Outcome.PASSED, "100 %"),
        ("pfp", ">= 75%", Outcome.PASSED, "75 %"),
        ("pfp", "> 75%", Outcome.FAILED, "75 %"),
        ("pfps", ">= 75%", Outcome.PASSED, "75 %"),
        ("pppi", ">= 80%", Outcome.PASSED, "100 %"),
        ("pppi", "> 80%", Outcome.INCONCLUSIVE, "100 %"),
        ("ppe", "== 100%", Outcome.INCONCLUSIVE, "100 %"),
        ("ffi", ">= 90%", Outcome.FAILED, "33.33 %"),
    ],
)
def test_the_share_of_runs_that_passed_this_one_among_them(
    outcomes: str, condition: str, outcome: Outcome, observed: str
) -> None:
    result = looking_back(RULE % condition, runs(outcomes))
    assert (result.outcome, result.conditions[0].observed, result.population) == (outcome, observed, "runs")


def test_runs_that_did_not_decide_are_named() -> None:
    result = looking_back(RULE % "== 100%", runs("pipi"))
    assert "2 of 5 runs did not decide (past-1, past-3), so it lies between 60 % and 100 %" in result.message


def test_a_failure_names_the_runs_that_failed() -> None:
    result = looking_back(RULE % "== 100%", runs("pfpf"))
    assert [exhibit.value for exhibit in result.exhibits] == ["run past-1 failed", "run past-3 failed"]


@pytest.mark.parametrize(
    ("outcomes", "needed", "outcome"), [("p", 2, "passed"), ("p", 3, "inconclusive"), ("pi", 3, "inconclusive")]
)
def test_too_little_history_is_no_verdict(outcomes: str, needed: int, outcome: str) -> None:
    result = looking_back((RULE % ">= 0.1%").replace("runs: 2", f"runs: {needed}"), runs(outcomes))
    assert result.outcome == outcome
    assert outcome == "passed" or "2 runs in 1h decided on the rule whole, and 3 are needed" in result.message


def test_without_any_history_nothing_passes() -> None:
    result = looking_back((RULE % ">= 0.1%").replace(", runs: 2", ""), NOTHING_BEFORE)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "1 run in 1h decided on the rule whole, and 10 are needed" in result.message


def test_a_window_ends_with_the_run_and_begins_after_its_length() -> None:
    """A run that ended just an hour before is out of it, one that ended later than this one too."""
    at = {"old": END - 60 * MINUTE, "first": END - 60 * MINUTE + 1, "same": END, "later": END + 1}
    past = Past(
        runs={
            "scoring": [
                PastRun(name, end, PastResult("passed"), {"whole": PastResult("passed")}) for name, end in at.items()
            ]
        }
    )
    assert looking_back(RULE % "> 0%", past).samples == 3


def test_a_run_is_not_counted_twice_when_it_is_judged_again() -> None:
    past = Past(runs={"scoring": [PastRun("run-1", END - 1, PastResult("failed"), {"whole": PastResult("failed")})]})
    assert looking_back((RULE % "== 100%").replace("runs: 2", "runs: 1"), past).outcome is Outcome.PASSED


def test_without_a_rule_the_flow_is_looked_at() -> None:
    rule = "- {id: r, pass_rate: {window: 1h, runs: 2}, expect: {ratio: '>= 60%'}}"
    assert looking_back(rule, runs("pf")).outcome is Outcome.PASSED
    failing = "- {id: whole, coverage: {stages: all}, expect: {ratio: '== 0%'}}"
    result = looking_back(rule, runs("pf"), failing)
    assert (result.outcome, result.conditions[0].observed) == (Outcome.FAILED, "33.33 %")


def test_a_run_whose_rule_was_skipped_does_not_count() -> None:
    skipped = LOOKED_AT.replace("{id: whole", "{id: whole, skip: 'not now'")
    assert looking_back(RULE % "== 100%", runs("pp"), skipped).samples == 2


def test_groups_of_a_rule_are_one_outcome_the_worst() -> None:
    rules = "- {id: whole, latency: {stage: score}, per: span.tier, expect: {max: '< 10ms', samples: '>= 1'}}"
    quick = call("a")
    quick[1] |= {"end": quick[1]["start"] + 5_000_000, "attributes": {"tier": "gold"}}
    rows = [*quick, *call("b", 1)]
    result = looking_back(RULE % "== 100%", runs("p"), rules, rows=rows)
    assert (result.outcome, result.conditions[0].observed) == (Outcome.FAILED, "50 %")


def test_confidence_is_judged_as_of_any_share() -> None:
    rule = (RULE % ">= 50%").replace("expect:", "confidence: 95%, expect:")
    assert looking_back(rule, runs("pp")).outcome is Outcome.INCONCLUSIVE
    assert looking_back(rule, runs("p" * 30)).outcome is Outcome.PASSED


def test_the_rule_that_is_looked_at_may_come_before_or_after() -> None:
    rule = RULE % "== 100%"
    for text in (f"{rule}\n{LOOKED_AT}", f"{LOOKED_AT}{rule}"):
        found = [
            event.result
            for event in events(call("a"), flow_of(text), past=runs("pp"))
            if isinstance(event, RuleEvaluated)
        ]
        assert {result.id: str(result.outcome) for result in found} == {"r": "passed", "whole": "passed"}
        assert [result.id for result in found] == (["r", "whole"] if text.startswith(rule) else ["whole", "r"])


def test_a_pass_rate_that_is_too_low_fails_the_run() -> None:
    assert outcome_of_run(RULE % ">= 90%", runs("ff")) is Outcome.FAILED
    assert outcome_of_run(RULE % ">= 90%", runs("pp")) is Outcome.PASSED
