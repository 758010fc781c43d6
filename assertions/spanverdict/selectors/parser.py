"""Reads a selector: spansets, the operators between them, and pipelines.

Between spansets `||` binds loosest, then `&&`, then the structural operators; all group to the left.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, TypeAlias

from spanverdict.selectors import tree
from spanverdict.selectors.cursor import MAX_DEPTH, Cursor, spread, too_deep
from spanverdict.selectors.errors import SelectorSyntaxError, SelectorTypeError, SelectorUnsupported
from spanverdict.selectors.expressions import ARITHMETIC, COMPARISONS, LEVELS, expression, signed
from spanverdict.selectors.fieldnames import field_named
from spanverdict.selectors.lexer import Token
from spanverdict.selectors.statics import static_number
from spanverdict.selectors.tree import Expression, Spanset, Static, Type
from spanverdict.selectors.words import AGGREGATES, KEYWORDS, METRICS, STAGES, did_you_mean

MAX_NODES: Final = 500
"""How many parts a selector may have."""

STRUCTURAL: Final = frozenset(f"{prefix}{op}" for op in (">", ">>", "<", "<<", "~") for prefix in ("", "!", "&"))
SPANSET_LEVELS: Final = MappingProxyType({**LEVELS, **dict.fromkeys(STRUCTURAL, 3)})
"""How tight each operator outside the braces binds."""

_Part: TypeAlias = "Expression | Spanset"
_COMPARE: Final = "compare it: `count() > 0`"
_BRACES: Final = "a condition stands in braces: `{ span.x = 1 }`"


def read_selector(text: str) -> Spanset:
    """Read a whole text as a spanset expression or pipeline."""
    cursor = Cursor(text)
    if cursor.now.kind == "end":
        raise SelectorSyntaxError("a selector is empty", hint="`{ }` selects every span")
    found = _spanset(_pipeline(cursor))
    if cursor.now.text == "with":
        raise cursor.unsupported("query hints, `with (…)`, are not evaluated")
    cursor.end()
    return limited(found)


def read_field(text: str) -> tree.Attribute | tree.Intrinsic:
    """Read a whole text as one field."""
    cursor = Cursor(text)
    token = cursor.expect("word", "a field such as `span.x` or `span:name` is expected")
    cursor.end()
    found = field_named(token)
    if isinstance(found, Static):
        raise SelectorSyntaxError(f"`{token.text}` is a value, not a field", place=found.place)
    return found


def limited(root: Spanset) -> Spanset:
    """Refuse a tree that is too large or, by long chains of operators, too deep."""
    level: list[tree.Node] = [root]
    nodes = depth = 0
    while level:
        nodes += len(level)
        depth += 1
        if nodes > MAX_NODES:
            raise SelectorSyntaxError(f"a selector has at most {MAX_NODES} parts")
        if depth > MAX_DEPTH:
            raise too_deep(level[0].place[0])
        level = [part for node in level for part in tree.children(node)]
    return root


def _pipeline(cursor: Cursor) -> _Part:
    start = cursor.now.start
    stages = [_stage(cursor)]
    while cursor.accept("|"):
        stages.append(_stage(cursor))
    if len(stages) == 1 and not isinstance(stages[0], _STAGES):
        return stages[0]
    last = stages[-1]
    if isinstance(last, tree.EXPRESSIONS):
        if cursor.depth:
            raise SelectorUnsupported("the number of a pipeline in parentheses is not evaluated", place=last.place)
        raise SelectorTypeError("a pipeline ends with spans, not with a number", hint=_COMPARE, place=last.place)
    checked = [stage if isinstance(stage, _STAGES) else _spanset(stage) for stage in stages]
    return tree.Pipeline(tuple(checked), cursor.since(start))


_STAGES: Final = (tree.By, tree.Coalesce, tree.Select)


def _stage(cursor: Cursor) -> _Part | tree.By | tree.Coalesce | tree.Select:
    word = cursor.now.text
    if word in METRICS:
        raise cursor.unsupported(f"`{word}()` makes time series; a selector selects spans")
    if word in STAGES:
        return _named_stage(cursor)
    return cursor.climb(1, SPANSET_LEVELS, lambda: _operand(cursor), _join)


def _named_stage(cursor: Cursor) -> tree.By | tree.Coalesce | tree.Select:
    token = cursor.advance()
    cursor.expect("(", f"`{token.text}` needs parentheses")
    if token.text == "coalesce":
        cursor.expect(")", "`coalesce()` takes nothing")
        return tree.Coalesce(cursor.since(token.start))
    arguments = [expression(cursor)]
    while cursor.accept(","):
        arguments.append(expression(cursor))
    cursor.expect(")", "`)` is missing")
    place = cursor.since(token.start)
    if token.text == "select":
        return tree.Select(tuple(arguments), place)
    if len(arguments) > 1:
        hint = "chain them: `by(a) | by(b)`"
        raise SelectorSyntaxError("`by()` takes one expression", hint=hint, place=arguments[1].place)
    return tree.By(arguments[0], place)


def _operand(cursor: Cursor) -> _Part:
    match cursor.now.kind:
        case "{":
            return _filter(cursor)
        case "(":
            return cursor.parenthesised(lambda: _pipeline(cursor))
        case "-":
            return signed(cursor, SPANSET_LEVELS, lambda: _number(cursor), _join_numbers)
        case "number":
            return static_number(cursor.advance())
        case "word" if cursor.now.text in AGGREGATES:
            return _aggregate(cursor)
        case "word" if KEYWORDS.get(cursor.now.text, (None,))[0] is Type.INT:
            return field_named(cursor.advance())
        case _:
            raise _no_operand(cursor)


def _filter(cursor: Cursor) -> tree.Filter:
    start = cursor.advance().start
    condition = None if cursor.now.kind == "}" else expression(cursor)
    text = cursor.now.text
    cursor.expect("}", f"an operator or `}}` is expected, not `{text}`" if text else "`}` is missing")
    return tree.Filter(condition, cursor.since(start))


def _aggregate(cursor: Cursor) -> tree.Aggregate:
    token = cursor.advance()
    cursor.expect("(", f"`{token.text}` needs parentheses")
    argument = None if cursor.now.kind == ")" else expression(cursor)
    cursor.expect(")", "`)` is missing")
    return tree.Aggregate(token.text, argument, cursor.since(token.start))


def _number(cursor: Cursor) -> Expression:
    found = _operand(cursor)
    if isinstance(found, tree.EXPRESSIONS):
        return found
    raise SelectorTypeError("a spanset has no sign", place=found.place)


def _join_numbers(op: Token, left: Expression, right: Expression) -> Expression:
    return tree.Binary(op.kind, left, right, spread(left.place, right.place))


def _join(op: Token, left: _Part, right: _Part) -> _Part:
    place = spread(left.place, right.place)
    if isinstance(left, tree.EXPRESSIONS) and isinstance(right, tree.EXPRESSIONS):
        if op.kind in ARITHMETIC:
            return tree.Binary(op.kind, left, right, place)
        if op.kind in COMPARISONS:
            return tree.ScalarFilter(op.kind, left, right, place)
    if isinstance(left, tree.SPANSETS) and isinstance(right, tree.SPANSETS):
        if op.kind in STRUCTURAL:
            return tree.Structural(op.kind, left, right, place)
        if op.kind in ("&&", "||"):
            return tree.Combination(op.kind, (*_joined(op.kind, left), *_joined(op.kind, right)), place)
    raise _misjoined(op, left, right)


def _joined(op: str, node: Spanset) -> tuple[Spanset, ...]:
    return node.operands if isinstance(node, tree.Combination) and node.op == op else (node,)


def _misjoined(op: Token, left: _Part, right: _Part) -> SelectorTypeError:
    sides = ["a number" if isinstance(side, tree.EXPRESSIONS) else "a spanset" for side in (left, right)]
    hint = "comparisons of fields stand inside the braces" if op.kind in COMPARISONS and sides[0] != sides[1] else ""
    message = f"`{op.text}` cannot stand between {sides[0]} and {sides[1]}"
    return SelectorTypeError(message, hint=hint, place=(op.start, len(op.text)))


def _spanset(node: _Part) -> Spanset:
    if isinstance(node, tree.SPANSETS):
        return node
    raise SelectorTypeError("this is a number, not a spanset", hint=_COMPARE, place=node.place)


def _no_operand(cursor: Cursor) -> SelectorSyntaxError:
    token = cursor.now
    if token.kind == "end":
        return cursor.unexpected("the text ends where a spanset is expected", hint=_BRACES)
    hint = _BRACES
    if token.kind == "word" and token.text not in KEYWORDS and cursor.next().kind == "(":
        hint = did_you_mean(token.text, AGGREGATES | STAGES | METRICS) or _BRACES
    return cursor.unexpected(f"`{token.text}` starts no spanset", hint=hint)
