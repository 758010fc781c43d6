"""The shape of the house: short functions, files with one subject, nothing unnamed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for root in ("collector", "assertions")
    for path in (TOP / root).rglob("*.py")
    if not path.name.endswith("_pb2.py")
)
MAX_FUNCTION = 60
MAX_FILE = 500
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(TOP)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_no_function_is_long() -> None:
    assert SOURCES
    assert [(name, size) for path in SOURCES for name, size in functions(path) if size > MAX_FUNCTION] == []


def test_functions_are_short_by_habit() -> None:
    sizes = sorted(size for path in SOURCES for _, size in functions(path))
    assert sizes[len(sizes) // 2] <= 9
    assert sizes[len(sizes) * 95 // 100] <= 39


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TOP)))
def test_a_file_has_one_subject_and_a_name(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE
    assert path.stem not in VAGUE
    assert ast.get_docstring(ast.parse(text))


def test_every_room_is_in_the_architecture() -> None:
    page = (TOP / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.name for root in ("collector", "assertions") for path in (TOP / root / "spanverdict").iterdir()}
    for room in sorted(name.removesuffix(".py") for name in rooms if not name.startswith("__")):
        assert re.search(rf"^\| `{room}` \|", page, re.MULTILINE), room
