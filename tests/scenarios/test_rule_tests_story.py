"""`spanverdict test`: rules are tested on small traces, and what differs is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scenarios.stories import as_expected, tell

pytestmark = pytest.mark.story

FLOW = """\
version: 1
flow: fraud
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: score
    select: {service: scorer, name: predict}
  - stage: notify
    select: {service: ledger, kind: consumer}
request: {key: span.request.id}
rules:
  - id: end-to-end
    latency: request
    expect: {p95: "< 200ms", samples: ">= 100"}
  - id: whole-path
    coverage: {stages: all}
    expect: {ratio: ">= 99%"}
  - id: score-range
    output: {stage: score, value: span.score}
    expect: {every: "0..1"}
  - id: by-tier
    latency: {stage: score}
    per: span.tier
    expect: {p50: "< 100ms"}
  - id: later
    latency: {stage: notify}
    expect: {max: "< 1s"}
    skip: until the ledger is instrumented
"""
PASSING = """\
flow: fraud.yaml
tests:
  - name: a slow ledger fails end-to-end only
    spans: |
      gateway POST /score server 0ms..180ms  run=r1 request.id=a-{n}
        scorer predict 20ms..110ms  score=0.93 tier=gold
      ledger consume consumer 200ms..220ms  link=gateway
    repeat: 200
    expect:
      end-to-end: {outcome: failed, p95: 220ms, samples: 200}
      by-tier[gold]: {p50: 90ms}
      score-range: {every: 200 of 200 hold}
      later: skipped
    others: passed
    verdict: {outcome: failed, requests: 200, defects: {}, missing: {}}
"""
FAILING = """\
flow: fraud.yaml
tests:
  - name: all is well
    spans: |
      gateway POST /score server 0ms..150ms  request.id=a-{n}
        scorer predict 20ms..110ms  score=0.5 tier=gold
      ledger consume consumer 160ms..170ms  link=gateway
    repeat: 100
    verdict: passed
  - name: nothing is as expected
    spans:
      - spans: |
          gateway POST /score server 0ms..180ms  request.id=a-{n}
            scorer predict 20ms..140ms  score=1.5 tier=gold
        repeat: 98
      - spans: |
          gateway POST /score server 0ms..180ms  request.id=a-{n}
            scorer predict 20ms..140ms  score=NaN tier=silver
          ledger consume consumer 200ms..220ms  link=gateway
        repeat: 2
        every: 10ms
    expect:
      end-to-end: {outcome: passed, p95: "< 200ms", samples: 3}
      by-tier: passed
      by-tier[basic]: passed
      by-tier[silver]: {p50: 12ms}
      later: passed
    others: passed
    verdict: {outcome: passed, requests: 9, missing: {score: 2}, defects: {orphan: 1}}
