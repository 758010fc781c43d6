"""Golden files through the command line: recorded, held against, looked at and taken over; and never in CI."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from scenarios.recorded import payload
from scenarios.stories import RULES, Told, as_expected, call, serving, tell
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story

GOLDEN = """\
  - id: correct
    output: {stage: score, value: span.score}
    golden: {file: golden/scores.jsonl, tolerance: 0.01}
    expect: {ratio: ">= 99%"}
"""
LABELS = """\
  - id: labels
    output: {stage: score, values: {label: span.label}}
    golden: {file: golden/all.jsonl}
    expect: {ratio: ">= 99%"}
  - id: scores
    output: {stage: score, values: {score: span.score}}
    golden: {file: golden/all.jsonl, tolerance: 1%}
    expect: {ratio: ">= 99%"}
"""
NAN = float("nan")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scoring.yaml").write_text(RULES + GOLDEN, encoding="utf-8")
    return tmp_path


def play(folder: Path, name: str, scores: Sequence[float | None], label: str | None = None) -> str:
    """Write traces of so many requests, each with its score, if any."""
    data = TracesData.FromString(payload("gh-1", *range(1, len(scores) + 1)))
    for span, score in zip(data.resource_spans[1].scope_spans[0].spans, scores, strict=True):
        del span.attributes[:]
        if score is not None:
            span.attributes.add(key="score").value.double_value = score
        if label is not None:
            span.attributes.add(key="label").value.string_value = label
    (folder / name).write_text(protobuf_to_json(data.SerializeToString()) + "\n", encoding="utf-8")
    return name


def golden(folder: Path, command: str, name: str, *more: str, **settings: dict[str, str]) -> Told:
    return tell("golden", command, "scoring.yaml", "--input", name, *more, cwd=folder, **settings)


def held(folder: Path, name: str = "scores.jsonl") -> str:
    return (folder / "golden" / name).read_text(encoding="utf-8")


def test_a_golden_file_from_the_first_run_to_an_accepted_change(folder: Path) -> None:
    play(folder, "first.jsonl", [0.5, 0.6, 0.7])
    before = tell("check", "scoring.yaml", "--input", "first.jsonl", cwd=folder)
    assert before.returncode == 2
    assert "there is no file golden/scores.jsonl" in before.stderr
    told = golden(folder, "record", "first.jsonl")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("golden/scores.jsonl: 3 records written, sha256 ")
    assert held(folder) == "".join(f'{{"key": "payment-0{n}", "value": 0.{n + 4}}}\n' for n in (1, 2, 3))
    assert tell("check", "scoring.yaml", "--input", "first.jsonl", cwd=folder).returncode == 0
    assert golden(folder, "diff", "first.jsonl").returncode == 0

    play(folder, "next.jsonl", [0.505, 0.9, 0.7, 0.4])
    judged = tell("check", "scoring.yaml", "--input", "next.jsonl", cwd=folder)
    assert judged.returncode == 1
    as_expected("golden-failed.txt", judged.stdout)
    shown = golden(folder, "diff", "next.jsonl")
    assert shown.returncode == 1
    as_expected("golden-diff.txt", shown.stdout)
    accepted = golden(folder, "accept", "next.jsonl")
    assert accepted.returncode == 0
    assert "golden/scores.jsonl: 1 changed; sha256 " in accepted.stdout
    assert "1 request not in the file; --add takes them in" in accepted.stdout
    assert held(folder).splitlines() == [
        '{"key": "payment-01", "value": 0.5}', '{"key": "payment-02", "value": 0.9}', '{"key": "payment-03", "value": 0.7}',
    ]  # fmt: skip
    assert golden(folder, "accept", "next.jsonl", "--add").returncode == 0
    assert held(folder).splitlines()[-1] == '{"key": "payment-04", "value": 0.4}'
    assert golden(folder, "diff", "next.jsonl").returncode == 0
    assert tell("check", "scoring.yaml", "--input", "next.jsonl", cwd=folder).returncode == 0
    assert golden(folder, "accept", "first.jsonl", "--remove", "--key", "payment-04").returncode == 0
    assert len(held(folder).splitlines()) == 3


@pytest.mark.parametrize(
    "name", ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "TF_BUILD", "JENKINS_URL"]
)
def test_in_ci_nothing_is_written(folder: Path, name: str) -> None:
    """A golden file that a build writes itself would make every build pass."""
    play(folder, "first.jsonl", [0.5])
    env = {name: "true"}
    told = golden(folder, "record", "first.jsonl", env=env)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"spanverdict: golden files are never written in CI ({name} is set)")
    assert not (folder / "golden").exists()
    assert golden(folder, "record", "first.jsonl").returncode == 0
    kept = held(folder)
    play(folder, "next.jsonl", [0.9])
    for command in (("accept", "next.jsonl"), ("accept", "next.jsonl", "--add"), ("record", "next.jsonl", "--replace")):
        assert golden(folder, *command, env=env).returncode == 2
    assert held(folder) == kept
    assert tell("check", "scoring.yaml", "--input", "next.jsonl", cwd=folder, env=env).returncode == 1
    assert golden(folder, "diff", "next.jsonl", env=env).returncode == 1


@pytest.mark.parametrize("value", ["1", "TRUE", "yes", "woodpecker", "0", "false", "", "no"])
def test_ci_is_what_is_not_said_to_be_none(folder: Path, value: str) -> None:
    play(folder, "first.jsonl", [0.5])
    off = value in ("0", "false", "", "no")
    assert golden(folder, "record", "first.jsonl", env={"CI": value}).returncode == (0 if off else 2)
    assert (folder / "golden").exists() is off


def test_a_file_that_is_there_is_not_written_over_unasked(folder: Path) -> None:
    play(folder, "first.jsonl", [0.5])
    play(folder, "next.jsonl", [0.9, 0.1])
    golden(folder, "record", "first.jsonl")
    kept = held(folder)
    told = golden(folder, "record", "next.jsonl")
    assert told.returncode == 2
    assert "golden/scores.jsonl is there already" in told.stderr
    assert held(folder) == kept
    (folder / "golden" / "scores.jsonl").write_text("not even JSON", encoding="utf-8")
    assert golden(folder, "record", "next.jsonl", "--replace").returncode == 0
    assert len(held(folder).splitlines()) == 2


def test_what_cannot_be_recorded_is_left_out_and_said(folder: Path) -> None:
    play(folder, "first.jsonl", [0.5, None, NAN])
    told = golden(folder, "record", "first.jsonl")
    assert told.returncode == 0
    assert "1 record written" in told.stdout
    assert (
        "left out: 1 request with a number that is not finite, 1 request without a value that can be read"
        in told.stdout
    )
    play(folder, "empty.jsonl", [None, NAN])
    told = golden(folder, "record", "empty.jsonl", "--replace")
    assert (told.returncode, told.stdout) == (4, "")
    assert "nothing to record to golden/scores.jsonl; left out: " in told.stderr
    assert len(held(folder).splitlines()) == 1


def test_what_cannot_be_accepted_is_left_and_said(folder: Path) -> None:
    play(folder, "first.jsonl", [0.5, 0.6, 0.7])
    golden(folder, "record", "first.jsonl")
    kept = held(folder)
    play(folder, "next.jsonl", [NAN, None])
    told = golden(folder, "accept", "next.jsonl")
    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        "golden/scores.jsonl: nothing to change",
        "  left as it is: payment-01: the answer is no finite number",
        "  left as it is: payment-02: its request has no value that can be read",
        "  1 record without a request; --remove drops them",
    ]
    assert held(folder) == kept


def test_a_file_is_not_left_without_a_record(folder: Path) -> None:
    play(folder, "first.jsonl", [0.5])
    golden(folder, "record", "first.jsonl")
    renamed = (folder / "first.jsonl").read_text(encoding="utf-8").replace("payment-01", "order-01")
    (folder / "next.jsonl").write_text(renamed, encoding="utf-8")
    told = golden(folder, "accept", "next.jsonl", "--remove")
    assert told.returncode == 2
    assert "would be left without a record" in told.stderr
    assert golden(folder, "accept", "next.jsonl", "--remove", "--add").returncode == 0
    assert held(folder) == '{"key": "order-01", "value": 0.5}\n'


def test_rules_that_share_a_file_record_into_the_same_lines(folder: Path) -> None:
    (folder / "scoring.yaml").write_text(RULES + LABELS, encoding="utf-8")
    play(folder, "first.jsonl", [0.5, 0.6], label="ok")
    assert golden(folder, "record", "first.jsonl").returncode == 0
    assert held(folder, "all.jsonl").splitlines()[0] == '{"key": "payment-01", "values": {"label": "ok", "score": 0.5}}'
    play(folder, "next.jsonl", [0.9, 0.6], label="no")
    assert golden(folder, "accept", "next.jsonl", "--rule", "scores").returncode == 0
    assert held(folder, "all.jsonl").splitlines() == [
        '{"key": "payment-01", "values": {"label": "ok", "score": 0.9}}',
        '{"key": "payment-02", "values": {"label": "ok", "score": 0.6}}',
    ]
    shown = json.loads(golden(folder, "diff", "next.jsonl", "--json", "--rule", "scoring/labels").stdout)
    (rule,) = shown["rules"]
    assert (rule["rule"], rule["same"], [one["got"] for one in rule["differences"]]) == (
        "labels",
        0,
        [{"label": "no"}] * 2,
    )
    apart = LABELS.replace("{score: span.score}", "{label: span.score}")
    (folder / "scoring.yaml").write_text(RULES + apart, encoding="utf-8")
    told = golden(folder, "record", "next.jsonl", "--replace")
    assert told.returncode == 2
    assert "scores and labels record different things to golden/all.jsonl" in told.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--rule", "corect"), "no rule with a golden file is called corect; did you mean `correct`?"),
        (("--key", "payment-99"), "neither the golden files nor the run know a request payment-99"),
    ],
)
def test_what_is_not_there_is_named(folder: Path, more: tuple[str, str], said: str) -> None:
    play(folder, "first.jsonl", [0.5])
    golden(folder, "record", "first.jsonl")
    told = golden(folder, "diff", "first.jsonl", *more)
    assert (told.returncode, told.stderr) == (2, f"spanverdict: {said}\n")


def test_without_golden_rules_or_spans_there_is_nothing_to_do(folder: Path) -> None:
    (folder / "empty.json").write_text("", encoding="utf-8")
    assert golden(folder, "record", "empty.json").returncode == 4
    (folder / "scoring.yaml").write_text(RULES, encoding="utf-8")
    told = golden(folder, "diff", play(folder, "first.jsonl", [0.5]))
    assert told.returncode == 2
    assert "no rule has a golden file" in told.stderr


def test_a_server_judges_by_the_golden_file_that_it_read_when_it_started(folder: Path) -> None:
    """And `check --server` says so when the file here is another."""
    path = folder / "golden" / "scores.jsonl"
    path.parent.mkdir()
    path.write_text('{"key": "payment-7000", "value": 0.5}\n{"key": "payment-7001", "value": 5}\n', encoding="utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with serving(folder, "--rules", folder / "scoring.yaml") as server:
        path.write_text('{"key": "payment-7000", "value": 0.5}\n', encoding="utf-8")
        server.play("gh-golden", 1, first=7000)
        verdict = server.verdict("gh-golden")["verdict"]
        (rule,) = (rule for rule in verdict["rules"] if rule["id"] == "correct")
        assert (rule["golden"]["sha256"], rule["golden"]["records"], rule["outcome"]) == (digest, 2, "failed")
        assert "payment-7001" in rule["golden"]["note"]
        told = tell("check", folder / "scoring.yaml", "--server", server.url, "--run", "gh-golden")
        assert told.stderr == f"spanverdict: {server.url} judged with another version of {path}\n"
        diff = tell("golden", "diff", folder / "scoring.yaml", "--run", "gh-golden", "--store", folder / "store.sqlite")
        assert diff.returncode in (0, 1)
        assert f"{path} (1 record, sha256 " in diff.stdout


def test_the_command_line_itself_takes_the_commands(folder: Path) -> None:
    """As a process of its own, once."""
    play(folder, "first.jsonl", [0.5])
    assert call("golden", "record", "scoring.yaml", "-i", "first.jsonl", cwd=folder).returncode == 0
    assert call("golden", "diff", "scoring.yaml", "-i", "first.jsonl", cwd=folder).returncode == 0
