"""The ages behind `freshness`, computed over all spans of a stage at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import numpy as np

from spanverdict.checks.bounds import CERTAIN, Bounds
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.clockdoubt import added
from spanverdict.checks.durations import to_ns
from spanverdict.checks.freshness import Freshness
from spanverdict.checks.missing import Missing, Reason
from spanverdict.checks.numbers import each_of, number, numbers_at
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.durations import format_duration
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import Int64s


def measure(freshness: Freshness, view: RunView) -> Measurement:
    """Give the age of the features at every span of the stage."""
    times = view.stage(freshness.stage)
    table = view.spans.table
    used = table.start_time_unix_nano if freshness.at == "start" else table.end_time_unix_nano
    moment = used[times.member]
    written_out = freshness.unit_name == "rfc3339"
    read = each_of(rfc3339_ns if written_out else number, min if freshness.is_time else max)
    lacking, kind = f"have no {freshness.field} at {freshness.stage}", "time" if written_out else "finite number"
    numbers, missing = numbers_at(freshness.field, times, view, lacking, (read, kind))
    stated = to_ns(numbers.values, "ns" if written_out else freshness.unit_name)
    ages = moment - stated if freshness.is_time else stated
    early, late = ages < -freshness.skew_ns, moment - ages < np.where(moment < _EARLIEST_NS, 1, _EARLIEST_NS)
    use = np.flatnonzero(numbers.valid & ~early & ~late)
    for wrong, reason in (
        (numbers.valid & early, _from_the_future),
        (numbers.valid & late, _too_old),
    ):
        missing = missing.also(Missing.of_members(times.request[wrong], times.member[wrong], reason(ages[wrong])))
    bounds = _bounds(freshness, ages[use], view)
    return Measurement(
        Unit.DURATION,
        ages[use] if bounds is None else bounds.nearest(),
        "spans",
        times.request[use],
        times.member[use],
        missing.also(view.without_stage(freshness.stage)),
        bounds=bounds,
    )


def _bounds(freshness: Freshness, ages: Int64s, view: RunView) -> Bounds | None:
    """Bound ages that two clocks measured by how far the author says these differ; nothing is younger than new."""
    skew = freshness.skew_ns
    if not (freshness.is_time and skew) or view.clock_trusted:
        return None
    say = f"the clock of who made the features may differ by {format_duration(skew)} (`skew`)"
    low, high = np.maximum(0, added(ages, np.int64(-skew))), np.maximum(0, added(ages, np.int64(skew)))
    return Bounds(low, high, ages, np.where(low < high, 0, CERTAIN), lambda _: say)


def _from_the_future(ages: Int64s) -> Reason:
    worst = format_duration(-int(ages.min(initial=0)))
    return Reason(f"use features from the future, by up to {worst}: clock skew or a wrong unit", impossible=True)


def _too_old(ages: Int64s) -> Reason:
    del ages
    return Reason("use features older than any clock could make them: a wrong unit?", impossible=True)


_EARLIEST_NS: Final = 315_532_800_000_000_000
"""The year 1980: what says that it was made before is in another unit than was written."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,18}))?(Z|z|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339_ns(value: Value) -> int | None:
    """Read a time written out as ns since the epoch, exactly; None when it is none.

    >>> rfc3339_ns("1970-01-01T00:00:01.000000001Z"), rfc3339_ns("1970-01-01T01:00:00+01:00"), rfc3339_ns("now")
    (1000000001, 0, None)
    """
    parts = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        return None
    zone = "+00:00" if parts[4] in "Zz" else parts[4]
    try:
        since = datetime.fromisoformat(f"{parts[1]}T{parts[2]}{zone}") - _EPOCH
    except (ValueError, OverflowError):
        return None
    seconds = since.days * 86_400 + since.seconds
    return seconds * 1_000_000_000 + int((parts[3] or "").ljust(9, "0")[:9])
