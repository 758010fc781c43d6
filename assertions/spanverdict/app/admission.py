"""Who is let in while many runs wait for a verdict: spans of runs that are known, and of none, but of no new ones.

So whoever names a new run with every request cannot use up the memory, and does not keep others from being served.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from spanverdict.app.associating import tags_of
from spanverdict.app.decoding import POOL_BYTES, RECENT_ATTRIBUTES, TRACE_LIMIT
from spanverdict.app.docket import Docket
from spanverdict.app.misnamed import Misnamed
from spanverdict.otlp.decode import new_pool
from spanverdict.paths.naming import NamedInPool, mentioned_runs, named_runs
from spanverdict.receiver.errors import Overloaded, RequestRefused, TooLarge
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Int32s, SpanTable

_FEW_RUNS: Final = 64
"""Of a pool that names more runs, each table is looked at."""
WARY_S: Final = 60.0
"""So long after something was refused, spans that are let in leave the pool that they were decoded into."""


class Admission:
    """Asks a docket how many runs wait, and tells it which are coming. For the one thread that takes in at a time."""

    def __init__(self, docket: Docket, clock: Callable[[], float] = time.monotonic) -> None:
        self._docket = docket
        self._clock = clock
        self._wary_until = clock()
        self._pool = new_pool(RECENT_ATTRIBUTES)
        """Holds what was let in while others were refused."""
        self.misnamed = Misnamed()
        self._moving = threading.Lock()
        self._named: NamedInPool | None = None
        """What the pool of the last spans names."""

    def sift(self, table: SpanTable, counts: Sequence[int]) -> tuple[SpanTable, Sequence[RequestRefused | None]]:
        """Return the spans that are let in, and for each request, of so many spans, why it is not; mostly None."""
        kept, refusals = self._sifted(table, counts)
        now = self._clock()
        if any(refusals):
            self._wary_until = now + WARY_S
        return (self._moved(kept) if now < self._wary_until else kept), refusals

    def _moved(self, table: SpanTable) -> SpanTable:
        """Move spans out of a pool that is full of what was refused: for a few of them all of it would be kept."""
        with self._moving:
            pool = self._pool
            if len(pool.traces) > TRACE_LIMIT or pool.weigh() > POOL_BYTES:
                pool = self._pool = new_pool(RECENT_ATTRIBUTES)
            moved = table.into(pool)
            pool.weigh()
            return moved

    def _sifted(self, table: SpanTable, counts: Sequence[int]) -> tuple[SpanTable, Sequence[RequestRefused | None]]:
        tags = tags_of(self._docket.config.flows)
        if self._nothing_is_new_in(table.pool, tags):
            return table, [None] * len(counts)
        mentioned, wrong = mentioned_runs(table, tags)
        if wrong:
            self.misnamed.met(wrong)
        if not any(map(self._is_new, mentioned)):
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

    def _nothing_is_new_in(self, pool: Pool, tags: Sequence[str]) -> bool:
        """Tell that a pool names known runs and nothing else, as nearly all do; without a look at any span."""
        named = self._named
        if named is None or not named.is_of(pool, tags):
            named = self._named = NamedInPool(pool, tags)
        if len(named.runs) <= _FEW_RUNS:
            named.refresh()
        return len(named.runs) <= _FEW_RUNS and not named.wrong and not any(map(self._is_new, named.runs))

    def withdraw(self, table: SpanTable) -> None:
        """Take note that spans which were let in do not come after all."""
        self._docket.coming.difference_update(named_runs(table, tags_of(self._docket.config.flows))[1])

    def _is_new(self, name: str) -> bool:
        return name not in self._docket.runs and name not in self._docket.coming

    def _refusal(self, runs: Int32s, names: Sequence[str]) -> RequestRefused | None:
        """Return why spans of these runs, which were new just now, cannot be let in; else note that they come."""
        docket, limit = self._docket, self._docket.config.max_open_runs
        new = [name for place in ascending(runs).tolist() if self._is_new(name := names[place])]
        if len(new) > limit // 2:
            return TooLarge(f"the request names {len(new)} new runs; one request may name {limit // 2}")
        if new and docket.open_runs + len(docket.coming) + len(new) > limit:
            return Overloaded(message=f"{docket.open_runs} runs wait for a verdict; send spans of new ones again later")
        docket.coming.update(new)
        return None
