"""A baseline inside the run: requests that contain a match are what the others are compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spanverdict.checks.check import Measurement
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.baselines import Baseline, definition_of
from spanverdict.evaluation.baselinesample import BaselineSample, live_sample
from spanverdict.evaluation.outcomes import BaselineOrigin
from spanverdict.evaluation.population import Group, groups, subset
from spanverdict.evaluation.weighing import sample_of
from spanverdict.rulefiles.models import Rule
from spanverdict.selectors import Selector
from spanverdict.telemetry.spantable import Bools


def split(rule: Rule, where: Selector, measurement: Measurement, view: RunView) -> tuple[Measurement, Baseline]:
    """Part a measurement into what is judged and what it is compared with.

    A request that never arrived might have been either: it is missing in both, and where it counts as false it is
    judged. A span of no request is in neither.
    """
    of_baseline = _containing(where, view)
    missing = measurement.missing
    unborn = (measurement.request < 0) & (measurement.row < 0), (missing.request < 0) & (missing.row < 0)
    here, lacking = (np.append(of_baseline, False)[subjects.request] for subjects in (measurement, missing))
    others = subset(measurement, here, lacking | unborn[1])
    here, lacking = (np.append(~of_baseline, False)[subjects.request] for subjects in (measurement, missing))
    judged = subset(measurement, here | unborn[0], lacking | unborn[1])
    samples = {(rule.id, group.name): sample for group, sample in _samples(rule, others, view)}
    nothing = "" if of_baseline.any() else f"no request contains {where}, which the baseline is made of"
    return judged, Baseline(origin_of(where, nothing), samples, inside=True)


def origin_of(where: Selector, missing: str = "") -> BaselineOrigin:
    """Return what names a baseline inside the run."""
    return BaselineOrigin(str(where), missing=missing)


def _containing(where: Selector, view: RunView) -> Bools:
    """Tell of each request whether it contains a match."""
    found = np.zeros(view.n_requests, np.bool_)
    found[view.request[where.mask(view.spans) & (view.request >= 0)]] = True
    return found


def _samples(rule: Rule, measurement: Measurement, view: RunView) -> Iterator[tuple[Group, BaselineSample]]:
    parts = [Group(None, measurement)] if rule.per is None else groups(measurement, rule.per, view)[0]
    for group in parts:
        if group.measurement.samples:
            sample, _ = sample_of(group.measurement, view)
            yield group, live_sample(sample, definition_of(rule))
