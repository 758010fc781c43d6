"""YAML 1.2 (core schema) from text to nodes, within limits, every mistake a diagnostic; see `yamldoc`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.diagnostics.yamlnodes import Mapping, Node, Plain, Scalar, Sequence
from spanverdict.diagnostics.yamltext import Refused, refuse_tabs, screen, translate

MAX_ALIASES: Final = 50
MAX_DEPTH: Final = 32
MAX_NODES: Final = 100_000
"""Nodes of a file, those that aliases repeat counted every time."""
MAX_DIGITS: Final = 400

LOADER: Final[type] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it."""

_CORE: Final = "tag:yaml.org,2002:"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def compose(text: str, file: str, problems: Problems) -> Node | None:
    """Return the one document that `text` holds; None when it cannot be read at all.

    Mistakes that leave the rest readable (a duplicate key, an unknown tag) are reported and the
    document is returned all the same. Never raises for what the text holds.
    """
    text = text.removeprefix("\ufeff")
    problems.keep_source(file, text)
    try:
        screen(text, file)
        node = _Composer(text, file, problems).document()
    except Refused as refused:
        problems.add(refused.diagnostic)
        return None
    except yaml.YAMLError as error:
        problems.add(translate(error, text, file))
        return None
    refuse_tabs(text, file, node, problems)
    return node


class _Composer:
    """Builds the nodes of one document from the parser's events."""

    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._text = text
        self._file = file
        self._problems = problems
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=LOADER)
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._open: set[str] = set()
        self._aliases = 0
        self._nodes = 0

    def document(self) -> Node:
        """Return the only document."""
        next(self._events)  # the start of the stream
        start = next(self._events)
        if not isinstance(start, yaml.DocumentStartEvent):
            raise Refused(Position(self._file, 1, 1), codes.FILE_EMPTY, "the file holds nothing")
        self._check_directives(start)
        node = self._node(next(self._events), 1)
        next(self._events)  # the end of the document
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            raise Refused(
                self._place(after), codes.SEVERAL_DOCUMENTS, "a second document begins here", "write one flow a file"
            )
        return node

    def _check_directives(self, start: yaml.DocumentStartEvent) -> None:
        if start.tags or start.version not in (None, (1, 2)):
            raise Refused(
                Position(self._file, 1, 1),
                codes.DIRECTIVE,
                "a YAML directive other than %YAML 1.2 is not allowed",
                "remove the line that begins with %",
            )

    def _place(self, event: yaml.Event) -> Position:
        mark: Any = event.start_mark  # the parser always sets it
        return Position(self._file, mark.line + 1, mark.column + 1)

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            message = f"the file holds more than {MAX_NODES:,} values when its aliases are expanded"
            raise Refused(self._place(event), codes.TOO_COMPLEX, message)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} deep"
            raise Refused(self._place(event), codes.TOO_COMPLEX, message)
        before = self._nodes
        self._count(event, 1)
        anchor = event.anchor if isinstance(event, yaml.NodeEvent) else None
        if anchor is not None:
            self._open.add(anchor)
        node = self._fresh(event, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (node, self._nodes - before)
        return node

    def _fresh(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, "seq")
            return Sequence(self._place(event), tuple(self._items(depth)))
        self._check_tag(event, "map")
        return self._mapping(event, depth)

    def _alias(self, event: yaml.AliasEvent) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise Refused(self._place(event), codes.ALIAS, f"the file has more than {MAX_ALIASES} aliases")
        if event.anchor in self._open:
            raise Refused(self._place(event), codes.ALIAS, f"*{event.anchor} stands inside the value that it names")
        if event.anchor not in self._anchors:
            raise Refused(self._place(event), codes.ALIAS, f"no value before this is named &{event.anchor}")
        node, nodes = self._anchors[event.anchor]
        self._count(event, nodes)
        return node

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, start: yaml.Event, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            key = self._key(name, event)
            if key is not None and not self._taken(key, entries):
                entries[key.text] = (key, value)
        return Mapping(self._place(start), tuple(entries.values()))

    def _key(self, name: Node, event: yaml.Event) -> Scalar | None:
        if not isinstance(name, Scalar) or name.value is None:
            self._problems.error(self._place(event), codes.KEY_NOT_TEXT, "a key has to be plain text")
            return None
        if name.text == "<<" and not name.quoted:
            hint = "write the keys out, or use an alias for a whole value"
            self._problems.error(name.position, codes.MERGE_KEY, "merge keys are not allowed", hint, 2)
            return None
        return name

    def _taken(self, key: Scalar, entries: dict[str, tuple[Scalar, Node]]) -> bool:
        if key.text not in entries:
            return False
        first = entries[key.text][0].position
        message = f"the key `{key.text}` stands twice in one mapping"
        hint = f"it stands first in line {first.line}; keep one of them"
        self._problems.error(key.position, codes.DUPLICATE_KEY, message, hint, key.width)
        return True

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        start: Any = event.start_mark
        end: Any = event.end_mark
        raw = self._text[start.index : end.index]
        quoted = event.style not in (None, "")
        value = self._value(event, quoted=quoted)
        return Scalar(self._place(event), value, event.value, quoted, raw)

    def _value(self, event: yaml.ScalarEvent, *, quoted: bool) -> Plain:
        tag = event.tag
        if tag == "!" or tag == _CORE + "str" or (quoted and tag is None):
            return str(event.value)
        value = resolve(event.value)
        if isinstance(value, int) and len(event.value) > MAX_DIGITS:
            raise Refused(self._place(event), codes.OUT_OF_RANGE, f"a number of more than {MAX_DIGITS} digits")
        if tag is not None:
            self._check_tag(event, _kind(value))
        return value

    def _check_tag(self, event: yaml.Event, fitting: str) -> None:
        tag: str | None = getattr(event, "tag", None)
        if tag is None or tag in ("!", _CORE + fitting):
            return
        shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        message = f"the tag {shown} is not allowed here"
        hint = 'put a comparison in quotes, like "!= 3"' if shown.startswith("!=") else "remove the tag"
        self._problems.error(self._place(event), codes.TAG, message, hint, len(shown))


def resolve(text: str) -> Plain:
    """Return what plain `text` means in the core schema of YAML 1.2 (chapter 10.3).

    >>> resolve("on"), resolve("NO"), resolve("12:30:45"), resolve("0o17"), resolve("1e3"), resolve("~")
    ('on', 'NO', '12:30:45', 15, 1000.0, None)
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    return float(text.replace(".", "").lower()) if special else text


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base) if len(text) <= MAX_DIGITS else 0  # noqa: PLR2004 - ten is ten


def _kind(value: Plain) -> str:
    names: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}
    return names.get(type(value), "null")
