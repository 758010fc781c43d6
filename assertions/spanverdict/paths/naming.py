"""Which run each span names itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES, is_run_id
from spanverdict.telemetry.spantable import Int64s, SpanTable


def named_runs(table: SpanTable, tags: Sequence[str] = RUN_ID_ATTRIBUTES) -> tuple[Int64s, list[str]]:
    """Return for each span the position of the run that it names, -1 for none, and the names of runs.

    `tags` are the attributes that name runs, strongest first; one on the span counts before one on its resource, and
    that before one on its scope. What cannot name a run names none.
    """
    found = np.full(len(table), -1, np.int64)
    numbers: dict[str, int] = {}
    for read in (table.attribute, table.resource_attribute, table.scope_attribute):
        for tag in tags:
            column = read(tag)
            if column.values:
                known = [numbers.setdefault(str(v), len(numbers)) if is_run_id(v) else -1 for v in column.values]
                here = np.array([*known, -1], np.int64)[column.codes]
                found = np.where(found < 0, here, found)
    return found, [*numbers]
