"""Runs and rule results to make alerts from."""

from __future__ import annotations

from typing import Any

from spanverdict.evaluation.outcomes import ConditionResult, Outcome, RuleResult, RunInfo, Severity

FAILED = ConditionResult("p95", "< 200ms", "231.4ms", 231_400_000, Outcome.FAILED)
HELD = ConditionResult("samples", ">= 100", "200", 200, Outcome.PASSED)


def run(run_id: str = "run-1", *, revision: int = 1, **labels: str) -> RunInfo:
    return RunInfo(run_id, {"environment": "ci", "branch": "main", **labels}, revision=revision)


def result(outcome: str = "failed", rule: str = "slow", **more: Any) -> RuleResult:
    failed = outcome == "failed"
    return RuleResult(
        **{
            "id": rule,
            "flow": "fraud",
            "measure": "latency",
            "outcome": Outcome(outcome),
            "conditions": (HELD, FAILED) if failed else (HELD,),
            "samples": 200,
            "population": "requests",
            "message": "p95 = 231.4ms, expected < 200ms (n = 200 requests)" if failed else "all good",
            "file": "rules.yaml",
            "line": 3,
            "column": 5,
            "severity": Severity.CRITICAL,
            **more,
        }
    )
