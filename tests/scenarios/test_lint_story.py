"""`spanverdict lint`: every mistake with its place, and a code that tells errors from warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.stories import RULES, as_expected, call, tell

pytestmark = pytest.mark.story


def test_right_rule_files_are_silent(rules: Path) -> None:
    done = call("lint", rules)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_mistake_of_every_file_is_told_with_a_caret(rules: Path) -> None:
    wrong = RULES.replace("kind: server", "knd: server").replace('"< 200ms"', '"< 200"').replace(">= 99%", ">= 99")
    (rules.parent / "wrong.yaml").write_text(wrong, encoding="utf-8")
    (rules.parent / "broken.yaml").write_text("version: 1\nflow: [oops\n", encoding="utf-8")
    done = tell("lint", "scoring.yaml", "wrong.yaml", "broken.yaml", cwd=rules.parent)
    assert done.returncode == 2
    as_expected("lint.txt", done.stdout)
    assert done.stderr.endswith("errors, 0 warnings\n")


def test_warnings_alone_have_a_code_of_their_own(rules: Path) -> None:
    text = RULES.replace('expect: {max: "< 200ms"}', 'expect: {samples: ">= 5"}')
    (rules.parent / "warned.yaml").write_text(text, encoding="utf-8")
    done = tell("lint", "warned.yaml", cwd=rules.parent)
    assert (done.returncode, done.stderr) == (3, "0 errors, 1 warnings\n")
    assert done.stdout.startswith("warned.yaml:13:")


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
