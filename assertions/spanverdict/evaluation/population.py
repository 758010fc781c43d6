"""Which values a rule judges: `where` chooses requests, `per` parts the values into groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spanverdict.checks.check import Measurement
from spanverdict.checks.runview import RunView
from spanverdict.selectors import Field, Selector
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Rows

MAX_GROUPS = 100
"""Groups of `per` that are judged one by one; the largest come first."""
NO_GROUP = "(none)"
"""The group of what has no value to group by."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The part of a measurement that has one value of `per`."""

    name: str | None
    """None for a rule without `per`."""
    measurement: Measurement


def of_requests(measurement: Measurement, where: Selector, view: RunView) -> Measurement:
    """Keep what belongs to requests that contain a match of `where`.

    What never arrived cannot be said to match and is left to the rules about all requests.
    """
    chosen = where.mask(view.spans) & (view.request >= 0)
    wanted = np.zeros(view.n_requests + 1, np.bool_)
    wanted[view.request[chosen]] = True
    return subset(measurement, wanted[measurement.request], wanted[measurement.missing_request])


def subset(measurement: Measurement, values: Bools, missing: Bools) -> Measurement:
    """Keep the marked values and the marked missing."""
    kept = np.flatnonzero(values)
    old = measurement.values
    new = AttributeColumn(old.codes[kept], old.values) if isinstance(old, AttributeColumn) else old[kept]
    explain = measurement.explain
    return replace(
        measurement,
        values=new,
        request=measurement.request[kept],
        row=measurement.row[kept],
        missing_request=measurement.missing_request[missing],
        explain=None if explain is None else lambda number: explain(int(kept[number])),
    )


def groups(measurement: Measurement, per: Field, view: RunView) -> tuple[list[Group], list[str]]:
    """Return the groups, largest first up to `MAX_GROUPS`, by name; and the names of the rest.

    A value belongs to the group that its own span names, else the first span of its request.
    """
    column = view.column(per)
    texts = np.array([*(_text(value) for value in column.values), NO_GROUP], object)
    names, numbers = np.unique(texts.astype(str), return_inverse=True)
    of_request = np.append(view.codes_of_requests(column), -1)
    own = np.where(measurement.row >= 0, column.codes[measurement.row], -1) if len(column.codes) else measurement.row
    code = np.where(own >= 0, own, of_request[measurement.request])
    values, missing = numbers[code], numbers[of_request[measurement.missing_request]]
    sizes = np.bincount(values, minlength=len(names)) + np.bincount(missing, minlength=len(names))
    present = [number for number in np.lexsort((np.arange(len(names)), -sizes)).tolist() if sizes[number]]
    judged = sorted(present[:MAX_GROUPS])
    rest = [str(names[number]) for number in sorted(present[MAX_GROUPS:])]
    return list(_parts(measurement, judged, names.tolist(), (values, missing))), rest


def _parts(
    measurement: Measurement, judged: list[int], names: list[str], numbers: tuple[Int64s, Rows]
) -> Iterator[Group]:
    values, missing = numbers
    for number in judged:
        yield Group(names[number], subset(measurement, values == number, missing == number))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
