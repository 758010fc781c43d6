"""The truths behind `output` with a golden file: which requests answered what they should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from spanverdict.checks.alike import badness
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.comparison import Comparison, compare
from spanverdict.checks.golden import Golden
from spanverdict.checks.missing import Missing
from spanverdict.checks.numbers import Float64s
from spanverdict.checks.output import Output
from spanverdict.checks.runview import RunView
from spanverdict.telemetry.spantable import Rows

NEVER_CAME: Final = "no request of the run has this key"
NOT_KEPT: Final = "are in the golden file and were perhaps not kept"
_NAMED: Final = 5
"""Keys that a note lists."""


def measure(output: Output, golden: Golden, view: RunView) -> Measurement:
    """Give a truth for each request that has a record, and false for each record without a request.

    On a sampled run such a request may just not have been kept, so there it is missing. Requests
    without a record are no part of it and are noted.
    """
    found = compare(output, golden, view)
    rows, absent = found.known, np.full(len(found.absent), -1, np.intp)
    missing = found.missing
    if view.sampling.sampled.any():
        missing = missing.also(Missing.of_requests(absent, NOT_KEPT))
        absent = absent[:0]
    request = np.concatenate([found.answers.request[rows], absent])

    def explain(number: int) -> str:
        if number < len(rows):
            return found.said(int(rows[number]))
        return f"expected {found.expected(int(found.absent[number - len(rows)]))}, got nothing: {NEVER_CAME}"

    return Measurement(
        Unit.TRUTH,
        np.concatenate([found.same, np.zeros(len(absent), np.bool_)]),
        "requests",
        request,
        np.concatenate([found.answers.member[rows], absent]),
        missing,
        remark=lambda requests: _remark(found, requests),
        explain=explain,
        keep=request < 0,
        subject=lambda number: found.keys[found.absent[number - len(rows)]],
        badness=lambda positions: _badness(found, positions),
    )


def _badness(found: Comparison, positions: Rows) -> Float64s:
    """Rank answers by how far numbers are off; records without a request come last."""

    def of(position: int) -> float:
        if position >= len(found.known):
            return -1.0
        pairs = found.pairs(int(found.known[position]))
        return max((badness(a, b, found.golden.allowance(name)) for name, a, b in pairs), default=0.0)

    return np.array([of(position) for position in positions.tolist()], np.float64)


def _remark(found: Comparison, requests: Rows) -> str:
    """Say how many of some requests differ, and which keys only one side has."""
    view, differ = found.view, np.zeros(found.view.n_requests + 1, np.bool_)
    differ[found.answers.request[found.known[~found.same]]] = True
    absent, here = int((requests < 0).sum()), int(differ[requests].sum())
    parts = [f"{here:,} of {len(requests) - absent:,} answers differ"] if here else []
    if absent:
        parts.append(f"no request has the {_keys([found.keys[number] for number in found.absent], 'golden keys')}")
    if len(found.extra):
        names = [view.request_name(number) for number in found.extra[:_NAMED].tolist()]
        parts.append(
            f"{_counted(len(found.extra), 'requests')} not in the golden file: {_some(names, len(found.extra))}"
        )
    if len(found.repeated):
        names = [found.keys[number] for number in found.repeated[:_NAMED].tolist()]
        parts.append(f"several requests have the same key: {_some(names, len(found.repeated))}")
    if unnamed := int((~found.has_key).sum()):
        parts.append(f"{_counted(unnamed, 'requests')} without {view.key}")
    return "; ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun.removesuffix('s') if number == 1 else noun}"


def _keys(names: Sequence[str], noun: str) -> str:
    return f"{_counted(len(names), noun)} {_some(names, len(names))}"


def _some(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if count > _NAMED else "")
