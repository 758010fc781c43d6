"""A rule file becomes exactly what its author wrote, and files are found wherever they are named."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from spanverdict.checks.latency import Latency
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.rulefiles.lint import lint
from spanverdict.rulefiles.loader import load, load_files
from spanverdict.rulefiles.models import CompleteSpec, Count, Flow, RequestSpec, Severity
from spanverdict.rulefiles.sources import find_files

CASES = Path(__file__).parent / "cases"
MINIMAL = (CASES / "minimal.yaml").read_text(encoding="utf-8")


def loaded(text: str, name: str = "f.yaml") -> Flow:
    problems = Problems()
    flow = load(text, name, problems)
    assert flow is not None, problems.sorted()
    return flow


@pytest.fixture
def full() -> Flow:
    return loaded((CASES / "full.yaml").read_text(encoding="utf-8"))


def test_a_small_file_gets_the_defaults_of_the_language() -> None:
    flow = loaded(MINIMAL)
    assert (flow.name, flow.file, dict(flow.labels)) == ("shop", "f.yaml", {})
    assert flow.position == Position("f.yaml", 2, 7)
    assert flow.request == RequestSpec("ingest", "notify")
    assert flow.complete == CompleteSpec(None, 6_000_000_000, 30_000_000_000, 0)
    (rule,) = flow.rules
    assert (rule.severity, rule.on_no_data, rule.report_only, rule.skip) == (Severity.WARNING, "fail", False, None)
    assert (rule.where, rule.per, rule.title, rule.owner, rule.tags, rule.confidence) == (None, None, "", "", (), None)
    assert rule.position == Position("f.yaml", 8, 5)
    assert {stage.count for stage in flow.stages} == {Count(1, None)}


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    for number, data in enumerate((MINIMAL.encode(), b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())):
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(data)
        (flow,), _ = load_files([str(path)])
        assert flow.sha256 == hashlib.sha256(data).hexdigest()


def test_stages_are_kept_in_order_with_their_counts(full: Flow) -> None:
    assert [(stage.name, stage.count.minimum, stage.count.maximum) for stage in full.stages] == [
        ("ingest", 1, None), ("features", 1, None), ("score", 1, 1), ("retry", 0, 2), ("notify", 1, None),
    ]  # fmt: skip
    assert str(full.stages[3].count) == "0..2"
    assert full.stages[2].position.line == 11


@pytest.mark.parametrize(
    ("written", "count"),
    [("1", Count(1, 1)), ('"3"', Count(3, 3)), ('"== 2"', Count(2, 2)), ('"> 1"', Count(2)), ('"<= 2"', Count(0, 2)),
     ('"< 2"', Count(0, 1)), ('"1..4"', Count(1, 4)), ("0", Count(0, 0))],
)  # fmt: skip
def test_counts_of_stages(written: str, count: Count) -> None:
    text = MINIMAL.replace("{stage: score, ", "{stage: score, count: " + written + ", ")
    assert loaded(text).stages[1].count == count


def test_request_and_completeness_are_read(full: Flow) -> None:
    assert (full.request.starts_at, full.request.ends_at) == ("ingest", "notify")
    assert str(full.request.key) == "span.request.id"
    assert [str(field) for field in full.request.correlate] == ["span.order.id", "span.cart.id"]
    assert full.complete == CompleteSpec(200, 6_000_000_000, 30_000_000_000, 1_500_000_000)
    assert full.sampling == "expected"
    assert dict(full.labels) == {"team": "risk", "build": "017"}


def test_a_rule_is_read_whole(full: Flow) -> None:
    rule = full.rules[0]
    assert isinstance(rule.check, Latency)
    assert rule.id == "end-to-end"
    assert [(str(line.statistic), str(line.condition)) for line in rule.expect] == [
        ("p95", "< 200ms"), ("p99.9", "<= 1m30s"), ("max", "0s..5m"), ("mean", "> 10us"), ("stddev", "!= 5ms"), ("samples", ">= 100"),
    ]  # fmt: skip
    assert (rule.severity, rule.on_no_data, rule.owner) == (Severity.CRITICAL, "fail", "platform")
    assert rule.title == "From the gateway to the ledger"
    assert rule.where is not None
    assert rule.tags == ("smoke", "nightly")
    assert dict(rule.labels) == {"tier": "1"}
    assert set(rule.annotations) == {"summary", "description", "runbook_url"}


def test_defaults_hold_where_a_rule_says_nothing(full: Flow) -> None:
    rules = {rule.id: rule for rule in full.rules}
    assert (rules["queue-wait"].severity, rules["queue-wait"].on_no_data) == (Severity.INFO, "skip")
    assert rules["queue-wait"].owner == "risk-team"
    assert rules["queue-wait"].report_only
    assert rules["whole-path"].skip == "until the ledger is instrumented"
    assert str(rules["fresh-features"].per) == "span.feature_store.feature_view.name"
    assert rules["label"].tags == ("smoke",)


def test_a_confidence_is_a_share() -> None:
    text = MINIMAL.replace("latency: request", "latency: request\n    confidence: 95%")
    assert loaded(text).rules[0].confidence == 0.95
    assert loaded(text.replace("95%", "0.995")).rules[0].confidence == 0.995
    assert loaded(MINIMAL).rules[0].confidence is None


def test_mistakes_of_one_file_do_not_hide_another(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(MINIMAL)
    (tmp_path / "bad.yaml").write_text(MINIMAL.replace("latency", "latncy").replace("shop", "other"))
    flows, problems = load_files([str(tmp_path)])
    assert [flow.name for flow in flows] == ["shop"]
    assert [Path(found.position.file).name for found in problems.sorted()] == ["bad.yaml"]


def test_two_flows_of_one_name_are_an_error(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(MINIMAL)
    flows, problems = load_files([str(tmp_path)])
    (found,) = problems.sorted()
    assert len(flows) == 1
    assert (found.code, Path(found.position.file).name, found.position.line) == ("SV032", "b.yaml", 2)
    assert "a.yaml:2:7" in found.hint


def test_directories_and_patterns_stand_for_the_rule_files_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.yaml", "a/deep/c.yml", "a/d_test.yaml", "a/notes.txt", ".hidden/e.yaml", "a/.f.yaml", "z.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")

    def found(*paths: str) -> list[str]:
        problems = Problems()
        names = [file.name for file in find_files(paths, problems)]
        assert not problems.sorted()
        return names

    assert found(".") == ["a/deep/c.yml", "b.yaml", "z.yaml"]
    assert found("z.yaml", ".") == ["z.yaml", "a/deep/c.yml", "b.yaml"]
    assert found("./b.yaml", "b.yaml", str(tmp_path / "b.yaml")) == ["b.yaml"]
    assert found("*.yaml") == ["b.yaml", "z.yaml"]
    assert found("**/*.yml") == ["a/deep/c.yml"]
    assert found("a/d_test.yaml") == ["a/d_test.yaml"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("absent.yaml", "SV001"), ("*.yaml", "SV006"), ("empty", "SV006"), ("nul\0.yaml", "SV001"), ("x" * 5000, "SV001")],
)
def test_what_is_not_there_is_a_diagnostic(
    path: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert [(found.code, found.position.file) for found in lint([path])] == [(code, path)]


def test_a_file_that_is_not_utf8_is_reported_at_its_first_wrong_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin1.yaml"
    path.write_bytes("version: 1\nflow: é caf".encode() + b"\xe9\n")
    (found,) = lint([str(path)])
    assert (found.code, found.position.line, found.position.column) == ("SV002", 2, 12)


@pytest.mark.parametrize("filler", [b"#", "é".encode(), b"\xff"])
def test_a_file_that_is_too_large_is_not_read_on(filler: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" + filler * (3 << 20))
    assert [found.code for found in lint([str(path)])] == ["SV004"]


def test_a_dash_is_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MINIMAL.encode())))
    (flow,), problems = load_files(["-"])
    assert (flow.name, flow.file) == ("shop", "<stdin>")
    assert not problems.sorted()


def test_no_path_gives_no_flow() -> None:
    flows, problems = load_files([])
    assert flows == ()
    assert not problems.sorted()
