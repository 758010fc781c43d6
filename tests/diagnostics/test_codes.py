"""Every code that the source uses is in the table and is explained, and the other way round."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import spanverdict.diagnostics
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.explanations import EXPLANATIONS, explain

SOURCE = Path(spanverdict.diagnostics.__file__).parents[1]
MODULES = [module.name for module in pkgutil.iter_modules(spanverdict.diagnostics.__path__)]


def used_codes() -> dict[str, set[str]]:
    """Names (`codes.TAG`) and literals (`"SV013"`) in all judging rooms, each with the files that use it."""
    found: dict[str, set[str]] = {}
    for file in SOURCE.rglob("*.py"):
        if file.name == "codes.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "codes":
                if node.attr.isupper() and node.attr != "CODES":
                    found.setdefault(getattr(codes, node.attr, node.attr), set()).add(file.name)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                for literal in re.findall(r"\bSV\d{3}\b", node.value) if len(node.value) == 5 else ():
                    found.setdefault(literal, set()).add(file.name)
    return found


def test_every_code_in_use_is_in_the_table() -> None:
    unknown = {code: files for code, files in used_codes().items() if code not in CODES}
    assert not unknown


def test_every_code_in_the_table_is_in_use() -> None:
    explained_only = {code for code, files in used_codes().items() if files == {"explanations.py"}}
    assert not explained_only | (CODES.keys() - used_codes().keys())


def test_every_code_has_a_name_a_title_and_an_explanation() -> None:
    named = [value for name, value in vars(codes).items() if name.isupper() and isinstance(value, str)]
    assert len(named) == len(set(named))
    assert set(named) == set(CODES) == set(EXPLANATIONS)
    assert list(CODES) == sorted(CODES)
    assert len(set(CODES.values())) == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_is_one_paragraph_of_whole_sentences(code: str) -> None:
    paragraph = EXPLANATIONS[code]
    assert "\n" not in paragraph
    assert paragraph.endswith(".")
    assert 80 <= len(paragraph) <= 700


def test_a_code_can_be_asked_for_in_any_case() -> None:
    assert str(explain(" sv042 ")).startswith("SV042: percentile on the wrong scale\n\nPercentiles are written")
    assert explain("SV999") is None


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_source_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"spanverdict.diagnostics.{name}")).failed == 0
