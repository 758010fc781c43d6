"""`spanverdict diff`: two runs side by side, from files and from a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.recorded import payload
from scenarios.stories import RULES, Told, as_expected, run, tell
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story
NUMBERS = tuple(range(1, 41))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scoring.yaml").write_text(RULES, encoding="utf-8")
    text = protobuf_to_json(payload(None, *NUMBERS))
    (tmp_path / "before.jsonl").write_text(text + "\n", encoding="utf-8")
    changed = json.loads(text)
    gateway, scorer = (part["scopeSpans"][0]["spans"] for part in changed["resourceSpans"])
    for number, one in enumerate(scorer):
        one["endTimeUnixNano"] = str(int(one["endTimeUnixNano"]) + 60_000_000)
        one["attributes"].append({"key": "model", "value": {"stringValue": "v2"}})
        one["attributes"][0]["value"] = {"doubleValue": 0.5 if number % 8 else 0.9}
    extra = {**scorer[0], "name": "explain", "spanId": f"{7777:016x}", "parentSpanId": scorer[0]["spanId"]}
    scorer.append(extra)
    for one in gateway:
        one["endTimeUnixNano"] = str(int(one["endTimeUnixNano"]) + 60_000_000)
    (tmp_path / "after.jsonl").write_text(json.dumps(changed) + "\n", encoding="utf-8")
    return tmp_path


def diff(folder: Path, *options: str) -> Told:
    return tell("diff", *options, cwd=folder)


def test_runs_are_compared_by_the_stages_of_a_flow(folder: Path) -> None:
    done = diff(folder, "before.jsonl", "after.jsonl", "--rules", "scoring.yaml")
    assert (done.returncode, done.stderr) == (1, "")
    as_expected("diff-with-rules.txt", done.stdout)


def test_runs_are_compared_by_what_spans_are_called(folder: Path) -> None:
    done = diff(folder, "before.jsonl", "after.jsonl")
    assert (done.returncode, done.stderr) == (1, "")
    as_expected("diff-without-rules.txt", done.stdout)


def test_the_same_is_the_same(folder: Path) -> None:
    done = diff(folder, "before.jsonl", "before.jsonl")
    assert done.returncode == 0
    assert done.stdout.endswith("SAME  nothing differs beyond chance and noise\n")


@pytest.mark.parametrize(
    ("options", "code"),
    [(["none"], 0), (["any"], 1), (["latency"], 1), (["order", "errors"], 0), (["order", "outputs"], 1)],
)
def test_what_fails_is_chosen(folder: Path, options: list[str], code: int) -> None:
    kinds = [part for kind in options for part in ("--fail-on", kind)]
    assert diff(folder, "before.jsonl", "after.jsonl", "-r", "scoring.yaml", *kinds).returncode == code


def test_everything_is_in_the_json(folder: Path) -> None:
    found = json.loads(diff(folder, "before.jsonl", "after.jsonl", "-r", "scoring.yaml", "-o", "json").stdout)
    assert found["differences"] == {
        "stages": 0, "order": 0, "ways": 0, "latency": 3, "coverage": 0, "errors": 0, "outputs": 5, "attributes": 2,
    }  # fmt: skip
    assert (found["before"], found["after"], found["requests"]) == ("before.jsonl", "after.jsonl", [40, 40])
    p50 = next(one for one in found["times"] if (one["stage"], one["percentile"]) == ("score", 50))
    assert (p50["before"], p50["after"], p50["differs"]) == (80_000_000, 140_000_000, True)
    assert found["outputs"][0]["examples"][0] == ["payment-01", "0.5", "0.9"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["before.jsonl", "gone.jsonl"], 2, "gone.jsonl"),
        (["before.jsonl", "no such"], 2, "'no such' is no run id and no file"),
        (["before.jsonl", "gh-1"], 5, "spanverdict.sqlite"),
        (["before.jsonl", "empty.jsonl"], 4, "empty.jsonl has no spans, so there is nothing to compare"),
        (["before.jsonl", "after.jsonl", "--fail-on", "everything"], 2, "'everything' is none of any, none, stages"),
        (["before.jsonl", "after.jsonl", "--confidence", "20%"], 2, "between 50% and 100%"),
        (["before.jsonl", "after.jsonl", "--noise", "5"], 2, "did you mean"),
    ],
)
def test_what_cannot_be_compared_is_one_line(folder: Path, options: list[str], code: int, words: str) -> None:
    (folder / "empty.jsonl").write_text("", encoding="utf-8")
    done = diff(folder, *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_stored_runs_are_compared(folder: Path) -> None:
    store = folder / "store.sqlite"
    for name, slow in (("gh-1", "0"), ("gh-2", "30")):
        command = (*run.__kwdefaults__["command"], "--requests", "40", "--slow", slow)
        run(folder / "scoring.yaml", "--run-id", name, "--store", store, command=command)
    done = diff(folder, "gh-1", "gh-2", "--store", str(store), "--rules", "scoring.yaml")
    assert done.returncode == 1
    assert "latencies" in done.stdout.splitlines()[-1]
    assert diff(folder, "gh-1", "gh-1", "--store", str(store)).returncode == 0
    unknown = diff(folder, "gh-1", "gh-9", "--store", str(store))
    assert (unknown.returncode, "knows no run gh-9" in unknown.stderr) == (4, True)
