"""Values that a rule cannot rely on, because something of their spans was cut or lost: they count as missing.

So a rule that asks for what was cut passes only where that could have been anything, and fails only where it could not
have helped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Final, TypeVar

import numpy as np

from spanverdict.checks.check import Measurement
from spanverdict.checks.missing import Missing, Reason
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.absentfields import attributes_of
from spanverdict.evaluation.population import requests_with, subset
from spanverdict.rulefiles.models import Flow, Rule
from spanverdict.selectors import Field, Selector
from spanverdict.selectors.tree import Attribute
from spanverdict.selectors.uncertain import is_anything_cut, uncertain, unknown, was_cut
from spanverdict.telemetry.spantable import Bools, Rows

_Kind = TypeVar("_Kind")

_ANYTHING: Final = "anything cut"
_NAMED: Final = 3
"""Fields that are named in a reason."""


def without_cut(measurement: Measurement, rule: Rule, flow: Flow, view: RunView) -> Measurement:
    """Return what was measured, of which the values that nobody can be sure of are missing."""
    if measurement.population == "runs" or not _is_anything_cut(view):
        return measurement
    doubt = _Doubt.of(rule, flow, view)
    if not (doubt.members.any() or len(doubt.begin)):
        return measurement
    return (
        _of_spans(measurement, doubt, view)
        if measurement.population == "spans"
        else _of_requests(measurement, doubt, view)
    )


def _is_anything_cut(view: RunView) -> bool:
    found = view.memo.get(_ANYTHING)
    if not isinstance(found, bool):
        found = view.memo[_ANYTHING] = is_anything_cut(view.spans)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Doubt:
    """Where a rule looks at what was cut."""

    members: Bools
    """(n_members,) those that nobody can be sure of."""
    begin: Rows
    """Members of no request, with which one may begin."""
    reason: Reason

    @staticmethod
    def of(rule: Rule, flow: Flow, view: RunView) -> _Doubt:
        stages = set(_stages_of(rule.check, view)) | {view.starts_at, view.ends_at}
        by_stage = {name: uncertain(view.stages[name].selector.root, view.spans) for name in sorted(stages)}
        members = np.logical_or.reduce([*by_stage.values(), np.zeros(len(view.request), np.bool_)])
        for selector in _parts(rule.check, Selector):
            members |= uncertain(selector.root, view.spans)
        for field in _parts(rule.check, Field):
            members |= _unread(field, rule, view)
        for field in (*_parts(rule.per, Field), *_parts(flow.request, Field)):
            members |= was_cut(field.node, view.spans)
        begin = by_stage[view.starts_at] & (view.request < 0)
        if rule.where is not None:
            unsure = uncertain(rule.where.root, view.spans)
            members = (members | unsure) & _may_match(rule.where, unsure, view)
            begin &= False
        asked = dict.fromkeys(attributes_of((rule, tuple(view.stages[name].selector for name in sorted(stages)))))
        told = [one for one in asked if _lost(one, members | begin, view)]
        return _Doubt(members, np.flatnonzero(begin), Reason(_said(told), doubtful=True))

    def requests(self, view: RunView) -> Rows:
        """Return the requests that have such a member."""
        return np.unique(view.request[self.members & (view.request >= 0)])


def _may_match(where: Selector, unsure: Bools, view: RunView) -> Bools:
    """Tell which members are of requests that `where` chooses, or may choose."""
    wanted = np.append(requests_with(where, view), False)
    wanted[view.request[unsure & (view.request >= 0)]] = True
    found: Bools = wanted[view.request]
    return found


def _unread(field: Field, rule: Rule, view: RunView) -> Bools:
    """Tell where a value that is read of some spans is not known."""
    stages = _stages_of(rule.check, view)
    if not stages:
        return was_cut(field.node, view.spans)
    here = np.zeros(len(view.request), np.bool_)
    for name in stages:
        here[view.stage(name).member] = True
    return here & unknown(field.node, view.spans)


def _lost(attribute: Attribute, members: Bools, view: RunView) -> bool:
    return bool((unknown(attribute, view.spans) & members).any())


def _said(asked: list[Attribute]) -> str:
    names = sorted(str(Field(attribute)) for attribute in asked)
    more = ["…"] if len(names) > _NAMED else []
    return f"are in doubt, as {', '.join([*names[:_NAMED], *more]) or 'something'} was cut or lost"


def _of_requests(measurement: Measurement, doubt: _Doubt, view: RunView) -> Measurement:
    requests = doubt.requests(view)
    doubtful = np.zeros(view.n_requests + 1, np.bool_)
    doubtful[requests] = True
    left = subset(measurement, ~doubtful[measurement.request], ~doubtful[measurement.missing.request])
    whose = np.concatenate([requests, np.full(len(doubt.begin), -1, np.intp)])
    rows = np.concatenate([view.first_member[requests], doubt.begin])
    return replace(left, missing=left.missing.also(Missing.of_members(whose, rows, doubt.reason)))


def _of_spans(measurement: Measurement, doubt: _Doubt, view: RunView) -> Measurement:
    spans = np.zeros(int(view.row.max(initial=-1)) + 2, np.bool_)
    spans[view.row[doubt.members]] = True
    doubtful = np.append(spans[view.row], False)
    left = subset(measurement, ~doubtful[measurement.row], ~doubtful[measurement.missing.row])
    _, rows = np.unique(np.where(doubt.members, view.row, -1), return_index=True)
    rows = rows[doubt.members[rows]]
    return replace(left, missing=left.missing.also(Missing.of_members(view.request[rows], rows, doubt.reason)))


def _stages_of(part: object, view: RunView) -> list[str]:
    """Return the stages that a measure names."""
    return [name for name in view.stages if name in set(_parts(part, str))]


def _parts(part: object, kind: type[_Kind]) -> Iterator[_Kind]:
    """Yield the values of a kind in a rule, or a part of one, at any depth."""
    if isinstance(part, kind):
        yield part
    elif isinstance(part, Rule):
        yield from _parts(part.check, kind)
    elif isinstance(part, tuple):
        for item in part:
            yield from _parts(item, kind)
    elif is_dataclass(part) and not isinstance(part, Selector | Field):
        for field in fields(part):
            yield from _parts(getattr(part, field.name), kind)
