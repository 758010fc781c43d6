"""A span may say that its run has ended: the one of a test suite that has come to its end."""

from __future__ import annotations

from typing import Final

import numpy as np

from spanverdict.telemetry.spantable import Bools, SpanTable

STATUS: Final = "test.suite.run.status"
"""OpenTelemetry's attribute of the span of a test suite."""
ENDED: Final = frozenset({"success", "failure", "skipped", "aborted", "timed_out"})
"""Its values but `in_progress`."""


def end_spans(table: SpanTable) -> Bools:
    """Tell which spans say that their run has ended, (n_spans,); they have ended themselves."""
    column = table.attribute(STATUS)
    if not column.values:
        return np.zeros(len(table), np.bool_)
    said = np.array([*(value in ENDED if isinstance(value, str) else False for value in column.values), False])
    return np.asarray(said[column.codes] & (table.end_time_unix_nano > 0), np.bool_)
