"""The words that the JSON Schemas of rule files and of their tests are made of (draft-07).

A schema is for editors: it completes keys, explains them, and underlines what is surely wrong. `lint` says
the rest. So a schema never refuses what `lint` accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
PARAMETER: Final = r"\$\{"
"""What stands in for a value that is filled in later: `${name}`, alone or inside a longer text."""


def about(what: str, schema: Schema) -> Schema:
    """Return the schema with the words that an editor shows."""
    return {"description": what, **({"allOf": [schema]} if "$ref" in schema else schema)}


def text(pattern: str = r"\S") -> Schema:
    """Return what takes a text; without a pattern any that is not empty. A pattern also takes parameters."""
    given = pattern == r"\S"
    return {"type": "string", "pattern": pattern if given else f"{pattern}|{PARAMETER}"}


def texts() -> Schema:
    """Return what takes a text or a list of them."""
    return {"anyOf": [text(), {"type": "array", "minItems": 1, "items": text()}]}


def choice(choices: Iterable[str]) -> Schema:
    """Return what takes one of some words."""
    return or_parameter({"enum": list(choices)})


def whole_number(minimum: int) -> Schema:
    """Return what takes a whole number."""
    return or_parameter({"type": "integer", "minimum": minimum})


def truth() -> Schema:
    """Return what takes true or false."""
    return or_parameter({"type": "boolean"})


def duration() -> Schema:
    """Return what takes a duration with a unit."""
    return text(r"^\s*[+-]?[0-9.]+(ns|us|µs|μs|ms|s|m|h|d|w)")


def plain() -> Schema:
    """Return what takes any single value."""
    return {"type": ["string", "number", "boolean"]}


def or_parameter(schema: Schema) -> Schema:
    """Return what also takes a parameter in the place of the value."""
    return {"anyOf": [schema, {"type": "string", "pattern": PARAMETER}]}


def either(*schemas: Schema) -> Schema:
    """Return what takes anything that one of the schemas takes."""
    return {"anyOf": list(schemas)}


def listed(items: Schema) -> Schema:
    """Return what takes a list of one or more."""
    return {"type": "array", "minItems": 1, "items": items}


def mapping(title: str, keys: Mapping[str, Schema], needs: Sequence[str] = ()) -> Schema:
    """Return what takes a mapping of these keys and no others.

    `title` is what diagnostics call it; tests hold the keys against those that its reader takes.
    """
    found: Schema = {"title": title, "type": "object", "properties": dict(keys), "additionalProperties": False}
    return {**found, "required": list(needs)} if needs else found


def named(value: Schema, pattern: str | None = None) -> Schema:
    """Return what takes a mapping with keys of the user's own."""
    found: Schema = {"type": "object", "additionalProperties": value}
    return {**found, "propertyNames": {"pattern": pattern}} if pattern else found


def one_of(schema: Schema, *keys: str) -> Schema:
    """Return a mapping's schema that takes exactly one of these keys."""
    return {**schema, "oneOf": [{"required": [key]} for key in keys]}


def any_of(schema: Schema, *keys: str) -> Schema:
    """Return a mapping's schema that takes at least one of these keys."""
    return {**schema, "anyOf": [{"required": [key]} for key in keys]}
