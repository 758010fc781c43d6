"""Attributes that a rule asks for and that nothing in the run carries: misspelt, or never set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

import numpy as np

from spanverdict.checks.coverage import Coverage
from spanverdict.rulefiles.models import Rule
from spanverdict.selectors import Field, Selector
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.semconv import other_names
from spanverdict.selectors.tree import Attribute, Node, Scope, children
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.spantable import Int32s, SpanTable

_CARRIERS: Final = MappingProxyType(
    {
        Scope.ANY: "span or resource",
        Scope.SPAN: "span",
        Scope.RESOURCE: "resource",
        Scope.EVENT: "event",
        Scope.LINK: "link",
        Scope.INSTRUMENTATION: "instrumentation scope",
    }
)

_SCOPES_OF_ANY: Final = (Scope.SPAN, Scope.RESOURCE)
_ALIKE: Final = 0.7
_LONGEST: Final = 100
_MOST_KNOWN: Final = 1000
"""Names that are compared; comparing takes the square of their length."""


def absent_fields(part: object, spans: Spans) -> list[str]:
    """Say of each attribute that a rule (or a part of one) asks for and that nothing carries.

    `no span carries span.scor; did you mean span.score?`
    """
    table = spans.table
    exact = isinstance(part, Rule) and isinstance(part.check, Coverage)
    asked = dict.fromkeys(_plain(attribute) for attribute in attributes_of(part))
    absent = [attribute for attribute in asked if not is_carried(attribute, table, exact=exact)]
    known = list(_known(table)) if absent else []
    return [_sentence(attribute, known) for attribute in absent]


def likely_misspelt(part: object, spans: Spans) -> list[str]:
    """Say it only of those that are much like one that is there."""
    return [said for said in absent_fields(part, spans) if "did you mean" in said]


def attributes_of(part: object) -> Iterator[Attribute]:
    """Yield the attributes in selectors and fields, at any depth of a rule's values."""
    if isinstance(part, Selector):
        yield from _in_tree(part.root)
    elif isinstance(part, Field):
        yield from _in_tree(part.node)
    elif isinstance(part, Rule):
        yield from attributes_of((part.check, part.where, part.per))
    elif isinstance(part, tuple):
        for item in part:
            yield from attributes_of(item)
    elif is_dataclass(part):
        for field in fields(part):
            yield from attributes_of(getattr(part, field.name))


def _in_tree(root: Node) -> Iterator[Attribute]:
    rest = [root]
    while rest:
        node = rest.pop()
        if isinstance(node, Attribute):
            yield node
        rest.extend(reversed(children(node)))


def _plain(attribute: Attribute) -> Attribute:
    return Attribute(attribute.scope, attribute.name)


def is_carried(attribute: Attribute, table: SpanTable, *, exact: bool) -> bool:
    """Tell whether anything carries an attribute: under its own name, or unless `exact` under another."""
    names = (attribute.name,) if exact else (attribute.name, *other_names(attribute.name))
    readers = {
        Scope.SPAN: table.attribute,
        Scope.RESOURCE: table.resource_attribute,
        Scope.EVENT: table.event_attribute,
        Scope.LINK: table.link_attribute,
        Scope.INSTRUMENTATION: table.scope_attribute,
    }
    scopes = _SCOPES_OF_ANY if attribute.scope is Scope.ANY else (attribute.scope,)
    return any(readers[scope](name).values for scope in scopes for name in names)


def _sentence(attribute: Attribute, known: list[Attribute]) -> str:
    likeliest = _likeliest(attribute, known)
    hint = f"; did you mean {Field(likeliest)}?" if likeliest is not None else ""
    return f"no {_CARRIERS[attribute.scope]} carries {Field(attribute)}{hint}"


def _likeliest(attribute: Attribute, known: list[Attribute]) -> Attribute | None:
    """Return another name of it, or the same name in another scope, else the name that is most like it in its own."""
    names = (attribute.name, *other_names(attribute.name))
    elsewhere = next((other for name in names for other in known if other.name == name), None)
    scopes = _SCOPES_OF_ANY if attribute.scope is Scope.ANY else (attribute.scope,)
    beside = {other.name: other for other in known if other.scope in scopes}
    close = get_close_matches(attribute.name[:_LONGEST], sorted(beside)[:_MOST_KNOWN], 1, _ALIKE)
    return elsewhere or (beside[close[0]] if close else None)


def _known(table: SpanTable) -> Iterator[Attribute]:
    """Yield the attributes that the run carries, by scope and name."""
    pool = table.pool
    yield from _named(table, Scope.SPAN, table.attributes.items)
    yield from _named(table, Scope.EVENT, table.events.attributes.items)
    yield from _named(table, Scope.LINK, table.links.attributes.items)
    for scope, owned, numbers in (
        (Scope.RESOURCE, pool.resource_attributes, table.resource),
        (Scope.INSTRUMENTATION, pool.scope_attributes, table.scope),
    ):
        items = [item for number in ascending(numbers).tolist() for item in owned[number]]
        yield from _named(table, scope, np.array(items, np.int32))


def _named(table: SpanTable, scope: Scope, items: Int32s) -> Iterable[Attribute]:
    keys = table.pool.keys
    names = keys.names()
    used = np.zeros(len(names), np.bool_)
    used[keys.of_attributes()[items]] = True
    return [Attribute(scope, name) for name in sorted(names[number] for number in np.flatnonzero(used).tolist())]
