"""Comparing a run with an earlier one, through the command line: a file, a stored run, the previous one, a branch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.recorded import payload
from scenarios.stories import Told, run, serving, tell
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story

RULES = """\
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: score
    select: {service: scorer, name: predict}
request: {starts_at: ingest, ends_at: ingest, key: span.request.id}
complete: {idle: 500ms, at_most: 2s}
rules:
  - id: no-slower
    latency: request
    expect: {p95: "<= +10% of baseline", max: "<= +1s of baseline"}
  - id: whole
    coverage: {stages: all}
    expect: {ratio: ">= -1pp of baseline"}
"""
NUMBERS = tuple(range(1, 11))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scoring.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


def write(folder: Path, name: str, run_id: str | None = None, **more: Any) -> str:
    (folder / name).write_text(protobuf_to_json(payload(run_id, *NUMBERS, **more)) + "\n", encoding="utf-8")
    return name


def check(folder: Path, *options: str) -> Told:
    return tell("check", "scoring.yaml", *options, cwd=folder)


def keep(folder: Path, run_id: str, *options: str, **more: Any) -> Told:
    """Judge recorded traces and keep the verdict."""
    return check(
        folder, "--input", write(folder, f"{run_id}.jsonl", run_id, **more), "--store", "runs.sqlite", *options
    )


def verdict(told: Told) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told.stdout)
    return found


# files


def test_a_run_is_compared_with_recorded_traces(folder: Path) -> None:
    before, after = write(folder, "before.jsonl"), write(folder, "after.jsonl", slow=3)
    same = check(folder, "--input", before, "--baseline", before)
    assert same.returncode == 0
    assert "p95 = 80ms (+0 %) (<= +10% of baseline 80ms)" in same.stdout
    assert "baseline   before.jsonl (sha256 " in same.stdout
    slower = check(folder, "--input", after, "--baseline", before)
    assert slower.returncode == 1
    assert "p95 = 400ms (+400 %), expected <= +10% of baseline 80ms" in slower.stdout


def test_a_run_is_compared_with_a_kept_verdict(folder: Path) -> None:
    before, after = write(folder, "before.jsonl"), write(folder, "after.jsonl", slow=3)
    first = check(folder, "--input", before, "-o", "json=base.json")
    assert first.returncode == 4
    assert "there is no baseline: name one with --baseline" in first.stdout
    assert check(folder, "--input", before, "--baseline", "base.json").returncode == 0
    slower = check(folder, "--input", after, "--baseline", "base.json")
    assert slower.returncode == 1
    assert "expected <= +10% of baseline 80ms" in slower.stdout


def test_a_share_survives_a_kept_verdict_exactly(folder: Path) -> None:
    """2 of 3 as a float is not two thirds; compared with itself it is the same all the same."""
    rules = folder / "scoring.yaml"
    rules.write_text(RULES.replace('ratio: ">= -1pp of baseline"', 'ratio: "== baseline"'), encoding="utf-8")
    whole = [json.loads(protobuf_to_json(payload(None, 1, 2, 3)))]
    del whole[0]["resourceSpans"][1]["scopeSpans"][0]["spans"][0]
    (folder / "lossy.json").write_text(json.dumps(whole[0]), encoding="utf-8")
    check(folder, "--input", "lossy.json", "-o", "json=base.json")
    done = verdict(check(folder, "--input", "lossy.json", "--baseline", "base.json", "-o", "json"))
    assert done["rules"][1]["outcome"] == "passed"
    assert done["rules"][1]["observed"] == {"ratio": 2 / 3}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--baseline", "gone.jsonl"], "cannot read the baseline gone.jsonl: No such file or directory"),
        (["--baseline", "previous"], "--baseline previous is looked for in a store; name it with --store"),
        (["--baseline", "branch:"], "--baseline branch: needs the name of a branch"),
        (["--baseline", "what is this"], "is no run id and no file"),
        (["--baseline", "several.jsonl"], "the baseline several.jsonl holds 2 runs, and one is needed: gh-1, gh-2"),
    ],
)
def test_a_baseline_that_cannot_be_meant_is_refused(folder: Path, options: list[str], words: str) -> None:
    write(folder, "before.jsonl")
    both = [protobuf_to_json(payload(name, number)) + "\n" for number, name in enumerate(("gh-1", "gh-2"), 1)]
    (folder / "several.jsonl").write_text("".join(both), encoding="utf-8")
    done = check(folder, "--input", "before.jsonl", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_without_spans_is_no_baseline(folder: Path) -> None:
    (folder / "empty.jsonl").write_text("", encoding="utf-8")
    done = check(folder, "--input", write(folder, "before.jsonl"), "--baseline", "empty.jsonl")
    assert done.returncode == 4
    assert "empty.jsonl has no spans" in done.stdout


# a store


def test_the_first_run_has_no_previous_one_and_is_not_green(folder: Path) -> None:
    done = keep(folder, "gh-1", "--baseline", "previous")
    assert done.returncode == 4
    why = "runs.sqlite has no complete run by flow scoring (with no-slower, whole) without an environment from before"
    assert f"baseline   none (previous): {why}" in done.stdout
    assert "INCONCLUSIVE" in done.stdout


def test_each_run_is_compared_with_the_one_before(folder: Path) -> None:
    keep(folder, "gh-1")
    second = keep(folder, "gh-2", "--baseline", "previous")
    assert second.returncode == 0
    assert "baseline   run gh-1, revision 1 (previous)" in second.stdout
    third = keep(folder, "gh-3", "--baseline", "previous", slow=3)
    assert third.returncode == 1
    assert "run gh-2, revision 1 (previous)" in third.stdout
    assert keep(folder, "gh-4", "--baseline", "gh-2").returncode == 0
    unknown = keep(folder, "gh-5", "--baseline", "gh-0")
    assert unknown.returncode == 4
    assert "runs.sqlite has no verdict on a run gh-0 by flow scoring" in unknown.stdout


def test_previous_is_of_the_same_environment_and_a_branch_is_that_branch(folder: Path) -> None:
    keep(folder, "gh-1", "--label", "environment=staging", "--label", "branch=main")
    keep(folder, "gh-2", "--label", "environment=test", "--label", "branch=feature", slow=3)
    done = keep(folder, "gh-3", "--label", "environment=test", "--baseline", "previous")
    assert "run gh-2, revision 1 (previous)" in done.stdout
    done = keep(folder, "gh-4", "--label", "environment=test", "--baseline", "branch:main")
    assert (done.returncode, "run gh-1, revision 1 (branch:main)" in done.stdout) == (0, True)
    done = keep(folder, "gh-5", "--baseline", "branch:release")
    assert (done.returncode, "no complete run by flow scoring" in done.stdout) == (4, True)


def test_a_run_that_lacks_the_compared_rules_is_passed_over(folder: Path) -> None:
    """A smoke run in between judged fewer rules."""
    rules = folder / "scoring.yaml"
    keep(folder, "gh-1")
    rules.write_text(RULES.partition("  - id: whole")[0], encoding="utf-8")
    keep(folder, "gh-2")
    rules.write_text(RULES, encoding="utf-8")
    assert "run gh-1, revision 1 (previous)" in keep(folder, "gh-3", "--baseline", "previous").stdout


def test_the_same_input_again_is_the_same_revision_compared_with_the_same(folder: Path) -> None:
    keep(folder, "gh-1")
    first = keep(folder, "gh-2", "--baseline", "previous", "-o", "json")
    keep(folder, "gh-3", slow=3)
    again = keep(folder, "gh-2", "--baseline", "previous", "-o", "json")
    assert again.stdout == first.stdout
    origin = verdict(again)["flows"][0]["baseline"]
    assert (origin["run"], origin["revision"], origin["asked"], len(origin["sha256"])) == ("gh-1", 1, "previous", 64)


def test_files_without_a_run_id_are_kept_under_a_new_one(folder: Path) -> None:
    traces = write(folder, "traces.jsonl")
    for expected in (4, 0):
        done = check(folder, "--input", traces, "--store", "runs.sqlite", "--baseline", "previous", "-o", "json")
        assert done.returncode == expected
        assert verdict(done)["run"]["id"].startswith("check-")


# run, and judging again


def play(folder: Path, run_id: str, *options: str, baseline: str = "previous") -> Told:
    command = (*run.__kwdefaults__["command"], "--requests", "10", *options)
    return run(
        folder / "scoring.yaml", "--run-id", run_id, "--store", folder / "store.sqlite", "--baseline", baseline,
        "-o", "json", command=command,
    )  # fmt: skip


def test_runs_of_a_command_are_compared_and_judged_again_to_the_same_bytes(folder: Path) -> None:
    assert play(folder, "gh-1").returncode == 4
    assert play(folder, "gh-2").returncode == 0
    slow = play(folder, "gh-3", "--slow", "2")
    assert slow.returncode == 1
    assert verdict(slow)["flows"][0]["baseline"]["run"] == "gh-2"
    store, rules = folder / "store.sqlite", folder / "scoring.yaml"
    again = tell("check", rules, "--run", "gh-3", "--store", store, "-o", "json")
    assert (again.returncode, again.stdout) == (1, slow.stdout)
    explained = tell("explain", "no-slower", "--rules", rules, "--run", "gh-3", "--store", store)
    assert "expected <= +10% of baseline 90ms" in explained.stdout
    other = tell("check", rules, "--run", "gh-2", "--store", store, "--baseline", "gh-3", "-o", "json")
    assert (other.returncode, verdict(other)["flows"][0]["baseline"]["run"]) == (0, "gh-3")


def test_a_run_cannot_look_for_another_where_none_is_kept(folder: Path) -> None:
    done = run(folder / "scoring.yaml", "--baseline", "previous")
    assert (done.returncode, done.stdout) == (2, "")
    assert "name it with --store" in done.stderr


def test_a_stored_run_needs_a_name_and_a_received_one_is_not_mixed_with_files(folder: Path) -> None:
    play(folder, "gh-1")
    nameless = tell("check", folder / "scoring.yaml", "--store", folder / "store.sqlite")
    assert (nameless.returncode, "--run ID" in nameless.stderr) == (2, True)
    mixed = tell(
        "check", folder / "scoring.yaml", "--store", folder / "store.sqlite",
        "--input", folder / write(folder, "more.jsonl", "gh-1"),
    )  # fmt: skip
    assert (mixed.returncode, "holds the spans of a run gh-1" in mixed.stderr) == (2, True)


def test_a_server_compares_each_run_with_the_previous_of_its_environment(folder: Path) -> None:
    with serving(folder, "--rules", folder / "scoring.yaml", "--baseline", "previous") as server:
        outcomes = []
        for number, environment, slow in ((1, "test", 0), (2, "stage", 3), (3, "test", 0), (4, "test", 2)):
            name = f"gh-{number}"
            server.declare(name, labels={"environment": environment}, expected_requests=4)
            server.play(name, 4, first=number << 20, slow=slow)
            server.end(name)
            found = server.verdict(name)
            outcomes.append((found["outcome"], found["verdict"]["flows"][0]["baseline"]["run"]))
    assert outcomes == [("inconclusive", ""), ("inconclusive", ""), ("passed", "gh-1"), ("failed", "gh-3")]


def test_late_spans_change_the_verdict_and_not_its_baseline(folder: Path) -> None:
    with serving(folder, "--rules", folder / "scoring.yaml", "--baseline", "previous") as server:
        for number in (1, 2):
            server.declare(f"gh-{number}", expected_requests=4)
            server.play(f"gh-{number}", 4, first=number << 20)
            server.verdict(f"gh-{number}")
        server.play("gh-3", 4, first=3 << 20)
        server.verdict("gh-3")
        server.play("gh-2", 4, first=4 << 20)
        found = server.verdict("gh-2")
    assert (found["revision"], found["verdict"]["flows"][0]["baseline"]["run"]) == (2, "gh-1")


def test_a_server_refuses_a_baseline_that_is_not_there(folder: Path) -> None:
    done = tell("serve", "--store", folder / "s.sqlite", "--rules", folder / "scoring.yaml", "--baseline", "gone.jsonl")
    assert (done.returncode, done.stderr) == (
        2, "spanverdict: cannot read the baseline gone.jsonl: No such file or directory\n",
    )  # fmt: skip


# a canary


def test_a_canary_is_compared_within_its_run(folder: Path) -> None:
    rules = folder / "scoring.yaml"
    rules.write_text(
        RULES.replace("complete:", "baseline: {where: '{ span.request.id =~ \"payment-0[1-5]\" }'}\ncomplete:"),
        encoding="utf-8",
    )
    fast = check(folder, "--input", write(folder, "traces.jsonl"))
    assert fast.returncode == 0
    assert 'baseline   requests that contain { span.request.id =~ "payment-0[1-5]" }' in fast.stdout
    assert "n = 5 requests" in fast.stdout
    assert check(folder, "--input", write(folder, "traces.jsonl", slow=7)).returncode == 1
    assert check(folder, "--input", write(folder, "traces.jsonl", slow=2)).returncode == 0
