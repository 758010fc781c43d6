"""JSON Schemas at work: documents as editors see them, and what a schema says of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from rules.reference import blocks, with_part, with_rules
from spanverdict.app.schemacommand import SCHEMAS
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Scalar, Sequence, compose
from spanverdict.rulefiles.loader import load

TOP = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
EXAMPLES = sorted([*(TOP / "rules").rglob("*.yaml"), TOP / "deploy" / "demo" / "scoring.yaml"])
FLOWS = [
    *((block.name, block.text) for block in blocks("yaml flow")),
    *((block.name, with_part(block.text)) for block in blocks("yaml part")),
    *((block.name, with_rules(block.text)) for block in blocks("yaml rule")),
]


@cache
def validator(of: str) -> Draft7Validator:
    schema = SCHEMAS[of]()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def document(text: str) -> Any:
    """Return what a YAML text holds, None when it is no YAML."""
    node = compose(text, "f.yaml", Problems())
    return None if node is None else plain(node)


def plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {name.text: plain(value) for name, value in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value if isinstance(node, Scalar) else None


def mistakes(of: str, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(of).iter_errors(document)]


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a schema that is of a mapping with a title."""
    if isinstance(schema, dict):
        if "title" in schema and "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def said(text: str) -> Problems:
    """What the reader says; golden files are taken to be there, and not looked into."""
    problems = Problems()
    load(text, str(TOP / "rules" / "f.yaml"), problems, lambda _file, _name: None)
    return problems
