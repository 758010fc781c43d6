"""The JSON Schemas in `rules/` are those of this version, and every file that a user may look at is checked by one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spanverdict.app.schemacommand import SCHEMAS, schema_text
from spanverdict.checks.catalogue import CHECKS
from spanverdict.rulefiles.measureschema import MEASURES

TOP = Path(__file__).parents[2]
EXAMPLES = sorted(
    path
    for folder in ("rules", "deploy")
    for path in (TOP / folder).rglob("*.yaml")
    if "\ntests:" in (text := path.read_text(encoding="utf-8")) or "\nstages:" in text
)


@pytest.mark.parametrize("of", SCHEMAS)
def test_the_schemas_are_up_to_date(of: str) -> None:
    """`make schema` makes them again."""
    assert (TOP / "rules" / f"{of}.schema.json").read_text(encoding="utf-8") == schema_text(of)


def test_every_measure_has_a_schema() -> None:
    assert [check.key for check in CHECKS] == list(MEASURES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(TOP)))
def test_every_example_names_its_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    of = "test" if path.name.endswith("_test.yaml") else "flow"
    schema = os.path.relpath(TOP / "rules" / f"{of}.schema.json", path.parent)
    assert first == f"# yaml-language-server: $schema={schema}"


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 17
