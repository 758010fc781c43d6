"""Who is let in while many runs wait for a verdict: spans of runs that are known, and of none, but of no new ones.

So whoever names a new run with every request cannot use up the memory, and does not keep others from being served.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from spanverdict.app.associating import tags_of
from spanverdict.app.docket import Docket
from spanverdict.paths.naming import mentioned_runs, named_runs
from spanverdict.receiver.errors import Overloaded, RequestRefused, TooLarge
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.spantable import Int64s, SpanTable


class Admission:
    """Asks a docket how many runs wait, and tells it which are coming. For the one thread that takes in at a time."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket

    def sift(self, table: SpanTable, counts: Sequence[int]) -> tuple[SpanTable, Sequence[RequestRefused | None]]:
        """Return the spans that are let in, and for each request, of so many spans, why it is not; mostly None."""
        tags = tags_of(self._docket.config.flows)
        if not any(map(self._is_new, mentioned_runs(table, tags))):
            return table, [None] * len(counts)
        run, names = named_runs(table, tags)
        new = [place for place, name in enumerate(names) if self._is_new(name)]
        if not new:
            return table, [None] * len(counts)
        of_new = np.isin(run, new)
        refusals: list[RequestRefused | None] = []
        keep = np.ones(len(table), np.bool_)
        for start, end in pairwise(accumulate(counts, initial=0)):
            refusal = self._refusal(run[start:end][of_new[start:end]], names)
            refusals.append(refusal)
            keep[start:end] = refusal is None
        return (table if keep.all() else table.take(np.flatnonzero(keep))), refusals

    def withdraw(self, table: SpanTable) -> None:
        """Take note that spans which were let in do not come after all."""
        self._docket.coming.difference_update(named_runs(table, tags_of(self._docket.config.flows))[1])

    def _is_new(self, name: str) -> bool:
        return name not in self._docket.runs and name not in self._docket.coming

    def _refusal(self, runs: Int64s, names: Sequence[str]) -> RequestRefused | None:
        """Return why spans of these runs, which were new just now, cannot be let in; else note that they come."""
        docket, limit = self._docket, self._docket.config.max_open_runs
        new = [name for place in ascending(runs).tolist() if self._is_new(name := names[place])]
        if len(new) > limit // 2:
            return TooLarge(f"the request names {len(new)} new runs; one request may name {limit // 2}")
        if new and docket.open_runs + len(docket.coming) + len(new) > limit:
            return Overloaded(message=f"{docket.open_runs} runs wait for a verdict; send spans of new ones again later")
        docket.coming.update(new)
        return None
