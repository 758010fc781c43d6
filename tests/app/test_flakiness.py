"""Flaky rules: their outcome flips between runs that are alike, and only then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanverdict.app.flakiness import LAST, FlakyRule, flaky_rules
from spanverdict.storage.history import FlowRecord, RuleRecord

OUTCOMES = {"p": "passed", "f": "failed", "i": "inconclusive", "e": "errored", "s": "skipped"}


def run(
    number: int, outcome: str, *, sha256: str = "a", labels: Mapping[str, str] | None = None, **more: Any
) -> FlowRecord:
    rule = RuleRecord(more.get("rule", "fast"), more.get("group"), OUTCOMES[outcome], False, 5, (), {})
    complete = more.get("complete", True)
    return FlowRecord(
        f"run-{number}", 1, "scoring", sha256, "passed", complete, 5, labels or {}, 0, number, number, (rule,)
    )


def flaky(outcomes: str, **more: Any) -> list[FlakyRule]:
    return flaky_rules([run(number, outcome, **more) for number, outcome in enumerate(outcomes)])


def test_a_rule_that_always_comes_out_the_same_is_not_flaky() -> None:
    assert [flaky(outcomes) for outcomes in ("", "p", "pppp", "ffff", "pippep")] == [[]] * 5


def test_flips_are_counted_and_what_did_not_decide_is_passed_over() -> None:
    (found,) = flaky("ppfpisef")
    assert (found.runs, found.failed, found.flips, found.undecided, found.rate) == (5, 2, 3, 3, 0.75)
    assert found.last == (
        ("run-7", "failed"),
        ("run-3", "passed"),
        ("run-2", "failed"),
        ("run-1", "passed"),
        ("run-0", "passed"),
    )


@given(st.text("pfi", max_size=40))
def test_the_rate_is_that_of_changes_among_decided_runs(outcomes: str) -> None:
    decided = outcomes.replace("i", "")
    flips = sum(one != other for one, other in pairwise(decided))
    found = flaky(outcomes)
    assert [one.flips for one in found] == ([flips] if flips else [])
    assert all(len(one.last) <= LAST and 0 < one.rate <= 1 for one in found)


def test_only_runs_of_the_same_rule_file_and_labels_are_alike() -> None:
    changed = [run(1, "p", sha256="a"), run(2, "f", sha256="b")]
    elsewhere = [run(1, "p", labels={"branch": "main"}), run(2, "f", labels={"branch": "feature"})]
    assert flaky_rules(changed) == []
    assert flaky_rules(elsewhere) == []


def test_labels_that_do_not_matter_are_left_aside() -> None:
    runs = [run(number, outcome, labels={"branch": "main", "sha": str(number)}) for number, outcome in enumerate("pfp")]
    assert flaky_rules(runs) == []
    (found,) = flaky_rules(runs, ["branch", "environment"])
    assert (found.labels, found.flips) == ({"branch": "main", "environment": ""}, 2)


def test_groups_are_told_apart_and_incomplete_runs_do_not_count() -> None:
    assert flaky_rules([run(1, "p", group="a"), run(2, "f", group="b")]) == []
    assert flaky_rules([run(1, "p"), run(2, "f", complete=False)]) == []


def test_those_that_flip_most_come_first() -> None:
    def series(rule: str, outcomes: Sequence[str]) -> list[FlowRecord]:
        return [run(number, outcome, rule=rule) for number, outcome in enumerate(outcomes)]

    found = flaky_rules([*series("seldom", "ppppf"), *series("often", "pfpfp"), *series("never", "ppp")])
    assert [one.rule for one in found] == ["often", "seldom"]
