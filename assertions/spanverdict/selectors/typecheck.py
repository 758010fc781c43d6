"""Finds what could never match: numbers compared with strings, sums of texts, conditions that are not true or false."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from spanverdict.selectors import tree
from spanverdict.selectors.errors import SelectorSyntaxError, SelectorTypeError, SelectorUnsupported
from spanverdict.selectors.literals import is_duration
from spanverdict.selectors.printer import write
from spanverdict.selectors.statics import NoNumberError, constant
from spanverdict.selectors.tree import NUMERIC, Scope, Static, Type
from spanverdict.selectors.words import ID_DIGITS, INTRINSICS, KINDS, STATUSES

MAX_PATTERN: Final = 1024
"""Bytes a regular expression may have."""

ARITHMETIC: Final = frozenset("+-*/%^")
ORDERING: Final = frozenset({"<", "<=", ">", ">="})
REGEX: Final = frozenset({"=~", "!~"})
_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_WORDS: Final = {Type.STATUS: ", ".join(STATUSES), Type.KIND: ", ".join(KINDS)}


def check(root: tree.Spanset) -> None:
    """Raise a `SelectorTypeError` or `SelectorUnsupported` at the first part that makes no sense."""
    _spanset(root, grouped=False)


def _spanset(node: tree.Stage, *, grouped: bool) -> None:
    match node:
        case tree.Filter():
            if node.condition is not None:
                _truth(node.condition)
        case tree.Structural():
            if grouped:
                raise SelectorUnsupported(
                    f"`{node.op}` after by() is not evaluated", hint="put `coalesce()` before it", place=node.place
                )
            _spanset(node.left, grouped=grouped)
            _spanset(node.right, grouped=grouped)
        case tree.Combination():
            for operand in node.operands:
                _spanset(operand, grouped=grouped)
        case tree.ScalarFilter():
            _scalar_filter(node)
        case tree.Pipeline():
            _pipeline(node, grouped=grouped)
        case tree.By():
            _key(node)
        case tree.Select():
            for field in node.fields:
                if not isinstance(field, tree.Attribute | tree.Intrinsic):
                    raise SelectorTypeError("select() takes fields", place=field.place)


def _pipeline(node: tree.Pipeline, *, grouped: bool) -> None:
    split = grouped
    for stage in node.stages:
        _spanset(stage, grouped=split)
        split = isinstance(stage, tree.By) or (grouped if isinstance(stage, tree.Coalesce) else split)


def _key(node: tree.By) -> None:
    type_of(node.key)
    if not _reads(node.key):
        raise SelectorTypeError("by() needs a field", place=node.key.place)
    if level(node.key) is not Scope.SPAN:
        raise SelectorUnsupported("by() of a field of events or links is not evaluated", place=node.key.place)


# numbers of a spanset


def _scalar_filter(node: tree.ScalarFilter) -> None:
    if node.op in REGEX:
        raise SelectorTypeError("a number is not matched by a regular expression", place=node.place)
    _scalar(node.left)
    _scalar(node.right)
    if not (_aggregates(node.left) or _aggregates(node.right)):
        raise SelectorTypeError(
            "this compares two constants", hint="compare an aggregate: `count() > 1`", place=node.place
        )


def _scalar(node: tree.Expression) -> None:
    if isinstance(node, tree.Aggregate):
        _aggregate(node)
    elif not isinstance(node, Static):
        for part in tree.children(node):
            _scalar(part)  # type: ignore[arg-type]
        _constant(node)


def _aggregate(node: tree.Aggregate) -> None:
    name, argument = node.function, node.argument
    if name == "count":
        if argument is not None:
            raise SelectorTypeError("count() takes nothing: it counts spans", place=argument.place)
        return
    if argument is None:
        raise SelectorTypeError(f"{name}() needs a field", hint=f"such as `{name}(span:duration)`", place=node.place)
    kind = type_of(argument)
    if kind not in NUMERIC and kind is not Type.ANY:
        raise SelectorTypeError(f"{name}() of {_a(kind)}", hint="it takes numbers and durations", place=argument.place)
    if not _reads(argument):
        raise SelectorTypeError(f"{name}() of a constant", hint="it takes a field", place=argument.place)


def _aggregates(node: tree.Node) -> bool:
    return isinstance(node, tree.Aggregate) or any(map(_aggregates, tree.children(node)))


def _reads(node: tree.Node) -> bool:
    return isinstance(node, tree.Attribute | tree.Intrinsic) or any(map(_reads, tree.children(node)))


# expressions on a span


def type_of(node: tree.Expression) -> Type:
    """Return the type of an expression, or raise where it has none."""
    match node:
        case Static():
            return node.type
        case tree.Attribute():
            return Type.ANY
        case tree.Intrinsic():
            return INTRINSICS[node.name]
        case tree.Junction():
            for operand in node.operands:
                _truth(operand)
            return Type.BOOL
        case tree.Unary(op="!"):
            _truth(node.operand)
            return Type.BOOL
        case tree.Unary():
            return _numeric(node, (node.operand,))
        case tree.Binary() if node.op in ARITHMETIC:
            return _numeric(node, (node.left, node.right))
        case tree.Binary():
            _comparison(node)
            return Type.BOOL
        case _:
            raise SelectorTypeError("an aggregate stands outside the braces", place=node.place)


def _truth(node: tree.Expression) -> None:
    kind = type_of(node)
    if kind not in (Type.BOOL, Type.ANY):
        hint = "compare it with something" if _reads(node) else ""
        raise SelectorTypeError(f"`{write(node)}` is {_a(kind)}, neither true nor false", hint=hint, place=node.place)


def _numeric(node: tree.Unary | tree.Binary, operands: tuple[tree.Expression, ...]) -> Type:
    for operand in operands:
        kind = type_of(operand)
        if kind not in NUMERIC and kind is not Type.ANY:
            raise SelectorTypeError(f"`{write(operand)}` is {_a(kind)}; `{node.op}` takes numbers", place=operand.place)
    _constant(node)
    level(node)
    return Type.NUMBER


def _constant(node: tree.Expression) -> None:
    try:
        constant(node)
    except NoNumberError as error:
        raise SelectorTypeError(str(error), place=node.place) from None


def _comparison(node: tree.Binary) -> None:
    left, right = type_of(node.left), type_of(node.right)
    if {level(node.left), level(node.right)} == {Scope.EVENT, Scope.LINK}:
        raise SelectorUnsupported("an event cannot be compared with a link", place=node.place)
    if node.op in REGEX:
        _regex(node, left, right)
    elif Type.NIL in (left, right):
        _nil(node, left, right)
    elif not _comparable(left, right):
        _incomparable(node, left, right)
    elif node.op in ORDERING and not {left, right} <= NUMERIC | {Type.STRING, Type.ANY}:
        raise SelectorTypeError(
            f"{_a(left if left is not Type.ANY else right)} has no order", hint="use `=` or `!=`", place=node.place
        )
    elif Type.ID in (left, right):
        _ids(node)


def _comparable(left: Type, right: Type) -> bool:
    if left is right or {left, right} <= NUMERIC:
        return True
    if Type.ANY in (left, right):
        return not {left, right} & {Type.STATUS, Type.KIND}
    return {left, right} == {Type.ID, Type.STRING}


def _incomparable(node: tree.Binary, left: Type, right: Type) -> NoReturn:
    names = [Type.NUMBER if kind in NUMERIC - {Type.DURATION} else kind for kind in (left, right)]
    hint = ""
    for side, other in ((node.left, right), (node.right, left)):
        if isinstance(side, Static) and side.type in _WORDS and other in (Type.ANY, Type.STRING):
            hint = f'as a text it has quotes: `"{write(side)}"`'
        if isinstance(side, Static) and side.type is Type.STRING and other in _WORDS:
            hint = f"without quotes, one of {_WORDS[other]}"
        if isinstance(side, Static) and other in NUMERIC and is_duration(str(side.value)):
            hint = f"a duration has no quotes: {side.value}"
        if isinstance(side, Static) and side.type in _WORDS and other in _WORDS:
            hint = f"one of {_WORDS[other]}"
    raise SelectorTypeError(f"{_a(names[0])} is never compared with {_a(names[1])}", hint=hint, place=node.place)


def _nil(node: tree.Binary, left: Type, right: Type) -> None:
    if node.op in ORDERING:
        raise SelectorTypeError("nil has no order", hint="`= nil` is absent, `!= nil` is present", place=node.place)
    other = node.right if left is Type.NIL else node.left
    if not _reads(other) or (right if left is Type.NIL else left) is Type.BOOL:
        raise SelectorTypeError("nil is compared with a field", hint="`span.x = nil`", place=node.place)


def _ids(node: tree.Binary) -> None:
    for field, text in ((node.left, node.right), (node.right, node.left)):
        if isinstance(field, tree.Intrinsic) and isinstance(text, Static):
            digits = ID_DIGITS[field.name]
            value = str(text.value)
            if not _HEX.fullmatch(value) or len(value.lstrip("0")) > digits:
                raise SelectorTypeError(f"{field.name} has at most {digits} hexadecimal digits", place=text.place)


def _regex(node: tree.Binary, left: Type, right: Type) -> None:
    if left not in (Type.STRING, Type.ID, Type.ANY):
        raise SelectorTypeError(f"{_a(left)} is not matched by a regular expression", place=node.left.place)
    pattern = node.right
    if not isinstance(pattern, Static) or right is not Type.STRING:
        raise SelectorTypeError("a regular expression is a text in quotes", place=pattern.place)
    text = str(pattern.value)
    if len(text.encode()) > MAX_PATTERN:
        raise SelectorSyntaxError(f"a regular expression has at most {MAX_PATTERN} bytes", place=pattern.place)
    from spanverdict.selectors.regex import problem  # noqa: PLC0415 - most selectors hold none

    if found := problem(text):
        raise SelectorSyntaxError(f"this regular expression does not compile: {found}", place=pattern.place)


def level(node: tree.Node) -> Scope:
    """Return what an expression has one value of: a span, or each event or link of one.

    Comparisons are true or false of a span.

    Raises:
        SelectorUnsupported: where an event is calculated with a link.
    """
    match node:
        case tree.Attribute():
            return node.scope if node.scope in (Scope.EVENT, Scope.LINK) else Scope.SPAN
        case tree.Intrinsic():
            scope = node.name.partition(":")[0]
            return Scope(scope) if scope in ("event", "link") else Scope.SPAN
        case tree.Unary(op="-") | tree.Binary(op="+" | "-" | "*" | "/" | "%" | "^"):
            found = {level(part) for part in tree.children(node)} - {Scope.SPAN}
            if len(found) > 1:
                raise SelectorUnsupported("an event is not calculated with a link", place=node.place)
            return found.pop() if found else Scope.SPAN
        case _:
            return Scope.SPAN


def _a(kind: Type) -> str:
    if kind is Type.NIL:
        return "nil"
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
