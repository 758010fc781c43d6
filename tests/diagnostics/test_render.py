"""Diagnostics are shown with the place they are about, and cannot do anything to a terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.diagnostics.diagnostic import LONGEST_MESSAGE, Diagnostic, Level, Position, Problems
from spanverdict.diagnostics.render import LONGEST_LINE, as_json, render, render_all


def about(line: str, column: int, width: int = 1, hint: str = "") -> Diagnostic:
    return Diagnostic(Position("f.yaml", 7, column), "SV021", "no such key", hint, Level.ERROR, width, line)


def test_place_line_caret_and_hint() -> None:
    assert render(about("  sevrity: critical", 3, 7, "did you mean `severity`?")).split("\n") == [
        "f.yaml:7:3: error[SV021]: no such key",
        "    sevrity: critical",
        "    ^^^^^^^",
        "  hint: did you mean `severity`?",
    ]


@pytest.mark.parametrize(
    ("line", "column", "width", "shown", "carets"),
    [
        ("\tab", 2, 2, "    ab", "    ^^"),
        ("日本: x", 5, 1, "日本: x", "      ^"),
        ("日本: x", 1, 2, "日本: x", "^^^^"),
        ("e\u0301a: x", 3, 1, "e\u0301a: x", " ^"),
        ("abc", 4, 1, "abc", "   ^"),
        ("abc", 2, 99, "abc", " ^^"),
        ("abc", 99, 5, "abc", "   ^"),
    ],
)
def test_the_caret_stands_under_its_place(line: str, column: int, width: int, shown: str, carets: str) -> None:
    assert render(about(line, column, width)).split("\n")[1:] == [f"  {shown}", f"  {carets}"]


def test_a_long_line_is_cut_around_the_caret() -> None:
    _, line, carets = render(about("a" * 500 + "HERE" + "b" * 500, 501, 4)).split("\n")
    assert len(line) <= LONGEST_LINE + 2
    assert line[carets.index("^") : carets.rindex("^") + 1] == "HERE"
    assert line.strip().startswith("…")
    assert line.endswith("…")


def test_control_characters_are_shown_as_escapes() -> None:
    hostile = "\x1b[31mred\x07\u202e"
    shown = render(Diagnostic(Position(hostile, 1, 1), "SV001", hostile, hostile, Level.WARNING, 1, hostile))
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert "\\x1b[31mred" in shown


@given(st.text(max_size=300), st.integers(1, 320), st.integers(1, 320))
def test_any_line_and_place_can_be_shown(line: str, column: int, width: int) -> None:
    shown = render(about(line.replace("\n", ""), column, width)).split("\n")
    assert len(shown) in (1, 3)
    assert all(part.isprintable() for part in shown)


def test_the_last_line_counts_errors_and_warnings() -> None:
    warning = Diagnostic(Position("f", 1, 1), "SV051", "w", level=Level.WARNING)
    assert render_all([]) == ""
    assert render_all([warning]).endswith("\n\n1 warning\n")
    assert render_all([about("x", 1), about("y", 1), warning]).endswith("\n\n2 errors, 1 warning\n")


def test_a_program_gets_all_there_is_to_know() -> None:
    data = json.loads(json.dumps(as_json(about("x", 3, 2, "mend it"))))
    assert data == {
        "file": "f.yaml", "line": 7, "column": 3, "width": 2, "level": "error",
        "code": "SV021", "title": "unknown key", "message": "no such key", "hint": "mend it",
    }  # fmt: skip


def test_problems_come_sorted_once_each_and_with_their_line() -> None:
    problems = Problems()
    problems.keep_source("f", "one\r\ntwo\rthree\n")
    for line, column in ((3, 1), (1, 2), (3, 1), (1, 1), (9, 1)):
        problems.error(Position("f", line, column), "SV021", "m")
    assert [(d.position.line, d.position.column, d.excerpt) for d in problems.sorted()] == [
        (1, 1, "one"), (1, 2, "one"), (3, 1, "three"), (9, 1, ""),
    ]  # fmt: skip


def test_only_errors_are_fatal() -> None:
    problems = Problems()
    problems.warn(Position("f", 1, 1), "SV051", "m")
    assert not problems.fatal
    problems.error(Position("f", 1, 1), "SV021", "m")
    assert problems.fatal


def test_a_message_that_quotes_a_whole_file_is_cut() -> None:
    problems = Problems()
    problems.error(Position("f", 1, 1), "SV021", "x" * 10_000 + " is wrong", "y" * 10_000)
    (found,) = problems.sorted()
    assert len(found.message) == len(found.hint) == LONGEST_MESSAGE
    assert found.message.startswith("xxx")
    assert found.message.endswith("xxx is wrong")
