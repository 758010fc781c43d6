"""Evaluates spansets and pipelines: from all spans of a group to those that are selected.

The spans still in play are a mask, `members`, and each span's spanset a number, `part`: its group at
first, finer after `by()`.
"""

from __future__ import annotations

import numpy as np

from spanverdict.selectors import tree
from spanverdict.selectors.aggregates import scalar
from spanverdict.selectors.columns import Spans, dense
from spanverdict.selectors.conditions import condition, values_at
from spanverdict.selectors.numeric import signs, verdicts
from spanverdict.selectors.tree import Scope
from spanverdict.selectors.values import identities
from spanverdict.telemetry.spantable import Bools, Int64s


def select(root: tree.Spanset, spans: Spans) -> Bools:
    """Return the spans that a selector yields, (n,) bool."""
    if isinstance(root, tree.Filter) and root.condition is not None:  # which no other span makes a difference to
        return condition(root.condition, spans)
    everything = np.ones(len(spans), np.bool_)
    return run(root, spans, everything, *spans.parts())


def run(node: tree.Spanset, spans: Spans, members: Bools, part: Int64s, count: int) -> Bools:
    """Return which of `members` a spanset expression keeps."""
    match node:
        case tree.Filter():
            return members.copy() if node.condition is None else condition(node.condition, spans) & members
        case tree.Structural():
            left = run(node.left, spans, members, part, count)
            return related(node.op, left, run(node.right, spans, members, part, count), spans)
        case tree.Combination():
            return _combined(node.op, [run(one, spans, members, part, count) for one in node.operands], part, count)
        case tree.ScalarFilter():
            left_number = scalar(node.left, spans, members, part, count)
            right_number = scalar(node.right, spans, members, part, count)
            kept = verdicts(node.op, signs(left_number, right_number))
            return kept[part] & members
        case tree.Pipeline():
            return _piped(node, spans, members, part, count)


def related(op: str, left: Bools, right: Bools, spans: Spans) -> Bools:
    """Return what a structural operator yields: of the right side, or with `&` of both."""
    found = right & relation(op.lstrip("!&"), left, spans)
    if op[0] == "!":
        return right & ~found
    if op[0] == "&":
        return found | (left & relation(_BACK[op[1:]], right, spans))
    return found


_BACK = {">": "<", ">>": "<<", "<": ">", "<<": ">>", "~": "~"}
"""The relation seen from the other side."""


def relation(op: str, of: Bools, spans: Spans) -> Bools:
    """Return the spans that stand in a relation to any span of `of`."""
    match op:
        case ">":
            return spans.forest.children(of)
        case ">>":
            return spans.forest.descendants(of)
        case "<":
            return spans.forest.parents(of)
        case "<<":
            return spans.forest.ancestors(of)
        case _:
            return spans.forest.siblings(of)


def _combined(op: str, masks: list[Bools], part: Int64s, count: int) -> Bools:
    found: Bools = np.logical_or.reduce(masks)
    if op == "&&":
        met = [np.bincount(part[mask], minlength=count) > 0 for mask in masks]
        found &= np.logical_and.reduce(met)[part]
    return found


def _piped(node: tree.Pipeline, spans: Spans, members: Bools, part: Int64s, count: int) -> Bools:
    whole = part, count
    for stage in node.stages:
        match stage:
            case tree.By():
                part, count = _split(stage, spans, part)
            case tree.Coalesce():
                part, count = whole
            case tree.Select():
                pass
            case _:
                members = run(stage, spans, members, part, count)
    return members


def _split(stage: tree.By, spans: Spans, part: Int64s) -> tuple[Int64s, int]:
    """Number spansets anew by old number and value; spans without a value stand together."""
    value, count = dense(identities(values_at(stage.key, Scope.SPAN, spans)) + 1)
    return dense(part * max(count, 1) + value)
