"""`spanverdict runs`: what became of earlier runs, from a store and from a server."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scenarios.recorded import payload
from scenarios.stories import PROGRAM, Told, environment, read_all, serving, tell
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story


@pytest.fixture
def folder(rules: Path) -> Path:
    return rules.parent


def keep(folder: Path, run_id: str, *options: str, slow: int = 0) -> Told:
    traces = folder / f"{run_id}.jsonl"
    traces.write_text(protobuf_to_json(payload(run_id, 1, 2, 3, slow=slow)) + "\n", encoding="utf-8")
    return tell("check", "scoring.yaml", "--input", traces.name, "--store", "runs.sqlite", *options, cwd=folder)


def runs(folder: Path, *options: str, **more: Any) -> Told:
    return tell("runs", *options, cwd=folder, env={"SPANVERDICT_STORE": "runs.sqlite"}, **more)


def ids(told: Told) -> list[str]:
    return [run["id"] for run in json.loads(told.stdout)["runs"]]


@pytest.fixture
def kept(folder: Path) -> Path:
    for number, (branch, slow) in enumerate([("main", 0), ("feature", 2), ("main", 3), ("main", 0)], 1):
        keep(folder, f"gh-{number}", "--label", f"branch={branch}", slow=slow)
    return folder


def test_runs_are_listed_newest_first(kept: Path) -> None:
    done = runs(kept, "list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["RUN", "FIRST", "SEEN", "OUTCOME", "FLOWS", "LABELS"]
    assert [(line[0], line[3], line[4], line[5]) for line in lines[1:]] == [
        ("gh-4", "passed", "scoring", "branch=main"),
        ("gh-3", "FAILED", "scoring", "branch=main"),
        ("gh-2", "FAILED", "scoring", "branch=feature"),
        ("gh-1", "passed", "scoring", "branch=main"),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", "2"], ["gh-4", "gh-3"]),
        (["--limit", "0"], ["gh-4", "gh-3", "gh-2", "gh-1"]),
        (["--label", "branch=main"], ["gh-4", "gh-3", "gh-1"]),
        (["--label", "branch=main", "--outcome", "failed"], ["gh-3"]),
        (["--flow", "scoring", "--since", "1h"], ["gh-4", "gh-3", "gh-2", "gh-1"]),
        (["--flow", "search"], []),
        (["--since", "2100-01-01"], []),
    ],
)
def test_runs_are_chosen_by_what_they_are(kept: Path, options: list[str], expected: list[str]) -> None:
    done = runs(kept, "list", "-o", "json", *options)
    assert (ids(done), done.returncode) == (expected, 0 if expected else 4)


def test_a_verdict_is_shown_again_in_any_format(kept: Path) -> None:
    first = keep(kept, "gh-9", "-o", "text", "-o", "json=first.json", slow=1)
    shown = runs(kept, "show", "gh-9", "-o", "text", "-o", "json=again.json")
    assert (shown.returncode, shown.stdout) == (0, first.stdout)
    assert (kept / "again.json").read_text(encoding="utf-8") == (kept / "first.json").read_text(encoding="utf-8")
    assert "<testsuite " in runs(kept, "show", "gh-9", "-o", "junit").stdout


def test_rules_that_flip_are_found(kept: Path) -> None:
    done = runs(kept, "flaky")
    assert (done.returncode, done.stderr) == (0, "")
    heading, line, latest, file = done.stdout.splitlines()
    assert heading.split() == ["RULE", "FLIPS", "FAILED", "RATE", "LABELS"]
    assert line.split() == ["scoring/fast", "2", "1", "of", "3", "100", "%", "branch=main"]
    assert latest == "  latest: gh-4 passed, gh-3 failed, gh-1 passed"
    assert file.startswith("  rule file ")
    assert runs(kept, "flaky", "--label", "branch=feature").stdout == "no flaky rules\n"
    assert "scoring/fast" in runs(kept, "flaky", "--since", "1h").stdout
    by_nothing = json.loads(runs(kept, "flaky", "--by", "environment", "-o", "json").stdout)["rules"]
    assert [(rule["rule"], rule["runs"], rule["flips"]) for rule in by_nothing] == [("fast", 4, 2)]


def test_a_changed_rule_file_is_not_flaky(kept: Path) -> None:
    rules = kept / "scoring.yaml"
    rules.write_text(rules.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    keep(kept, "gh-5", "--label", "branch=feature")
    assert runs(kept, "flaky", "--label", "branch=feature").stdout == "no flaky rules\n"


def test_runs_are_deleted_when_it_is_meant(kept: Path) -> None:
    unasked = runs(kept, "delete", "gh-1")
    assert (unasked.returncode, "use --yes" in unasked.stderr) == (2, True)
    unknown = runs(kept, "delete", "gh-1", "gh-77", "--yes")
    assert (unknown.returncode, "knows no run gh-77; nothing was deleted" in unknown.stderr) == (4, True)
    assert len(ids(runs(kept, "list", "-o", "json"))) == 4
    assert runs(kept, "delete", "gh-1", "gh-2", "-y").returncode == 0
    assert ids(runs(kept, "list", "-o", "json")) == ["gh-4", "gh-3"]


@pytest.mark.parametrize(("answer", "left"), [(b"y\n", 3), (b"n\n", 4)])
def test_somebody_at_a_terminal_is_asked(kept: Path, answer: bytes, left: int) -> None:
    ours, theirs = pty.openpty()
    command = [PROGRAM, "runs", "delete", "gh-1", "--store", "runs.sqlite"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=kept, env=environment()) as process:
        os.close(theirs)
        os.write(ours, answer)
        said = read_all(ours)
        assert process.wait(30) == (0 if left == 3 else 2)
    assert "Delete gh-1 from runs.sqlite? [y/N]" in said
    assert len(ids(runs(kept, "list", "-o", "json"))) == left


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["list", "--store", "gone.sqlite"], 5, "gone.sqlite"),
        (["show", "gh-77"], 4, "there is no run gh-77"),
        (["list", "--server", "http://127.0.0.1:1"], 5, "cannot be reached"),
        (["list", "--server", "nonsense"], 2, "is no address of a server"),
        (["list", "--server", "http://127.0.0.1:1", "--store", "runs.sqlite"], 2, "not both"),
        (["list", "--since", "yesterday"], 2, "is no duration such as 7d"),
    ],
)
def test_what_cannot_be_looked_up_is_one_line(kept: Path, options: list[str], code: int, words: str) -> None:
    done = runs(kept, *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_a_server_is_asked_for_the_same(rules: Path, tmp_path: Path) -> None:
    with serving(tmp_path, "--rules", rules) as server:
        for number, slow in enumerate((0, 2, 0), 1):
            name = f"gh-{number}"
            server.declare(name, labels={"branch": "main"}, expected_requests=3)
            server.play(name, 3, first=number << 20, slow=slow)
            server.verdict(name)
        server.declare("gh-4")
        here = ("--store", str(tmp_path / "store.sqlite"))
        for command in (
            ["list"],
            ["list", "--outcome", "failed"],
            ["list", "--limit", "1"],
            ["flaky"],
            ["show", "gh-2"],
        ):
            there = runs(tmp_path, *command, "--server", server.url)
            assert there == runs(tmp_path, *command, *here)
            assert there.returncode == 0
        assert ids(runs(tmp_path, "list", "-o", "json", "--server", server.url)) == ["gh-4", "gh-3", "gh-2", "gh-1"]
        pending = runs(tmp_path, "show", "gh-4", "--server", server.url)
        assert (pending.returncode, "run gh-4 has no verdict; it is open" in pending.stderr) == (4, True)
        unknown = runs(tmp_path, "show", "gh-9", "--server", server.url)
        assert (unknown.returncode, "there is no run gh-9" in unknown.stderr) == (4, True)
