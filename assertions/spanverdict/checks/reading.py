"""How a measure reads its part of a rule: stages, selectors and fields, each mistake in its place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from spanverdict.checks.valueof import ValueOf, parse_value
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Plain, Reader, Scalar, Sequence, did_you_mean, wrong_type
from spanverdict.selectors import Field, MappingError, Selector, SelectorError, from_mapping, parse, parse_field

_UNQUOTED: Final = "put a TraceQL selector in quotes"


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a measure needs to know of its flow while it is read."""

    problems: Problems
    stages: Collection[str]
    """The names of the flow's stages, in path order."""

    def reader(self, node: Node, keys: Collection[str], what: str) -> Reader | None:
        """Return a reader of a mapping; None (reported) when `node` is none."""
        return Reader.of(node, self.problems, keys, what)

    def stage(self, node: Node) -> str | None:
        """Return the name of a stage of the flow; None (reported) when it has no such stage."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            wrong_type(self.problems, node, "a stage is named by a text", "")
            return None
        if node.text in self.stages:
            return node.text
        hint = did_you_mean(node.text, self.stages) or f"the stages are {', '.join(self.stages)}"
        self.problems.error(node.position, codes.UNKNOWN_STAGE, f"there is no stage `{node.text}`", hint, node.width)
        return None

    def stage_list(self, node: Node) -> tuple[str, ...] | None:
        """Return the stages of `all`, of one name or of a list of names; None when one was reported."""
        if isinstance(node, Scalar) and node.text == "all":
            return tuple(self.stages)
        items = node.items if isinstance(node, Sequence) else (node,)
        if not items:
            self.problems.error(node.position, codes.EMPTY, "a list of stages cannot be empty", "write `all`")
            return None
        names = [self.stage(item) for item in items]
        return None if None in names else tuple(name for name in names if name is not None)

    def selector(self, node: Node) -> Selector | None:
        """Return a selector, written as TraceQL or as a mapping; None when it was reported."""
        if isinstance(node, Mapping):
            return self._mapping(node)
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            hint = "write TraceQL in quotes, '{ span:name = \"x\" }', or a mapping {service: x, name: y}"
            wrong_type(self.problems, node, "a selector has to be a text or a mapping", hint)
            return None
        try:
            return parse(node.text)
        except SelectorError as error:
            self._report(node, codes.SELECTOR, error)
            return None

    def field(self, node: Node) -> Field | None:
        """Return a field such as `span.request.id`; None when it was reported."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            wrong_type(self.problems, node, "a field has to be a text", "write it like span.request.id")
            return None
        try:
            return parse_field(node.text)
        except SelectorError as error:
            self._report(node, codes.FIELD, error)
            return None

    def value(self, node: Node) -> ValueOf | None:
        """Return a field or `json(FIELD, "PATH")`; None when it was reported."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            wrong_type(self.problems, node, "a value has to be a text", "write it like span.score")
            return None
        try:
            return parse_value(node.text)
        except SelectorError as error:
            self._report(node, codes.FIELD, error)
            return None

    def _mapping(self, node: Mapping) -> Selector | None:
        try:
            return from_mapping(_plain_mapping(node))
        except MappingError as error:
            at = _entry_at(node, error.key)
            hint = _UNQUOTED if _looks_like_traceql(node) else error.hint
            self.problems.error(at.position, codes.SELECTOR_MAPPING, error.message, hint, at.width)
            return None

    def _report(self, node: Scalar, code: str, error: SelectorError) -> None:
        self.problems.error(node.at(error.offset), code, error.message, error.hint, max(1, error.length))


def _entry_at(node: Node, path: tuple[str | int, ...]) -> Node:
    """Return the key (or list item) that `path` leads to, as far as it can be followed."""
    at = node
    for part in path:
        if isinstance(node, Mapping) and isinstance(part, str):
            at, inner = node.key(part) or at, node.get(part)
        else:
            inner = node.items[part] if isinstance(node, Sequence) and isinstance(part, int) else None
            at = inner or at
        node = inner or at
    return at


def _looks_like_traceql(node: Mapping) -> bool:
    """Tell whether it is `{ span:name = "x" }` without quotes, which YAML reads as a key without a value."""
    return any(isinstance(value, Scalar) and not value.raw and "=" in name.text for name, value in node.entries)


def _plain_mapping(node: Mapping) -> dict[str, object]:
    return {name.text: _plain(value) for name, value in node.entries}


def _plain(node: Node) -> object:
    if isinstance(node, Mapping):
        return _plain_mapping(node)
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    value: Plain = node.value if isinstance(node, Scalar) else None
    return value
