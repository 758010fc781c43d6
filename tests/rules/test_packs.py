"""The rule packs: they load without a remark, and each rule passes and fails on the traces that it should."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from rules.make_pack_traces import PACKS, RECORDINGS, traces
from rules.recording import Recording
from spanverdict.diagnostics.render import render_all
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.judging import worst_outcome
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated, RunInfo
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.files import read_file
from spanverdict.paths.association import associate
from spanverdict.rulefiles.loader import load_files
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable, concat

NAMES = sorted(path.parent.name for path in PACKS.glob("*/flow.yaml"))


@dataclass(frozen=True)
class Case:
    """One test of a `flow_test.yaml`."""

    flow: Path
    name: str
    traces: Path
    expect: dict[str, str]


def cases() -> list[Case]:
    documents = [
        (path.parent, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in PACKS.glob("*/*_test.yaml")
    ]
    return [
        Case(folder / document["flow"], test["name"], folder / test["traces"], test["expect"])
        for folder, document in sorted(documents, key=lambda pair: pair[0])
        for test in document["tests"]
    ]


CASES = [pytest.param(case, id=f"{case.flow.parent.name}: {case.name}") for case in cases()]


def load(path: Path) -> Flow:
    flows, problems = load_files([str(path)])
    assert not problems.sorted(), render_all(problems.sorted())
    return flows[0]


def spans_of(path: Path) -> SpanTable:
    pool = new_pool()
    decoded = [decode(payload, pool) for payload in read_file(path)]
    assert not any(each.rejected for each in decoded)
    return concat([each.table for each in decoded])


@cache
def judged(flow: Path, path: Path) -> dict[str, str]:
    """Return the outcome of each rule; of a rule with groups the worst."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    for event in evaluate([load(flow)], spans_of(path), RunInfo("pack")):
        if isinstance(event, RuleEvaluated):
            outcomes[event.result.id].append(event.result.outcome)
    return {rule: worst_outcome(found).value for rule, found in outcomes.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_rules_say_of_recorded_traffic_what_they_should(case: Case) -> None:
    """Proves every outcome that a rule test promises, for every rule of the flow."""
    assert judged(case.flow, case.traces) == case.expect


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_is_seen_to_pass_and_to_fail(name: str) -> None:
    """Proves that no rule of a pack is without effect."""
    seen: dict[str, set[str]] = defaultdict(set)
    for case in cases():
        if case.flow.parent.name == name:
            for rule, outcome in case.expect.items():
                seen[rule].add(outcome)
    never = {rule.id for rule in load(PACKS / name / "flow.yaml").rules if not seen[rule.id] >= {"passed", "failed"}}
    assert not never


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_says_what_each_rule_is_for(name: str) -> None:
    """Proves that reports and alerts of a pack are readable: every rule has a title, every alarming one a summary."""
    for rule in load(PACKS / name / "flow.yaml").rules:
        assert rule.title
        assert "summary" in rule.annotations or rule.severity == "info"


def test_the_packs_load_together_and_without_their_tests() -> None:
    """Proves that the folder can be given as it is: rule tests in it are not taken for rules."""
    flows, problems = load_files([str(PACKS)])
    assert not problems.sorted(), render_all(problems.sorted())
    assert sorted(flow.name for flow in flows) == NAMES == sorted(RECORDINGS)


@pytest.mark.parametrize(("path", "record"), [pytest.param(*each, id=each[0].stem) for each in traces()])
def test_the_traces_are_what_the_sdk_records(path: Path, record: Callable[[], Recording]) -> None:
    """Proves that the files are up to date; `PYTHONPATH=tests python -m rules.make_pack_traces` writes them anew."""
    assert path.read_text(encoding="utf-8") == record().to_json()


def test_no_traces_lie_about_unused() -> None:
    assert {case.traces for case in cases()} == {path for path, _ in traces()} == set(PACKS.glob("*/traces/*"))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path, _ in traces()])
def test_all_spans_of_a_recording_belong_to_its_run(path: Path) -> None:
    """Proves that the traces can be judged as a run that is looked up by its id."""
    table = spans_of(path)
    found = associate(table)
    assert len(found.runs) == 1
    assert len(found.rows_of(found.runs[0])) == len(table)
