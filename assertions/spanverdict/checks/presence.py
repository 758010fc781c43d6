"""The truths behind `coverage`: which requests have all that they should."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.coverage import Coverage
from spanverdict.checks.missing import Missing
from spanverdict.checks.runview import NEVER_ARRIVED, RunView
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.leftout import left_out
from spanverdict.telemetry.spantable import Bools, Rows


def measure(coverage: Coverage, view: RunView) -> Measurement:
    """Give one truth a request, false for every expected request that never arrived."""
    lacks = list(_lacks(coverage, view))
    truth = np.ones(view.n_requests, np.bool_)
    for _, lacking in lacks:
        truth &= ~lacking
    absent = np.full(view.never_arrived, -1, np.intp)
    request = np.concatenate([np.arange(view.n_requests, dtype=np.intp), absent])
    row = np.concatenate([view.first_member, absent])

    def explain(number: int) -> str:
        if number >= view.n_requests:
            return NEVER_ARRIVED
        return ", ".join(what for what, lacking in lacks if lacking[number])

    return Measurement(
        Unit.TRUTH,
        np.concatenate([truth, np.zeros(view.never_arrived, np.bool_)]),
        "requests",
        request,
        row,
        Missing.none(),
        remark=lambda requests: _summary(lacks, requests, view),
        explain=explain,
    )


def _lacks(coverage: Coverage, view: RunView) -> Iterator[tuple[str, Bools]]:
    """Yield what may be lacking, in words, and which requests lack it."""
    for name in coverage.stages:
        yield from _stage_lacks(name, view)
    stages = coverage.stages or tuple(view.stages)
    for wanted in coverage.attributes:
        absent = ~wanted.carried(view.spans)
        for name in stages:
            members = view.stage(name).member
            yield f"missing: {wanted} at {name}", _requests_of(members[absent[members]], view)
    for service in coverage.services:
        yield f"missing: service {service}", ~_requests_of(_members_of_service(service, view), view)
    if coverage.no_orphans:
        orphans = np.flatnonzero(view.members.parents.orphan & (view.request >= 0))
        yield "a parent span is missing", _requests_of(orphans, view)


def _stage_lacks(name: str, view: RunView) -> Iterator[tuple[str, Bools]]:
    spec, count = view.stages[name], view.stage(name).count
    yield f"missing: {name}", (count == 0) & (spec.minimum > 0)
    if spec.minimum > 1:
        yield f"too few: {name}", (count > 0) & (count < spec.minimum)
    if spec.maximum is not None:
        yield f"too many: {name}", count > spec.maximum


def _members_of_service(service: str, view: RunView) -> Rows:
    column = view.spans.table.resource_attribute("service.name")
    wanted = np.array([value == service for value in column.values] + [False], np.bool_)
    return np.flatnonzero(wanted[column.codes] & (view.request >= 0))


def _requests_of(members: Rows, view: RunView) -> Bools:
    found = np.zeros(view.n_requests, np.bool_)
    found[view.request[members]] = True
    return found


def _summary(lacks: list[tuple[str, Bools]], requests: Rows, view: RunView) -> str:
    """Say how many of the requests lack what, and what their spans say was cut."""
    here = requests[requests >= 0]
    counted = [(what, int(lacking[here].sum())) for what, lacking in lacks]
    parts = [f"{what} in {count}" for what, count in counted if count]
    if never := len(requests) - len(here):
        parts.append(f"{never} of {view.expected} never arrived")
    chosen = np.zeros(view.n_requests + 1, np.bool_)
    chosen[here] = True
    table = view.spans.table
    whose = {"attributes": left_out(table), "events": table.dropped_events > 0, "links": table.dropped_links > 0}
    for what, lost in whose.items():
        cut = lost & chosen[view.request]
        if cut.any():
            parts.append(f"{len(ascending(view.row[cut]))} spans lost {what} before they were sent")
    return "; ".join(parts)
