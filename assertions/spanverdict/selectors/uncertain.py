"""Spans of which nobody can say whether they match, as something of them was cut or lost on the way.

What this receiver cuts it names (`spanverdict.cut`). What a sender left out it only counts; any attribute that such a
span (or resource, scope, event or link) lacks may be among that, and any event or link may be one that it lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import numpy as np

from spanverdict.selectors import tree
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.conditions import condition
from spanverdict.selectors.fieldvalues import of_spans, values_of
from spanverdict.selectors.semconv import other_names
from spanverdict.selectors.statics import constant
from spanverdict.selectors.tree import Attribute, Intrinsic, Scope, Type
from spanverdict.selectors.typecheck import level
from spanverdict.telemetry.attributecolumn import AttributeColumn
from spanverdict.telemetry.leftout import present, with_any
from spanverdict.telemetry.spantable import Bools
from spanverdict.telemetry.vocabulary import CUT, CUT_ANY, DROPPED

_MARKED_ON: Final = MappingProxyType({Scope.EVENT: Scope.SPAN, Scope.LINK: Scope.SPAN})
"""What this receiver cuts of events and links it names on their span."""


def is_anything_cut(spans: Spans) -> bool:
    """Tell whether there is any such span."""
    table = spans.table
    counts = (table.dropped_attributes, table.dropped_events, table.dropped_links)
    known = table.pool.keys
    return known.id_of(CUT) >= 0 or known.id_of(DROPPED) >= 0 or any(lost.any() for lost in counts)


def uncertain(root: tree.Spanset, spans: Spans) -> Bools:
    """Tell of which spans nobody can say whether a selector takes them for what it looks for, (n,) bool.

    Each pair of braces is looked at by itself, as structure is made of what they match.
    """
    found = np.zeros(len(spans), np.bool_)
    for node in _nodes(root):
        if isinstance(node, tree.Filter) and node.condition is not None:
            surely, maybe = _bounds(node.condition, spans)
            found |= maybe & ~surely
        elif isinstance(node, tree.By | tree.Aggregate):
            for part in _fields(node):
                found |= was_cut(part, spans)
    return found


def unknown(field: Attribute | Intrinsic, spans: Spans) -> Bools:
    """Tell of which spans a field is not known: it was cut, left out, or may have been lost, (n,) bool."""
    if isinstance(field, Attribute) and field.of_parent:
        return _of_parents(unknown(Attribute(field.scope, field.name), spans), spans)
    return was_cut(field, spans) | _lost(field, spans)


def _lost(field: Attribute | Intrinsic, spans: Spans) -> Bools:
    """Tell of which spans a field may have been left out by their senders, (n,) bool."""
    table, where = spans.table, level(field)
    lost = {Scope.EVENT: table.dropped_events, Scope.LINK: table.dropped_links}.get(where)
    found = np.zeros(len(spans), np.bool_) if lost is None else lost > 0
    if isinstance(field, Intrinsic):
        return found
    if field.scope is not Scope.ANY:
        return found | _left_out(field, spans)
    own = Attribute(Scope.SPAN, field.name)
    of_resource = _left_out(Attribute(Scope.RESOURCE, field.name), spans)
    if of_resource.any():
        of_resource &= ~values_of(own, spans).present()
    return _left_out(own, spans) | of_resource


def _left_out(field: Attribute, spans: Spans) -> Bools:
    """Tell of which spans an attribute may be one that is missing where it would stand, (n,) bool."""
    table = spans.table
    if field.scope is Scope.SPAN:
        counted = table.dropped_attributes > 0
    elif table.pool.keys.id_of(DROPPED) < 0:
        return np.zeros(len(spans), np.bool_)
    else:
        counted = present(_marks(field.scope, DROPPED, spans))
    if counted.any():
        counted &= ~values_of(field, spans).present()
    offsets = {Scope.EVENT: table.events.offsets, Scope.LINK: table.links.offsets}.get(field.scope)
    return counted if offsets is None else with_any(counted, offsets)


def was_cut(field: Attribute | Intrinsic, spans: Spans) -> Bools:
    """Tell of which spans this receiver has cut a field, under any of its names, (n,) bool."""
    if isinstance(field, Intrinsic) or spans.table.pool.keys.id_of(CUT) < 0:
        return np.zeros(len(spans), np.bool_)
    if field.of_parent:
        return _of_parents(was_cut(Attribute(field.scope, field.name), spans), spans)
    scopes = (Scope.SPAN, Scope.RESOURCE) if field.scope is Scope.ANY else (field.scope,)
    found = np.zeros(len(spans), np.bool_)
    for scope in scopes:
        names = {CUT_ANY, *(f"{scope}.{name}" for name in (field.name, *other_names(field.name)))}
        found |= _names_any(_marks(_MARKED_ON.get(scope, scope), CUT, spans), names)
    return found


def _marks(scope: Scope, key: str, spans: Spans) -> AttributeColumn:
    """Return an attribute of ours where it stands for a scope: one row a span, or one an event or link."""
    table = spans.table
    match scope:
        case Scope.RESOURCE:
            return table.resource_attribute(key)
        case Scope.INSTRUMENTATION:
            return table.scope_attribute(key)
        case Scope.EVENT:
            return table.event_attribute(key)
        case Scope.LINK:
            return table.link_attribute(key)
        case _:
            return table.attribute(key)


def _names_any(marks: AttributeColumn, names: set[str]) -> Bools:
    named = [isinstance(value, tuple) and not names.isdisjoint(map(str, value)) for value in marks.values]
    found: Bools = np.array([*named, False], np.bool_)[marks.codes]
    return found


def _of_parents(mask: Bools, spans: Spans) -> Bools:
    found: Bools = np.append(mask, False)[spans.parents()]
    return found


def _bounds(node: tree.Expression, spans: Spans) -> tuple[Bools, Bools]:
    """Tell for each span whether a condition surely holds, and whether it may hold."""
    match node:
        case tree.Junction():
            both = [_bounds(operand, spans) for operand in node.operands]
            joined = np.logical_and if node.op == "&&" else np.logical_or
            return joined.reduce([surely for surely, _ in both]), joined.reduce([maybe for _, maybe in both])
        case tree.Unary(op="!"):
            surely, maybe = _bounds(node.operand, spans)
            return ~maybe, ~surely
        case _:
            return _bounds_of_one(node, spans)


def _bounds_of_one(node: tree.Expression, spans: Spans) -> tuple[Bools, Bools]:
    holds = condition(node, spans)
    if constant(node) is not None:
        return holds, holds
    asks_for_none = isinstance(node, tree.Binary) and _is_nil(node.left, node.right)
    doubt = np.zeros(len(spans), np.bool_)
    certain = np.zeros(len(spans), np.bool_)
    for field in _fields(node):
        open_here = unknown(field, spans)
        if asks_for_none:
            open_here = open_here & ~of_spans(field, spans).present()  # of what was cut something is left
        elif level(field) is not Scope.SPAN:
            certain |= holds & ~was_cut(field, spans)  # one event is enough, whatever became of the others
        doubt |= open_here
    return holds & (certain | ~doubt), holds | doubt


def _is_nil(*operands: tree.Expression) -> bool:
    return any((static := constant(operand)) is not None and static.type is Type.NIL for operand in operands)


def _fields(root: tree.Node) -> Iterator[Attribute | Intrinsic]:
    return (node for node in _nodes(root) if isinstance(node, Attribute | Intrinsic))


def _nodes(root: tree.Node) -> Iterator[tree.Node]:
    rest = [root]
    while rest:
        node = rest.pop()
        yield node
        rest.extend(tree.children(node))
