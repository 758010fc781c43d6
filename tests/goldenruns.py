"""Rules with golden files that stand in no folder: what the tests of goldens are written in.

result = golden(scores([0.5]), {"r-1": 0.5})
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ruleruns import HEAD, Row, judged
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.outcomes import RuleResult
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow

SCORE = "{stage: score, value: span.score}"
RULE = "{id: r, output: OUTPUT, golden: {file: golden/scores.jsonl, HOW}, MORE, expect: {EXPECT}}"


def lines(records: Mapping[str, Any], *, named: bool = False) -> bytes:
    """Write a golden file."""
    what = "values" if named else "value"
    return "".join(f"{json.dumps({'key': key, what: value})}\n" for key, value in records.items()).encode()


def flow_with(rule: str, data: bytes, head: str = HEAD) -> Flow:
    """Read a flow of one rule, whose golden file holds `data`."""
    problems = Problems()
    flow = load(f"{head}rules:\n  - {rule}\n", "rules/scoring.yaml", problems, lambda _file, _name: data)
    assert flow is not None, [str(problem) for problem in problems.sorted()]
    return flow


def rule(output: str = SCORE, how: str = "", expect: str = "ratio: '>= 99%'", more: str = "") -> str:
    """Write a rule with a golden file."""
    text = RULE.replace("OUTPUT", output).replace("EXPECT", expect)
    return text.replace(", HOW", f", {how}" if how else "").replace("MORE, ", f"{more}, " if more else "")


def golden(rows: Sequence[Row], records: Mapping[str, Any], **more: Any) -> RuleResult:
    """Judge a run by one rule with a golden file."""
    expected, named = more.pop("expected", None), more.pop("named", False)
    flow = flow_with(rule(**more), lines(records, named=named))
    (result,) = judged(rows, flow, expected=expected).values()
    return result
