"""The rule packs: they load without a remark, and each rule passes and fails on the traces that it should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rules.make_pack_traces import PACKS, traces
from rules.recording import Recording
from spanverdict.app.errors import ExitCode
from spanverdict.app.testcommand import SuiteOptions, load_tests, run_tests
from spanverdict.app.verdicts import targets
from spanverdict.diagnostics.render import render_all
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.files import read_file
from spanverdict.paths.association import associate
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.rulefiles.loader import load_files
from spanverdict.rulefiles.models import Flow
from spanverdict.ruletest.reports import TEST_REPORTERS
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import SpanTable

NAMES = sorted(path.parent.name for path in PACKS.glob("*/flow.yaml"))
SCENARIOS = PACKS / "scenarios"


TESTS = load_tests([str(PACKS)])


def load(path: Path) -> Flow:
    flows, problems = load_files([str(path)])
    assert not problems.sorted(), render_all(problems.sorted())
    return flows[0]


def spans_of(path: Path) -> SpanTable:
    pool = new_pool()
    decoded = [decode(payload, pool) for payload in read_file(path)]
    assert not any(each.rejected for each in decoded)
    return concat([each.table for each in decoded])


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_of_a_pack_passes_and_fails_as_its_tests_expect(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves all that the tests of a pack promise, and that no rule and no stage of it is without effect."""
    options = SuiteOptions(targets((), {}, TEST_REPORTERS), ReportOptions(), coverage=True, require_coverage=True)
    assert run_tests([str(PACKS / name)], options) is ExitCode.PASSED, capsys.readouterr().out


def test_every_rule_of_the_worked_scenarios_passes_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves that what the reference says can be asked can be: of a candidate, cold starts, a replay, two models."""
    options = SuiteOptions(targets((), {}, TEST_REPORTERS), ReportOptions(), coverage=True, require_coverage=True)
    assert run_tests([str(SCENARIOS)], options) is ExitCode.PASSED, capsys.readouterr().out


def test_every_test_of_a_pack_says_something_of_every_rule() -> None:
    for test in TESTS:
        named = {expected.rule for expected in test.expect}
        assert test.others is not None or named == {rule.id for rule in test.flow.rules}, test.name


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
    worked = [path.stem for path in SCENARIOS.glob("*.yaml") if not path.stem.endswith("_test")]
    assert sorted(flow.name for flow in flows) == sorted([*NAMES, *worked])


@pytest.mark.parametrize(("path", "record"), [pytest.param(*each, id=each[0].stem) for each in traces()])
def test_the_traces_are_what_the_sdk_records(path: Path, record: Callable[[], Recording]) -> None:
    """Proves that the files are up to date; `PYTHONPATH=tests python -m rules.make_pack_traces` writes them anew."""
    assert path.read_text(encoding="utf-8") == record().to_json()


def test_no_traces_lie_about_unused() -> None:
    named = {file.path.resolve() for test in TESTS for file in test.given.traces}
    assert named == {path for path, _ in traces()} == set(PACKS.glob("*/traces/*"))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path, _ in traces()])
def test_all_spans_of_a_recording_belong_to_its_run(path: Path) -> None:
    """Proves that the traces can be judged as a run that is looked up by its id."""
    table = spans_of(path)
    found = associate(table)
    assert len(found.runs) == 1
    assert len(found.rows_of(found.runs[0])) == len(table)
