"""Every file in `cases/` is linted to exactly the text beside it.

`UPDATE_EXPECTED=1 pytest tests/rulefiles/test_rulefile_cases.py` writes the texts anew; look at the
difference before keeping it. In CI nothing is written.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spanverdict.diagnostics.render import render_all
from spanverdict.rulefiles.lint import lint
from spanverdict.rulefiles.loader import load_files

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))
WITHOUT_ERRORS = {"full", "in-vain", "minimal"}
UPDATING = bool(os.environ.get("UPDATE_EXPECTED")) and os.environ.get("CI") != "true"


@pytest.fixture(autouse=True)
def in_the_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_linted_exactly_so(name: str) -> None:
    """Proves that every mistake is found at its place, in words that change only on purpose."""
    shown = render_all(lint([f"{name}.yaml"]))
    expected = Path(f"{name}.txt")
    if UPDATING:
        expected.write_text(shown, encoding="utf-8")
    assert shown == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_an_error_gives_no_flow(name: str) -> None:
    """Proves that no mistake is accepted and then ignored."""
    flows, problems = load_files([f"{name}.yaml"])
    assert (len(flows) == 1) == (name in WITHOUT_ERRORS)
    assert problems.fatal == (name not in WITHOUT_ERRORS)


@pytest.mark.parametrize("name", NAMES)
def test_every_place_is_in_the_file_and_under_what_it_names(name: str) -> None:
    lines = Path(f"{name}.yaml").read_text(encoding="utf-8").split("\n")
    for found in lint([f"{name}.yaml"]):
        if found.position.file.startswith("golden/"):
            continue  # is told of in its own file
        assert found.position.file == f"{name}.yaml"
        line = lines[found.position.line - 1]
        assert 1 <= found.position.column <= len(line) + 1
        assert found.excerpt == line
        assert found.position.column - 1 + found.width <= max(len(line), found.position.column)
