"""An included rule made one of the flow that includes it: its id, what it looks at, what its own file says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from spanverdict.diagnostics.yamldoc import Mapping, Node, Scalar

OVER_RUNS: Final = ("burn_rate", "pass_rate")
"""Measures that name another rule with `of`."""
_DEFAULTS: Final = ("on_no_data", "owner", "severity")


def adopted(rules: Iterable[Mapping], pack: Mapping, prefix: str) -> tuple[Mapping, ...]:
    """Return rules of a pack as rules of a flow, where their ids have a prefix (empty for none)."""
    rules = tuple(rules)
    ids = frozenset(name.text for rule in rules if isinstance(name := rule.get("id"), Scalar))
    return tuple(_aimed(_named(_defaulted(rule, pack), prefix), prefix, ids) for rule in rules)


def _named(rule: Mapping, prefix: str) -> Mapping:
    name = rule.get("id")
    if not isinstance(name, Scalar) or not prefix:
        return rule
    text = f"{prefix}.{name.text}"
    return with_entry(rule, "id", replace(name, value=text, text=text))


def _aimed(rule: Mapping, prefix: str, ids: frozenset[str]) -> Mapping:
    """Let a rule over several runs look at the rule that it names in its own file, under the id that it has here."""
    for measure in OVER_RUNS:
        inner = rule.get(measure)
        of = inner.get("of") if isinstance(inner, Mapping) else None
        if isinstance(inner, Mapping) and isinstance(of, Scalar) and of.text in ids and prefix:
            text = f"{prefix}.{of.text}"
            return with_entry(rule, measure, with_entry(inner, "of", replace(of, value=text, text=text)))
    return rule


def _defaulted(rule: Mapping, pack: Mapping) -> Mapping:
    """Give a rule what its own file says for all of its rules."""
    defaults = pack.get("defaults")
    entries = defaults.entries if isinstance(defaults, Mapping) else ()
    more = [(name, value) for name, value in entries if name.text in _DEFAULTS and rule.get(name.text) is None]
    return replace(rule, entries=(*rule.entries, *more))


def with_entry(node: Mapping, key: str, value: Node) -> Mapping:
    """Return the mapping with a key set, in its place or at the end."""
    name = node.key(key) or Scalar(value.position, key, key, quoted=False)
    entries = [(known, value if known is name else other) for known, other in node.entries]
    return replace(node, entries=tuple(entries if node.key(key) else [*entries, (name, value)]))
