"""Reads what stands in braces: fields, values and the operators between them.

From loosest to tightest: `||`, `&&`, comparisons, `+ -`, `* / %`, the unary `- !`, and `^`, which alone groups
to the right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from spanverdict.selectors import tree
from spanverdict.selectors.cursor import Cursor, spread
from spanverdict.selectors.errors import SelectorSyntaxError
from spanverdict.selectors.fieldnames import field_named
from spanverdict.selectors.lexer import Token
from spanverdict.selectors.literals import LiteralError, unquote
from spanverdict.selectors.statics import negative, static_number
from spanverdict.selectors.tree import NUMERIC, Expression, Static, Type

COMPARISONS: Final = frozenset({"=", "!=", "<", "<=", ">", ">=", "=~", "!~"})
ARITHMETIC: Final = MappingProxyType({"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 7})
LEVELS: Final = MappingProxyType({"||": 1, "&&": 2, **dict.fromkeys(COMPARISONS, 3), **ARITHMETIC})
"""How tight each operator binds."""
UNARY: Final = 6


def expression(cursor: Cursor) -> Expression:
    """Read one expression."""
    return cursor.climb(1, LEVELS, lambda: _operand(cursor), _join)


def _operand(cursor: Cursor) -> Expression:
    match cursor.now.kind:
        case "word":
            return field_named(cursor.advance())
        case "number":
            return static_number(cursor.advance())
        case "string":
            return _string(cursor.advance())
        case "(":
            return cursor.parenthesised(lambda: expression(cursor))
        case "-" | "!":
            return signed(cursor, LEVELS, lambda: _operand(cursor), _join)
        case _:
            raise _no_operand(cursor)


def signed(
    cursor: Cursor,
    levels: Mapping[str, int],
    operand: Callable[[], Expression],
    join: Callable[[Token, Expression, Expression], Expression],
) -> Expression:
    """Read `-` or `!` and what it applies to; a number takes the sign itself."""
    op = cursor.advance()
    if op.kind == "-" and cursor.now.kind == "number" and cursor.next().kind != "^":
        return static_number(cursor.advance(), op.start)
    inner = cursor.nested(lambda: cursor.climb(UNARY, levels, operand, join))
    if op.kind == "-" and isinstance(inner, Static) and inner.type in NUMERIC:
        return negative(inner, op.start)
    return tree.Unary(op.kind, inner, spread((op.start, 1), inner.place))


def _string(token: Token) -> Static:
    try:
        value = unquote(token.text)
    except LiteralError as error:
        place = (token.start + error.offset, error.length)
        raise SelectorSyntaxError(error.message, hint=error.hint, place=place) from None
    return Static(Type.STRING, value, (token.start, len(token.text)))


def _join(op: Token, left: Expression, right: Expression) -> Expression:
    place = spread(left.place, right.place)
    if op.kind in ("&&", "||"):
        return tree.Junction(op.kind, (*_joined(op.kind, left), *_joined(op.kind, right)), place)
    return tree.Binary(op.kind, left, right, place)


def _joined(op: str, node: Expression) -> tuple[Expression, ...]:
    return node.operands if isinstance(node, tree.Junction) and node.op == op else (node,)


def _no_operand(cursor: Cursor) -> SelectorSyntaxError:
    token = cursor.now
    if token.kind == "end":
        return cursor.unexpected("the text ends where a value is expected")
    return cursor.unexpected(f"`{token.text}` stands where a value is expected")
