"""`spanverdict lint`: every mistake with its place, and a code that tells errors from warnings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.stories import RULES, as_expected, call, tell

pytestmark = pytest.mark.story


def test_right_rule_files_take_one_line_for_people_and_none_for_machines(rules: Path) -> None:
    done = call("lint", rules)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no mistakes found\n", "")
    assert tell("lint", rules, "-o", "text").stdout == "no mistakes found\n"
    assert tell("lint", rules, "-o", "github").stdout == ""
    assert json.loads(tell("lint", rules, "-o", "sarif").stdout)["runs"][0]["results"] == []


@pytest.mark.parametrize("option", [("--rules", "a.yaml", "--rules", "b.yaml"), ("-r", "a.yaml", "-r", "b.yaml")])
@pytest.mark.parametrize("command", ["check", "lint", "test", "golden record"])
def test_whoever_names_rules_by_an_option_is_told_the_right_form(command: str, option: tuple[str, ...]) -> None:
    more = ("--input", "traces.jsonl") if command == "check" else ()
    done = tell(*command.split(), *option, *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: rule files need no option here: " in done.stderr
    assert done.stderr.endswith(f"spanverdict {command} a.yaml b.yaml …\n")
    assert "--rules" not in tell(*command.split(), "--help").stdout


def test_every_mistake_of_every_file_is_told_with_a_caret(rules: Path) -> None:
    wrong = RULES.replace("kind: server", "knd: server").replace('"< 200ms"', '"< 200"').replace(">= 99%", ">= 99")
    (rules.parent / "wrong.yaml").write_text(wrong, encoding="utf-8")
    (rules.parent / "broken.yaml").write_text("version: 1\nflow: [oops\n", encoding="utf-8")
    done = tell("lint", "scoring.yaml", "wrong.yaml", "broken.yaml", cwd=rules.parent)
    assert (done.returncode, done.stderr) == (2, "")
    as_expected("lint.txt", done.stdout)


def test_warnings_alone_have_a_code_of_their_own(rules: Path) -> None:
    text = RULES.replace('expect: {max: "< 200ms"}', 'expect: {samples: ">= 5"}')
    (rules.parent / "warned.yaml").write_text(text, encoding="utf-8")
    done = tell("lint", "warned.yaml", cwd=rules.parent)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("warned.yaml:13:")
    assert done.stdout.endswith("1 warning\n")


def test_a_file_of_tests_is_linted_when_it_is_named(rules: Path) -> None:
    """As editors and hooks do, which name every file that was changed."""
    test = "flow: scoring.yaml\ntests:\n  - name: slow\n    spans: gateway GET server 0ms..5ms\n    expect: {fast: faild}\n"
    (rules.parent / "scoring_test.yaml").write_text(test, encoding="utf-8")
    done = tell("lint", "scoring.yaml", "scoring_test.yaml", cwd=rules.parent)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("scoring_test.yaml:5:20: error[SV023]")
    assert done.stdout.endswith("1 error\n")
    (rules.parent / "scoring_test.yaml").write_text(test.replace("faild", "failed"), encoding="utf-8")
    assert tell("lint", "scoring_test.yaml", cwd=rules.parent).returncode == 0


def test_findings_go_to_several_places_at_once(rules: Path) -> None:
    rules.write_text(RULES.replace("kind: server", "knd: server"), encoding="utf-8")
    done = tell("lint", "scoring.yaml", "-o", "github", "-o", "sarif=lint.sarif", "-o", "json=l.json", cwd=rules.parent)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("::error file=scoring.yaml,line=5,col=32,title=SV062 ")
    (result,) = json.loads((rules.parent / "lint.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]
    assert result["ruleId"] == "SV062"
    assert json.loads((rules.parent / "l.json").read_text(encoding="utf-8"))["errors"] == 1


def test_github_gets_annotations_without_being_asked(rules: Path) -> None:
    rules.write_text(RULES.replace("kind: server", "knd: server"), encoding="utf-8")
    done = tell("lint", "scoring.yaml", cwd=rules.parent, env={"GITHUB_ACTIONS": "true"})
    assert done.returncode == 2
    assert "1 error\n" in done.stdout
    assert "::error file=scoring.yaml,line=5," in done.stdout


@pytest.mark.parametrize("output", ["xml", "sarif=", "sarif=no/such/folder.sarif"])
def test_a_report_that_cannot_be_made_is_one_line(rules: Path, output: str) -> None:
    done = tell("lint", "scoring.yaml", "-o", output, cwd=rules.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_right_files_are_told_of_to_machines_too(rules: Path) -> None:
    done = tell("lint", "scoring.yaml", "-o", "json", cwd=rules.parent)
    assert (done.returncode, json.loads(done.stdout)["diagnostics"]) == (0, [])


@pytest.mark.parametrize("command", ["lint", "check"])
def test_a_file_that_is_not_there_is_one_line(rules: Path, command: str) -> None:
    more = ("--input", "x") if command == "check" else ()
    done = tell(command, "nowhere.yaml", *more, cwd=rules.parent)
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stdout + done.stderr


def test_a_broken_rule_file_stops_a_run_before_the_command_starts(rules: Path) -> None:
    marker = rules.parent / "started"
    rules.write_text(RULES.replace("kind: server", "knd: server"), encoding="utf-8")
    done = tell("run", "--rules", "scoring.yaml", "--", "touch", marker, cwd=rules.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert "scoring.yaml:5:" in done.stderr
    assert done.stderr.endswith("spanverdict: the rule files have mistakes; nothing was judged\n")
    assert not marker.exists()
