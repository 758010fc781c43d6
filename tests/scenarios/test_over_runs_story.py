"""Rules over several runs, through the command line: the runs of a store are looked back at."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scenarios.recorded import payload
from scenarios.stories import RULES, Told, serving, tell
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story

LOOKING_BACK = """\
  - id: success
    pass_rate: {window: 1h, runs: 3}
    expect: {ratio: ">= 70%"}
  - id: budget
    burn_rate: {of: fast, objective: 90%, short: 30m, long: 1h, runs: 3}
    expect: {min: "< 5"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scoring.yaml").write_text(RULES + LOOKING_BACK, encoding="utf-8")
    return tmp_path


def keep(folder: Path, run_id: str, *options: str, slow: int = 0) -> Told:
    """Judge a run that took place so many seconds after the first as its name says."""
    second = int(run_id.removeprefix("gh-")) * 1_000_000_000
    plain = protobuf_to_json(payload(run_id, 1, 2, 3, slow=slow)) + "\n"
    text = re.sub(r'(TimeUnixNano": ?")(\d+)', lambda found: f"{found[1]}{int(found[2]) + second}", plain)
    assert text != plain or not second
    (folder / "traces.jsonl").write_text(text, encoding="utf-8")
    return tell("check", "scoring.yaml", "--input", "traces.jsonl", "--store", "runs.sqlite", *options, cwd=folder)


def outcomes(told: Told) -> dict[str, str]:
    return of_rules(json.loads(told.stdout))


def of_rules(document: dict[str, Any]) -> dict[str, str]:
    return {rule["id"]: rule["outcome"] for rule in document["rules"] if rule["id"] in ("success", "budget")}


def test_too_few_runs_are_not_green_and_enough_decide(folder: Path) -> None:
    found = [
        outcomes(keep(folder, f"gh-{number}", "-o", "json", slow=slow)) for number, slow in enumerate((0, 0, 0, 1, 1))
    ]
    undecided, good = ({"success": word, "budget": word} for word in ("inconclusive", "passed"))
    assert found[:4] == [undecided, undecided, good, {"success": "passed", "budget": "passed"}]
    assert found[4] == {"success": "failed", "budget": "passed"}


def test_what_was_looked_back_at_is_said(folder: Path) -> None:
    first = keep(folder, "gh-1")
    assert first.returncode == 4
    assert "1 run in 1h decided on the flow, and 3 are needed" in first.stdout
    for number in range(2, 6):
        last = keep(folder, f"gh-{number}", slow=2)
    assert "ratio = 20 %, expected >= 70%   (n = 5 runs)" in last.stdout
    assert "worst: run gh-2 failed" in last.stdout
    assert "min = 8, expected < 5   (n = 2 windows)" in last.stdout
    assert "8 in 30m: 4 bad of 5 runs" in last.stdout


def test_runs_of_another_branch_do_not_count_and_a_failed_rate_does_not_feed_itself(folder: Path) -> None:
    for number in range(4):
        keep(folder, f"gh-{number}", "--label", "branch=feature", slow=1)
    elsewhere = keep(folder, "gh-5", "--label", "branch=main", "-o", "json")
    assert outcomes(elsewhere) == {"success": "inconclusive", "budget": "inconclusive"}
    for number in range(6, 16):
        last = keep(folder, f"gh-{number}", "--label", "branch=feature", "-o", "json")
    rates = [rule["observed"]["ratio"] for rule in json.loads(last.stdout)["rules"] if rule["id"] == "success"]
    assert rates == [10 / 14]
    assert outcomes(last)["success"] == "passed"


def test_without_a_store_there_is_nothing_to_look_back_at(folder: Path) -> None:
    keep(folder, "gh-1")
    done = tell("check", "scoring.yaml", "--input", "traces.jsonl", "-o", "json", cwd=folder)
    assert (done.returncode, outcomes(done)) == (4, {"success": "inconclusive", "budget": "inconclusive"})


def test_a_server_looks_back_at_its_runs_and_a_run_is_judged_again_the_same(folder: Path) -> None:
    rules = folder / "scoring.yaml"
    found = []
    with serving(folder, "--rules", rules) as server:
        for number, slow in enumerate((0, 0, 0, 2)):
            name = f"gh-{number}"
            server.declare(name, expected_requests=3)
            server.play(name, 3, first=number << 20, slow=slow)
            found.append(of_rules(server.verdict(name)["verdict"]))
        stored = server.get("/api/v1/runs/gh-3").json()["verdict"]
    assert [each["success"] for each in found] == ["inconclusive", "inconclusive", "passed", "passed"]
    again = tell("check", rules, "--run", "gh-3", "--store", folder / "store.sqlite", "-o", "json")
    assert json.loads(again.stdout)["rules"] == stored["rules"]
    explained = tell("explain", "success", "--rules", rules, "--run", "gh-3", "--store", folder / "store.sqlite")
    assert explained.returncode == 0
    assert "outcome   PASSED  ratio = 75 %" in explained.stdout
