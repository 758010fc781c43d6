"""Evaluates what stands in braces: one truth a span."""

from __future__ import annotations

import numpy as np

from spanverdict.selectors import tree
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.compare import TURNED, any_pair, with_each_other, with_pattern, with_static
from spanverdict.selectors.fieldvalues import id_numbers, values_of
from spanverdict.selectors.numeric import Numbers, calculate
from spanverdict.selectors.statics import constant
from spanverdict.selectors.tree import Scope, Static, Type
from spanverdict.selectors.typecheck import ARITHMETIC, REGEX, level
from spanverdict.selectors.values import Tag, Values
from spanverdict.selectors.words import ID_DIGITS
from spanverdict.telemetry.spantable import Bools

TRUE = Static(Type.BOOL, True)


def condition(node: tree.Expression, spans: Spans) -> Bools:
    """Tell for each span whether a condition holds, (n,) bool; a missing attribute is false."""
    match node:
        case tree.Static():
            return np.full(len(spans), bool(node.value))
        case tree.Junction(op="&&"):
            return _all([condition(operand, spans) for operand in node.operands])
        case tree.Junction():
            return ~_all([~condition(operand, spans) for operand in node.operands])
        case tree.Unary():
            return ~condition(node.operand, spans)
        case tree.Binary():
            return _comparison(node, spans)
        case _:
            return _compare(node, "=", TRUE, spans)


def _all(masks: list[Bools]) -> Bools:
    found: Bools = np.logical_and.reduce(masks)
    return found


def _comparison(node: tree.Binary, spans: Spans) -> Bools:
    left, right = constant(node.left), constant(node.right)
    if left is not None and right is not None:
        return np.full(len(spans), _constants(left, node.op, right))
    if right is not None:
        return _compare(node.left, node.op, right, spans)
    if left is not None:
        return _compare(node.right, TURNED[node.op], left, spans)
    where = _level_of(node.left, node.right)
    found = with_each_other(values_at(node.left, where, spans), node.op, values_at(node.right, where, spans))
    return spans.any_of(where, found)


def _constants(left: Static, op: str, right: Static) -> bool:
    if left.type in (Type.STATUS, Type.KIND):
        return (left.value == right.value) == (op == "=")
    assert left.value is not None  # nil is compared with fields only
    assert right.value is not None
    if op in REGEX:
        found = with_pattern(Values.of_texts(np.zeros(1, np.int32), (str(left.value),)), op, str(right.value))
        return bool(found[0])
    return any_pair(op, (left.value,), (right.value,))


def _compare(node: tree.Expression, op: str, static: Static, spans: Spans) -> Bools:
    where = level(node)
    if static.type is Type.NIL:
        present = spans.any_of(where, values_at(node, where, spans).present())
        return present if op == "!=" else ~present
    if op in REGEX:
        return spans.any_of(where, with_pattern(values_at(node, where, spans), op, str(static.value)))
    if isinstance(node, tree.Intrinsic) and node.name in ID_DIGITS:
        return spans.any_of(where, _same_id(node, op, str(static.value), spans))
    return spans.any_of(where, with_static(values_at(node, where, spans), op, static))


def _same_id(node: tree.Intrinsic, op: str, digits: str, spans: Spans) -> Bools:
    """Compare ids by value, so that leading zeros and capitals make no difference."""
    numbers = id_numbers(node.name, spans)
    if numbers is None:
        text = digits.lower().lstrip("0").zfill(ID_DIGITS[node.name])
        return with_static(values_of(node, spans), op, Static(Type.STRING, text))
    known: Bools = numbers != 0
    same: Bools = numbers == np.uint64(int(digits, 16))
    return known & (same if op == "=" else ~same)


def _level_of(*nodes: tree.Expression) -> Scope:
    return next((found for node in nodes if (found := level(node)) is not Scope.SPAN), Scope.SPAN)


def values_at(node: tree.Expression, where: Scope, spans: Spans) -> Values:
    """Return an expression with one row a span, event or link, as `where` says."""
    found = _values(node, spans)
    return found if level(node) is where else found.take(spans.owners(where))


def _values(node: tree.Expression, spans: Spans) -> Values:
    match node:
        case tree.Attribute() | tree.Intrinsic():
            return values_of(node, spans)
        case tree.Unary(op="-"):
            return Values.of_numbers(numbers_at(node, level(node), spans))
        case tree.Binary() if node.op in ARITHMETIC:
            return Values.of_numbers(numbers_at(node, level(node), spans))
        case _:
            return Values.direct(Tag.BOOL, condition(node, spans).astype(np.int64))


def numbers_at(node: tree.Expression, where: Scope, spans: Spans) -> Numbers:
    """Return an expression as numbers, one a row of `where`, or one of shape (1,) for a constant."""
    fixed = constant(node)
    if fixed is not None:
        assert isinstance(fixed.value, int | float)  # numbers only, as was checked
        return Numbers.one(fixed.value)
    match node:
        case tree.Unary():
            return calculate("-", Numbers.one(0), numbers_at(node.operand, where, spans))
        case tree.Binary() if node.op in ARITHMETIC:
            return calculate(node.op, numbers_at(node.left, where, spans), numbers_at(node.right, where, spans))
        case _:
            return values_at(node, where, spans).numbers()
