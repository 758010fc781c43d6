"""Which values a rule judges: `where` chooses requests, `per` parts the values into groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spanverdict.checks.check import Measurement
from spanverdict.checks.runview import RunView
from spanverdict.checks.valueof import ValueOf
from spanverdict.selectors import Selector
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Rows

MAX_GROUPS: Final = 100
"""Groups of `per` that are judged one by one; the largest come first."""
NO_GROUP: Final = "(none)"
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
    wanted = np.append(requests_with(where, view), False)
    values = wanted[measurement.request]
    if measurement.keep is not None:
        values |= measurement.keep
    return subset(measurement, values, wanted[measurement.missing.request])


def requests_with(where: Selector, view: RunView) -> Bools:
    """Tell which requests contain a match."""
    wanted = np.zeros(view.n_requests, np.bool_)
    wanted[view.request[where.mask(view.spans) & (view.request >= 0)]] = True
    return wanted


def subset(measurement: Measurement, values: Bools, missing: Bools) -> Measurement:
    """Keep the marked values and the marked missing."""
    kept = np.flatnonzero(values)
    old, explain = measurement.values, measurement.explain
    subject, badness = measurement.subject, measurement.badness
    return replace(
        measurement,
        values=AttributeColumn(old.codes[kept], old.values) if isinstance(old, AttributeColumn) else old[kept],
        request=measurement.request[kept],
        row=measurement.row[kept],
        missing=measurement.missing.part(missing),
        suspect=_kept(measurement.suspect, kept),
        over=_kept(measurement.over, kept),
        bounds=None if measurement.bounds is None else measurement.bounds.part(kept),
        explain=None if explain is None else lambda number: explain(int(kept[number])),
        keep=_kept(measurement.keep, kept),
        subject=None if subject is None else lambda number: subject(int(kept[number])),
        badness=None if badness is None else lambda rows: badness(kept[rows]),
    )


def _kept(marks: Bools | None, rows: Rows) -> Bools | None:
    return None if marks is None else marks[rows]


def groups(measurement: Measurement, per: ValueOf, view: RunView) -> tuple[list[Group], list[str]]:
    """Return the groups, the `MAX_GROUPS` largest, by name; and the names of the rest.

    A value belongs to the group that its own span names, else to that of its request.
    """
    column = view.column(per)
    names, number_of_code = _names(column)
    of_request = np.append(view.codes_of_requests(column), -1)
    missing = measurement.missing
    values = number_of_code[_codes(column, measurement.row, of_request[measurement.request])]
    lacking = number_of_code[_codes(column, missing.row, of_request[missing.request])]
    sizes = np.bincount(values, minlength=len(names)) + np.bincount(lacking, minlength=len(names))
    present = [number for number in np.lexsort((np.arange(len(names)), -sizes)).tolist() if sizes[number]]
    parts = [
        Group(names[number], subset(measurement, values == number, lacking == number))
        for number in sorted(present[:MAX_GROUPS])
    ]
    return parts, [names[number] for number in sorted(present[MAX_GROUPS:])]


def _names(column: AttributeColumn) -> tuple[list[str], Int64s]:
    """Return the names of groups, sorted, and the position of each code's name; of code -1 it is the last entry."""
    texts = [*(_text(value) for value in column.values), NO_GROUP]
    names = sorted(set(texts))
    place = {name: number for number, name in enumerate(names)}
    return names, np.array([place[text] for text in texts], np.int64)


def _codes(column: AttributeColumn, row: Rows, of_request: Int64s) -> Int64s:
    """Return the code of each subject: its own span's, else its request's."""
    own = np.append(column.codes, -1)[row]
    return np.where(own >= 0, own, of_request)


def _text(value: object) -> str:
    if value is None:
        return NO_GROUP
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
