"""Reading a YAML mapping key by key, every mistake a diagnostic; see `yamldoc`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Final, Self

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.durations import DurationError, parse_duration
from spanverdict.diagnostics.yamlnodes import Mapping, Node, Scalar, Sequence

_ALIKE: Final = 0.6
_LONGEST: Final = 100
_MOST_KNOWN: Final = 200
"""A hint is not worth more time than it takes to look through so many words."""


class Reader:
    """Reads a mapping's entries, collecting problems.

    Every reader method gives its default (None unless said) when the key is absent, and reports and
    gives the same default when the value is not of the wanted kind.
    """

    def __init__(self, node: Mapping, problems: Problems, keys: Collection[str], what: str) -> None:
        self.mapping = node
        self._values = {name.text: value for name, value in node.entries}
        self.problems = problems
        self._keys = keys
        self._what = what

    @classmethod
    def of(cls, node: Node, problems: Problems, keys: Collection[str], what: str) -> Self | None:
        """Return a reader of `node`, its unknown keys reported; None (reported) when it is no mapping.

        `what` names the thing in messages, with its article: `a stage`.
        """
        if not isinstance(node, Mapping):
            wrong_type(problems, node, f"{what} has to be a mapping", f"write keys such as {_some(keys)}")
            return None
        reader = cls(node, problems, keys, what)
        reader.check()
        return reader

    @property
    def unknown(self) -> tuple[Scalar, ...]:
        """The keys of the mapping that are not known."""
        return tuple(name for name, _ in self.mapping.entries if name.text not in self._keys)

    def check(self) -> None:
        """Report the keys that are not known."""
        for name in self.unknown:
            message = f"{self._what} has no key `{name.text}`"
            hint = did_you_mean(name.text, self._keys) or f"the keys are {_list(self._keys)}"
            self.problems.error(name.position, codes.UNKNOWN_KEY, message, hint, name.width)

    def node(self, key: str) -> Node | None:
        """Return what stands at `key`, unread."""
        return self._values.get(key)

    def require(self, key: str) -> Node | None:
        """Return what stands at `key`; its absence is reported at the mapping."""
        node = self._values.get(key)
        if node is None:
            self.problems.error(self.mapping.position, codes.MISSING_KEY, f"{self._what} needs the key `{key}`")
        return node

    def text(self, key: str, default: str | None = None) -> str | None:
        """Return a text that is not empty."""
        node = self.node(key)
        found = None if node is None else text_of(node, self.problems, key)
        return default if found is None else found

    def integer(self, key: str, default: int | None = None, *, minimum: int | None = None) -> int | None:
        """Return a whole number, written without quotes."""
        node = self.node(key)
        if node is None:
            return default
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool):
            wrong_type(self.problems, node, f"{key} has to be a whole number", "")
            return default
        if minimum is not None and value < minimum:
            self.problems.error(node.position, codes.OUT_OF_RANGE, f"{key} has to be {minimum} or more", "", node.width)
            return default
        return value

    def boolean(self, key: str, default: bool | None = None) -> bool | None:
        """Return true or false, written without quotes."""
        node = self.node(key)
        if node is None:
            return default
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        wrong_type(self.problems, node, f"{key} has to be true or false", "write true or false, without quotes")
        return default

    def duration(self, key: str, default: int | None = None, *, negative: bool = False) -> int | None:
        """Return nanoseconds."""
        node = self.node(key)
        if node is None:
            return default
        if not isinstance(node, Scalar) or node.value is None:
            wrong_type(self.problems, node, f"{key} has to be a duration", "write it like 250ms or 1h30m")
            return default
        try:
            return parse_duration(node.text, negative=negative)
        except DurationError as error:
            self.problems.error(node.position, codes.BAD_DURATION, f"{key}: {error.message}", error.hint, node.width)
            return default

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str | None:
        """Return one of `choices`."""
        node = self.node(key)
        if node is None:
            return default
        if isinstance(node, Scalar) and node.text in choices:
            return node.text
        shown = f"`{node.text}`" if isinstance(node, Scalar) else "this"
        hint = (did_you_mean(node.text, choices) if isinstance(node, Scalar) else "") or f"write {_list(choices, 'or')}"
        self.problems.error(node.position, codes.NOT_A_CHOICE, f"{key} cannot be {shown}", hint, node.width)
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of a list, or the one text that stands in its place; empty when absent."""
        return tuple(scalar.text for scalar in self.text_nodes(key))

    def text_nodes(self, key: str) -> tuple[Scalar, ...]:
        """Return what `texts` returns, each with its place."""
        node = self.node(key)
        if node is None:
            return ()
        items = node.items if isinstance(node, Sequence) else (node,)
        if not items:
            self.problems.error(node.position, codes.EMPTY, f"{key} is an empty list")
        return tuple(
            item for item in items if text_of(item, self.problems, key) is not None and isinstance(item, Scalar)
        )

    def text_mapping(self, key: str) -> dict[str, str]:
        """Return keys and texts, numbers and booleans as they are written; empty when absent."""
        node = self.node(key)
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            wrong_type(self.problems, node, f"{key} has to be a mapping of texts", "")
            return {}
        found = {}
        for name, value in node.entries:
            if isinstance(value, Scalar) and value.value is not None:
                found[name.text] = value.text
            else:
                wrong_type(self.problems, value, f"{key}.{name.text} has to be a text", "")
        return found


def text_of(node: Node, problems: Problems, what: str) -> str | None:
    """Return the text of `node`; None (reported) when it is none, or empty."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        if node.value.strip():
            return node.value
        problems.error(node.position, codes.EMPTY, f"{what} is empty", "", node.width)
        return None
    if isinstance(node, Scalar) and node.value is None:
        problems.error(node.position, codes.EMPTY, f"{what} has no value")
        return None
    hint = f'put it in quotes: "{node.text}"' if isinstance(node, Scalar) else ""
    wrong_type(problems, node, f"{what} has to be a text", hint)
    return None


def wrong_type(problems: Problems, node: Node, message: str, hint: str) -> None:
    """Report that `node` is not what it has to be, and say what it is."""
    problems.error(node.position, codes.WRONG_TYPE, f"{message}, not {_kind(node)}", hint, node.width)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean …?` for the most similar known word, nothing when none is similar.

    >>> did_you_mean("savrity", ["severity", "labels"])
    'did you mean `severity`?'
    """
    close = difflib.get_close_matches(word[:_LONGEST], sorted(known)[:_MOST_KNOWN], 1, _ALIKE)
    return f"did you mean `{close[0]}`?" if close else ""


def _kind(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    if not isinstance(node, Scalar):
        return "a list"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    return names.get(type(node.value), "nothing")


def _list(words: Collection[str], joint: str = "and") -> str:
    *first, last = sorted(words)
    return f"{', '.join(first)} {joint} {last}" if first else last


def _some(keys: Collection[str]) -> str:
    return ", ".join(sorted(keys)[:4])