"""
MISTAKEN = """\
flow: fraud.yaml
tests:
  - name: mistakes in spans
    spans: |
      gateway POST /score server 0ms..180ms  run=r1
        scorer predict 20..140ms  score=0.93
      ledger consume consumer 200ms..220ms  link=gatewy
    expect: {end-to-end: passed}
  - name: mistakes in what is expected
    traces: [nowhere.json]
    expect:
      end-to-ned: failed
      whole-path: faild
      whole-path[a]: passed
      by-tier: {p50: 4ms}
      score-range: {p95: 3}
      end-to-end: {p95: 3}
    verdict: {missing: {notfy: 1}}
    other: passed
  - name: mistakes in what is expected
    repeat: 3
  - name: two things to judge, too often
    traces: fraud.yaml
    spans: [{spans: a b 0..1ms, repeat: 900000}]
    every: 1s
    expect: {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fraud.yaml").write_text(FLOW, encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str, name: str = "fraud_test.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_tests_that_come_out_as_expected_pass(folder: Path) -> None:
    write(folder, PASSING)
    done = tell("test", ".", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:2] == ["PASSED  a slow ledger fails end-to-end only"]
    assert done.stdout.endswith("\nPASSED  1 passed  (1 test in 1 file)\n")


def test_what_came_out_otherwise_is_told_with_the_words_of_the_rule(folder: Path) -> None:
    write(folder, FAILING)
    done = tell("test", ".", "--coverage", cwd=folder)
    assert done.returncode == 1
    as_expected("test-failed.txt", done.stdout)


def test_every_mistake_of_a_test_file_is_told_before_anything_is_run(folder: Path) -> None:
    write(folder, MISTAKEN)
    done = tell("test", "fraud_test.yaml", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    as_expected("test-mistakes.txt", done.stderr)


def test_the_quiet_report_shows_only_what_failed(folder: Path) -> None:
    write(folder, FAILING)
    done = tell("test", ".", "-q", cwd=folder)
    assert "all is well" not in done.stdout
    assert "nothing is as expected" in done.stdout
    write(folder, PASSING)
    assert tell("test", ".", "-q", cwd=folder).stdout == "PASSED  1 passed  (1 test in 1 file)\n"


def test_reports_for_machines_say_the_same(folder: Path) -> None:
    write(folder, FAILING)
    done = tell("test", ".", "-o", "json", "-o", "junit=j.xml", "-o", "github=g.txt", "--coverage", cwd=folder)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["counts"] == {"passed": 1, "failed": 1}
    passed, failed = report["tests"]
    assert (passed["outcome"], passed["differences"]) == ("passed", [])
    subjects = [difference["subject"] for difference in failed["differences"]]
    assert subjects[:3] == ["end-to-end", "end-to-end p95", "end-to-end samples"]
    assert report["coverage"][0]["neverFailed"] == ["end-to-end"]
    suites = ET.fromstring((folder / "j.xml").read_text(encoding="utf-8"))
    assert (suites.get("tests"), suites.get("failures")) == ("2", "1")
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    assert cases["all is well"].find("failure") is None
    failure = cases["nothing is as expected"].find("failure")
    assert failure is not None
    assert failure.get("message") == "end-to-end: expected passed, got inconclusive"
    notes = (folder / "g.txt").read_text(encoding="utf-8").splitlines()
    assert len(notes) == len(subjects)
    assert notes[0].startswith("::error file=fraud_test.yaml,line=23,col=7,title=nothing is as expected")


def test_coverage_alone_fails_nobody_and_is_required_by_its_own_option(folder: Path) -> None:
    write(folder, PASSING)
    done = tell("test", ".", "--coverage", cwd=folder)
    assert done.returncode == 0
    assert "rules never seen to fail: whole-path, score-range, by-tier\n" in done.stdout
    assert "rules never seen to pass: end-to-end\n" in done.stdout
    assert "later" not in done.stdout
    assert tell("test", ".", "--require-coverage", cwd=folder).returncode == 1


def test_a_flow_without_tests_is_not_covered(folder: Path) -> None:
    write(folder, PASSING)
    write(folder, FLOW.replace("flow: fraud", "flow: other"), "other.yaml")
    done = tell("test", ".", "--coverage", "-o", "json", cwd=folder)
    other = next(each for each in json.loads(done.stdout)["coverage"] if each["flow"] == "other")
    assert (other["tests"], len(other["neverPassed"]), len(other["neverMatched"])) == (0, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("empty",), 4, "spanverdict: no rule test was found in empty; their files end in _test.yaml\n"),
        (("fraud.yaml",), 2, "fraud.yaml:1:1: error[SV020]: this is a flow, not a file of tests\n"),
        (("nowhere_test.yaml",), 2, "nowhere_test.yaml:1:1: error[SV001]"),
        (("*_tset.yaml",), 4, "no rule test was found in *_tset.yaml"),
        ((".", "-o", "tap"), 2, "there is no report format 'tap'"),
        ((".", "--name", "x"), 2, "--name goes with --print-spans"),
    ],
)
def test_no_test_is_never_green(folder: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (folder / "empty").mkdir()
    done = tell("test", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file holds nothing"),
        ("flow: fraud.yaml", "a file of tests needs the key `tests`"),
        ("flow: fraud.yaml\ntests: []", "tests is an empty list"),
        ("flow: fraud.yaml\ntests: {}", "tests has to be a list"),
        ("flow: nowhere.yaml\ntests: [{name: a}]", "there is no flow nowhere.yaml"),
        ("flow: broken.yaml\ntests: [{name: a, traces: fraud.yaml, others: passed}]", "broken.yaml:1:1: error[SV030]"),
        (
            "flow: fraud.yaml\ntests: [{name: a, traces: fraud.yaml, others: passed}]",
            "fraud_test.yaml:2:27: error[SV082]",
        ),
        ("flow: fraud.yaml\ntests:\n- name: a\n  others: passed\n  spans: >\n    a b 0..1ms\n", "YAML joins the lines"),
        ("flow: fraud.yaml\ntests: [{name: a, run: a b, spans: a b 0..1, others: passed}]", "run does not name a run"),
    ],
)
def test_a_file_that_holds_no_test_is_refused(folder: Path, text: str, said: str) -> None:
    write(folder, "flow: x\n", "broken.yaml")
    write(folder, text)
    done = tell("test", ".", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_written_spans_can_be_printed_and_judged_as_a_file(folder: Path) -> None:
    write(folder, PASSING)
    printed = tell("test", ".", "--print-spans", "--name", "a slow ledger fails end-to-end only", cwd=folder)
    assert printed.returncode == 0
    judged = tell("check", "fraud.yaml", "--input", "-", given=printed.stdout.encode(), cwd=folder)
    assert judged.returncode == 1
    assert "p95 = 220ms, expected < 200ms   (n = 200 requests)" in judged.stdout
    assert tell("test", ".", "--print-spans", "--name", "x", cwd=folder).returncode == 4


def test_one_of_several_runs_is_judged_when_it_is_named(folder: Path) -> None:
    two = """\
flow: fraud.yaml
tests:
  - name: the second run
    spans: |
      gateway POST /score server 0ms..180ms  run=r{n}
        scorer predict 20ms..110ms  score=0.93 tier=gold
      ledger consume consumer 150ms..170ms  link=gateway
    repeat: 2
    run: r2
    requests: 2
    expect: {score-range: inconclusive, whole-path: {outcome: failed, ratio: 50%}}
    verdict: {requests: 1}
"""
    write(folder, two)
    assert tell("test", ".", cwd=folder).returncode == 0
    write(folder, two.replace("    run: r2\n", ""))
    done = tell("test", ".", cwd=folder)
    assert done.returncode == 2
    assert "fraud_test.yaml:3:11: the input holds 2 runs: r1, r2" in done.stderr


def test_a_run_that_was_given_up_on_never_passes(folder: Path) -> None:
    write(folder, FAILING.replace("    verdict: passed\n", "    complete: false\n    verdict: inconclusive\n"))
    done = tell("test", ".", cwd=folder)
    assert "PASSED  all is well" in done.stdout


COMPARING = """\
version: 1
flow: fraud
stages:
  - stage: score
    select: {service: scorer}
rules:
  - id: served
    ratio: {of: '{ span:status != error }', over: '{ }'}
    expect: {ratio: ">= 90%"}
  - id: no-slower
    latency: {stage: score}
    expect: {p95: "<= +10% of baseline"}
  - id: test-success
    pass_rate: {window: 7d, of: served}
    expect: {ratio: ">= 90%"}
  - id: budget
    burn_rate: {of: served, objective: 90%, short: 2h, long: 24h}
    expect: {min: "< 1.5"}
"""
BESIDE_OTHERS = """\
flow: fraud.yaml
tests:
  - name: as before
    spans: &right |
      scorer predict 0ms..100ms
    repeat: 20
    baseline: {spans: *right, repeat: 30}
    earlier: [{runs: 19, spans: *right}]
    others: passed
  - name: slower than the baseline, and the third failure of late
    spans: |
      scorer predict 0ms..120ms status=error
    repeat: 20
    baseline: {spans: *right, repeat: 30}
    earlier:
      - {runs: 15, spans: *right}
      - {runs: 2, apart: 10m, spans: "scorer predict 0ms..1ms status=error"}
    expect:
      served: failed
      no-slower: {outcome: failed, p95: 120ms}
      test-success: {outcome: failed, ratio: 83.33%, samples: 18}
      budget: failed
  - name: too few runs, and nothing to compare with
    spans: *right
    earlier: [{runs: 5, spans: *right}]
    expect: {served: passed, no-slower: inconclusive, test-success: inconclusive, budget: inconclusive}
"""


def test_rules_that_compare_and_look_back_are_tested_beside_what_came_before(folder: Path) -> None:
    (folder / "fraud.yaml").write_text(COMPARING, encoding="utf-8")
    write(folder, BESIDE_OTHERS)
    done = tell("test", ".", "--require-coverage", cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("baseline: {}", "the baseline has neither traces nor spans"),
        ("baseline: {spans: a b 0..1ms, traces: fraud.yaml}", "the baseline has traces and spans"),
        ("baseline: previous", "the baseline of a test has to be a mapping"),
        ("baseline: {traces: nowhere.json}", "there is no file nowhere.json"),
        ("baseline: {traces: fraud.yaml}", "fraud.yaml"),
        ("earlier: 3", "earlier has to be a list of runs"),
        ("earlier: []", "earlier has to be a list of runs"),
        ("earlier: [{runs: 3}]", "an earlier run has neither traces nor spans"),
        ("earlier: [{runs: 0, spans: a b 0..1ms}]", "runs has to be 1 or more"),
        ("earlier: [{runs: 9999, spans: a b 0..1ms}]", "a test may have 1,000 earlier runs"),
        ("earlier: [{spans: a b 0..1ms, apart: 3}]", "apart: `3` has no unit"),
    ],
)
def test_what_came_before_is_refused_where_it_cannot_be_used(folder: Path, given: str, said: str) -> None:
    write(folder, f"flow: fraud.yaml\ntests: [{{name: a, spans: a b 0..1ms, others: passed, {given}}}]")
    done = tell("test", ".", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_flow_that_finds_its_baseline_in_the_run_is_given_no_other(folder: Path) -> None:
    (folder / "fraud.yaml").write_text(FLOW + "baseline: {where: '{ span.v = 1 }'}\n", encoding="utf-8")
    write(
        folder, "flow: fraud.yaml\ntests: [{name: a, spans: a b 0..1ms, others: passed, baseline: {spans: a b 0..1ms}}]"
    )
    done = tell("test", ".", cwd=folder)
    assert done.returncode == 2
    assert "the flow names requests of the run itself as its baseline" in done.stderr
