"""Writes a selector in its canonical form: scoped intrinsics, one space, no needless parenthesis."""

from __future__ import annotations

import re
from typing import Final

from spanverdict.selectors import tree
from spanverdict.selectors.expressions import COMPARISONS, LEVELS, UNARY
from spanverdict.selectors.literals import escape, quote, write_duration
from spanverdict.selectors.parser import SPANSET_LEVELS
from spanverdict.selectors.tree import Scope, Static, Type
from spanverdict.selectors.words import KINDS, MAX_INT, MIN_INT, STATUSES

_BARE: Final = re.compile(r"\w(?:[\w.\-]*\w)?")
_PARENT_SCOPED: Final = ("span.", "resource.", "event.", "link.", "instrumentation.", "trace.", "parent.")
_STATUS_NAMES: Final = {number: name for name, number in STATUSES.items()}
_KIND_NAMES: Final = {number: name for name, number in KINDS.items()}
_TIGHTEST: Final = 9


def write(node: tree.Node) -> str:
    """Return the canonical text of a node."""
    match node:
        case tree.Static():
            return _static(node)
        case tree.Intrinsic():
            return node.name
        case tree.Attribute():
            return _attribute(node)
        case tree.Unary():
            return node.op + _wrapped(node.operand, UNARY)
        case tree.Binary() | tree.ScalarFilter() | tree.Structural():
            return _infix(node)
        case tree.Junction() | tree.Combination():
            level = LEVELS[node.op] + 1
            return f" {node.op} ".join(_wrapped(operand, level) for operand in node.operands)
        case _:
            return _stage(node)


def _stage(node: tree.Filter | tree.Pipeline | tree.Aggregate | tree.By | tree.Coalesce | tree.Select) -> str:
    match node:
        case tree.Filter():
            return "{ }" if node.condition is None else f"{{ {write(node.condition)} }}"
        case tree.Pipeline():
            return " | ".join(_wrapped(stage, 1) for stage in node.stages)
        case tree.Aggregate():
            return f"{node.function}({'' if node.argument is None else write(node.argument)})"
        case tree.By():
            return f"by({write(node.key)})"
        case tree.Coalesce():
            return "coalesce()"
        case tree.Select():
            return f"select({', '.join(write(one) for one in node.fields)})"


def _infix(node: tree.Binary | tree.ScalarFilter | tree.Structural) -> str:
    level = SPANSET_LEVELS[node.op]
    left, right = (level + 1, UNARY) if node.op == "^" else (level, level + 1)
    if isinstance(node, tree.Binary) and node.op in COMPARISONS:
        left = level + 1
    return f"{_wrapped(node.left, left)} {node.op} {_wrapped(node.right, right)}"


def _wrapped(node: tree.Node, loosest: int) -> str:
    """Write an operand, in parentheses if it binds looser than where it stands."""
    text = write(node)
    return text if _level(node) >= loosest else f"({text})"


def _level(node: tree.Node) -> int:
    match node:
        case tree.Binary() | tree.ScalarFilter() | tree.Structural() | tree.Junction() | tree.Combination():
            return SPANSET_LEVELS[node.op]
        case tree.Unary():
            return UNARY
        case tree.Static(value=int() | float()) if _static(node).startswith("-"):
            return UNARY
        case tree.Pipeline():
            return 0
        case _:
            return _TIGHTEST


def _static(node: Static) -> str:
    value = node.value
    match node.type:
        case Type.STRING:
            return quote(str(value))
        case Type.DURATION:
            assert isinstance(value, int)  # as its type says
            return write_duration(value)
        case Type.STATUS:
            return _STATUS_NAMES[value]  # type: ignore[index]
        case Type.KIND:
            return _KIND_NAMES[value]  # type: ignore[index]
        case Type.NIL:
            return "nil"
        case Type.BOOL:
            return "true" if value else "false"
        case _:
            return {MIN_INT: "minInt", MAX_INT: "maxInt"}.get(value, repr(value)) if type(value) is int else repr(value)


def _attribute(node: tree.Attribute) -> str:
    prefix = f"{node.scope}." if node.scope is not Scope.ANY or not node.of_parent else ""
    if node.of_parent:
        prefix = f"parent.{prefix}"
    return prefix + (node.name if _plain(node) else f'"{escape(node.name)}"')


def _plain(node: tree.Attribute) -> bool:
    if not _BARE.fullmatch(node.name):
        return False
    if node.scope is not Scope.ANY:
        return True
    if node.of_parent:
        return not node.name.startswith(_PARENT_SCOPED)
    return not node.name[0].isdigit()
