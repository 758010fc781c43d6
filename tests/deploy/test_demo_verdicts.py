"""The whole story: `spanverdict run` on the demo, where each fault fails the rules that its README names and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo_runs import DEMO, ROOT

pytestmark = pytest.mark.story

FAILED = {
    "none": set[str](),
    "slow-scorer": {"end-to-end", "score-latency"},
    "stale-features": {"fresh-features merchant_profile"},
    "lost-messages": {"whole-path"},
    "wrong-output": {"score-range"},
    "lost-spans": {"whole-path"},
}
INCONCLUSIVE = {"lost-spans": {"score-range"}}


SPANVERDICT = str(Path(sys.executable).parent / "spanverdict")


def judged(fault: str, report: Path) -> tuple[int, str, dict[str, Any]]:
    """Run the demo with a fault under `spanverdict run`; return exit code, text report and JSON report."""
    kept = ["--run-id", fault, "--store", str(report.with_suffix(".sqlite"))]
    program = [SPANVERDICT, "run", "--rules", str(DEMO / "scoring.yaml"), *kept]
    outputs = ["-o", "text", "-o", f"json={report}"]
    done = subprocess.run(
        [*program, *outputs, "--", sys.executable, str(DEMO / "run.py")],
        env={**os.environ, "FAULT": fault, "CI": "true"},
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert report.exists(), done.stderr
    return done.returncode, done.stdout, json.loads(report.read_text(encoding="utf-8"))


def named(report: dict[str, Any], outcome: str) -> set[str]:
    """Return the rules of one outcome, those judged by groups with the group."""
    rules = [rule for rule in report["rules"] if rule["outcome"] == outcome]
    return {rule["id"] if rule["group"] is None else f"{rule['id']} {rule['group']}" for rule in rules}


@pytest.mark.parametrize("fault", FAILED)
def test_a_fault_fails_the_rules_that_a_reader_expects(fault: str, tmp_path: Path) -> None:
    code, text, report = judged(fault, tmp_path / "report.json")
    assert named(report, "failed") == FAILED[fault], text
    assert named(report, "inconclusive") == INCONCLUSIVE.get(fault, set()), text
    assert code == (1 if FAILED[fault] else 0), text
    assert report["run"]["spans"] > 300 * 9
    assert all(rule.partition(" ")[0] in text for rule in FAILED[fault])
    check_draft(fault, tmp_path / "report.sqlite")


def check_draft(fault: str, store: Path) -> None:
    """A flow that is drafted from the run lints clean, and the run passes it, whatever its fault."""
    flow, kept = store.with_name("drafted.yaml"), ["--run", fault, "--store", str(store)]
    for command in (["init", *kept, "-o", str(flow)], ["lint", str(flow)], ["check", str(flow), *kept]):
        done = subprocess.run([SPANVERDICT, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    drafted = flow.read_text(encoding="utf-8")
    assert "select: {service: ledger, name: process decisions, kind: consumer}" in drafted
    assert "key: span.request.id" in drafted
    assert "freshness: {stage: get-online-features" in drafted
