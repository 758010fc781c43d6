"""Says why spans are not selected: which single condition kept how many of them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from spanverdict.selectors import tree
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.conditions import condition
from spanverdict.selectors.printer import write
from spanverdict.selectors.spansets import related, select
from spanverdict.telemetry.spantable import Bools


class NearMiss(NamedTuple):
    """What one condition did among those that must hold together."""

    condition: str
    matched: int
    """Spans that meet it."""
    all_but: int
    """Spans that meet all the others and not this one."""
    mask: Bools
    """(n,) those spans."""


class _Condition(NamedTuple):
    text: str
    met: Bools
    """The spans that it does not keep out."""
    matched: int


def near_misses(root: tree.Spanset, spans: Spans) -> list[NearMiss]:
    """Look at each condition of a selector; alternatives (`||`, `&&`, `&>`) are looked at one by one."""
    return list(_spanset(root, spans))


def _spanset(node: tree.Spanset, spans: Spans) -> Iterator[NearMiss]:
    parts = _alternatives(node)
    for part in parts:
        yield from _spanset(part, spans)
    if not parts:
        yield from _measured(list(_conditions(node, spans)), len(spans))


def _alternatives(node: tree.Spanset) -> tuple[tree.Spanset, ...]:
    match node:
        case tree.Combination():
            return node.operands
        case tree.Structural(op=op) if op[0] == "&":
            return (node.left, node.right)
        case tree.Pipeline(stages=(tree.Combination() | tree.Structural() as first, *_)):
            return _alternatives(first)
        case _:
            return ()


def _conditions(node: tree.Stage, spans: Spans) -> Iterator[_Condition]:
    """Yield what must hold together for a span to be selected, outermost last."""
    match node:
        case tree.Filter():
            for one in _conjuncts(node.condition):
                yield _condition(write(one), condition(one, spans))
        case tree.Structural() if node.op[0] != "&":
            yield from _conditions(node.right, spans)
            everything = np.ones(len(spans), np.bool_)
            placed = related(node.op, select(node.left, spans), everything, spans)
            yield _condition(write(tree.Structural(node.op, node.left, tree.Filter(None))), placed)
        case tree.Pipeline():
            yield from _stages(node, spans)
        case tree.ScalarFilter() | tree.Combination() | tree.Structural():
            yield _condition(write(node), select(node, spans))


def _condition(text: str, met: Bools) -> _Condition:
    return _Condition(text, met, int(met.sum()))


def _conjuncts(node: tree.Expression | None) -> tuple[tree.Expression, ...]:
    if isinstance(node, tree.Junction) and node.op == "&&":
        return node.operands
    return () if node is None else (node,)


def _stages(node: tree.Pipeline, spans: Spans) -> Iterator[_Condition]:
    for place, stage in enumerate(node.stages):
        if isinstance(stage, tree.Filter) or place == 0:
            yield from _conditions(stage, spans)
        elif isinstance(stage, tree.SPANSETS):
            reached = select(tree.Pipeline(node.stages[:place]), spans)
            kept = select(tree.Pipeline(node.stages[: place + 1]), spans)
            yield _Condition(write(stage), kept | ~reached, int(kept.sum()))


def _measured(conditions: list[_Condition], count: int) -> Iterator[NearMiss]:
    met = np.zeros(count, np.int64)
    for each in conditions:
        met += each.met
    for each in conditions:
        missed = (met == len(conditions) - 1) & ~each.met
        yield NearMiss(each.text, each.matched, int(missed.sum()), missed)
