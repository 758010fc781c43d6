"""What `lint` found, in every format: complete, escaped, and the same each time."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.diagnostic import Diagnostic, Level, Position
from spanverdict.reporting.github import SHOWN_BY_GITHUB
from spanverdict.reporting.lintreports import LINT_REPORTERS, github, json_report
from spanverdict.reporting.sarif import sarif
from spanverdict.rulefiles.lint import lint

CASES = Path(__file__).parents[1] / "rulefiles" / "cases"
REQUIRED = json.loads((Path(__file__).parent / "sarif-2.1.0-required.schema.json").read_text(encoding="utf-8"))


def at(line: int, code: str = codes.SELECTOR, file: str = "rules/a.yaml", **more: Any) -> Diagnostic:
    return Diagnostic(Position(file, line, 3), code, more.pop("message", "it is wrong"), **more)


def document(found: list[Diagnostic], root: Path = Path("/repository")) -> dict[str, Any]:
    made = sarif(found, root)
    Draft7Validator(REQUIRED).validate(made)
    return made


TEXTS = st.text(max_size=30)
FOUND = st.lists(
    st.builds(
        Diagnostic,
        st.builds(Position, st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9), *[st.integers(1, 99)] * 2),
        st.sampled_from(list(CODES)),
        st.text(min_size=1, max_size=30).filter(str.strip),
        TEXTS,
        st.sampled_from(Level),
        st.integers(1, 50),
        TEXTS,
    ),
    max_size=8,
)  # fmt: skip


@given(FOUND)
def test_sarif_has_all_that_its_readers_need(found: list[Diagnostic]) -> None:
    (run,) = document(found)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [one.code for one in found]
    prints = [result["partialFingerprints"]["spanverdict/v1"] for result in run["results"]]
    assert len(set(prints)) == len(found)


def test_sarif_of_every_case_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    found = list(lint(sorted(path.name for path in CASES.glob("*.yaml"))))
    results = document(found, CASES)["runs"][0]["results"]
    assert len(results) == len(found) > 100
    assert {result["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] for result in results} == {
        "%SRCROOT%"
    }


def test_sarif_of_nothing_is_a_run_without_results() -> None:
    """Code scanning closes what it showed before only when it is told that nothing is left."""
    assert document([])["runs"][0]["results"] == []


def test_a_finding_that_only_moved_is_still_the_same() -> None:
    def prints(found: list[Diagnostic]) -> list[str]:
        return [result["partialFingerprints"]["spanverdict/v1"] for result in document(found)["runs"][0]["results"]]

    assert prints([at(3, excerpt="  x: 1")]) == prints([at(9, excerpt="x: 1")])
    assert prints([at(3, excerpt="x: 1")]) != prints([at(3, excerpt="x: 2")])


@pytest.mark.parametrize(
    ("file", "location"),
    [
        ("rules/a.yaml", {"uri": "rules/a.yaml", "uriBaseId": "%SRCROOT%"}),
        ("/repository/my rules/ä.yaml", {"uri": "my%20rules/%C3%A4.yaml", "uriBaseId": "%SRCROOT%"}),
        ("/else/where.yaml", {"uri": "file:///else/where.yaml"}),
        ("<stdin>", {"uri": "stdin"}),
    ],
)
def test_files_are_named_from_the_root(file: str, location: dict[str, str]) -> None:
    (result,) = document([at(1, file=file)])["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == location


def test_an_annotation_can_neither_end_early_nor_command() -> None:
    found = [at(7, message="100% of\n::error::x", file="a,b:c%.yaml", hint="a\r\nb")]
    (line,) = github(found).splitlines()
    assert line == (
        "::error file=a%2Cb%3Ac%25.yaml,line=7,col=3,title=SV060 selector that cannot be read::"
        "100%25 of\\x0a::error::x%0Ahint: a\\x0d\\x0ab"
    )


def test_annotations_are_errors_first_and_no_more_than_are_shown() -> None:
    found = [at(line, level=level) for line in range(1, 13) for level in (Level.WARNING, Level.ERROR)]
    lines = github(found).splitlines()
    assert [line.split()[0] for line in lines] == ["::error"] * SHOWN_BY_GITHUB + ["::warning"] * SHOWN_BY_GITHUB
    assert lines[9] == "::error title=spanverdict::3 more are in the log"


def test_json_has_everything_and_counts() -> None:
    data = json.loads(json_report([at(1, hint="mend it"), at(2, level=Level.WARNING)]))
    assert (data["schemaVersion"], data["errors"], data["warnings"]) == (1, 1, 1)
    assert data["diagnostics"][0] == {
        "file": "rules/a.yaml", "line": 1, "column": 3, "width": 1, "level": "error", "code": "SV060",
        "title": CODES["SV060"], "message": "it is wrong", "hint": "mend it",
    }  # fmt: skip


@given(FOUND)
def test_every_format_can_say_everything(found: list[Diagnostic]) -> None:
    for render in LINT_REPORTERS.values():
        text = render(found)
        assert all(unicodedata.category(character) != "Cc" or character == "\n" for character in text)
