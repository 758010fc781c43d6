"""Earlier runs, for tests of rules that look back at them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ruleruns import EPOCH, MS, call, events, flow_of, run_outcome
from spanverdict.checks.history import PastResult, PastRun
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated, RuleResult
from spanverdict.evaluation.past import Past

END = EPOCH + 150 * MS
"""When the run that is judged ends."""
MINUTE = 60_000 * MS
OUTCOMES = {"p": "passed", "f": "failed", "i": "inconclusive", "e": "errored", "s": "skipped"}
LOOKED_AT = "- {id: whole, coverage: {stages: all}, expect: {ratio: '>= 0%'}}\n"
"""A rule that passes in the run that is judged: 1 of 1 is good."""


def runs(outcomes: str, every: int = MINUTE, counts: Iterable[tuple[int, int] | None] = ()) -> Past:
    """Runs with these outcomes of the rule `whole` and the flow; the last ended `every` before the one that is judged."""
    good = [*counts, *[None] * len(outcomes)]
    found = [
        PastRun(
            f"past-{number}",
            END - every * (len(outcomes) - number),
            PastResult(OUTCOMES[letter]),
            {"whole": PastResult(OUTCOMES[letter], *(good[number] or (None, None)))},
        )
        for number, letter in enumerate(outcomes)
    ]
    return Past(runs={"scoring": found})


def looking_back(rule: str, past: Past, looked_at: str = LOOKED_AT, **more: Any) -> RuleResult:
    """Judge one whole request by a rule over runs; `looked_at` are the other rules of the flow."""
    found = events(more.pop("rows", call("a")), flow_of(f"{rule}\n{looked_at}"), past=past, **more)
    return next(event.result for event in found if isinstance(event, RuleEvaluated) and event.result.id == "r")


def outcome_of_run(rule: str, past: Past) -> Outcome:
    return run_outcome(events(call("a"), flow_of(f"{rule}\n{LOOKED_AT}"), past=past))
