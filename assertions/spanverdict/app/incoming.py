"""What was handed to the judge and waits: how much of it, for how long, and how much of it is taken at a time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from queue import Empty
from typing import Final

from spanverdict.app.arrivals import TOGETHER, Arrival, Batch
from spanverdict.app.docketconfig import KEEP_S
from spanverdict.app.inbox import Inbox
from spanverdict.telemetry.spantable import SpanTable

AT_ONCE: Final = 256
"""Batches that are taken in before it is looked whether a run is due."""
MAX_BACKLOG_BYTES: Final = 128 * 1024 * 1024
"""Columns that may wait to be taken in, some 900,000 spans."""
MAX_LAG_S: Final = KEEP_S / 2
"""For how long columns may wait, until no more are accepted: a restart takes in anew what came in the last `KEEP_S`."""


class Incoming:
    """Any thread puts, the judge's takes. Times are those of `clock`."""

    def __init__(self, clock: Callable[[], float], inbox: Inbox[Arrival] | None = None) -> None:
        self.clock = clock
        self.inbox = inbox or Inbox[Arrival]()
        self.rested_at = 0.0
        """When the next round may begin while batches come: it takes in more of them at a time."""
        self.backlog = 0
        """Bytes of columns that were handed over and are not yet taken in."""
        self._oldest = 0.0
        """When the first of the columns that wait came, or the last one before it."""
        self._counting = threading.Lock()

    def put(self, item: Arrival) -> None:
        """Hand over anything but spans; it ends any rest."""
        self.inbox.put(item)

    def put_spans(self, batches: Sequence[int], table: SpanTable) -> None:
        """Hand over the spans of committed batches, whose ids follow each other."""
        nbytes = table.nbytes
        self._count(nbytes)
        self.inbox.put(Batch(self.clock(), batches, table, nbytes), max(len(table), TOGETHER / AT_ONCE))

    def has_room(self) -> bool:
        """Tell whether more columns may be put now."""
        lags = self.backlog > 0 and self.clock() - self._oldest > MAX_LAG_S
        return self.backlog < MAX_BACKLOG_BYTES and not lags

    def take(self, due: float | None) -> tuple[list[Arrival], bool]:
        """Wait for items until then, and return them and whether there are no more for now."""
        items: list[Arrival] = []
        try:
            items.append(self.inbox.get(timeout=None if due is None else max(0.0, due - self.clock())))
            pause = min(self.rested_at, math.inf if due is None else due) - self.clock()
            if pause > 0 and isinstance(items[0], Batch):
                self.inbox.rest(pause, TOGETHER)
            while len(items) < AT_ONCE:
                items.append(self.inbox.get_nowait())
        except Empty:
            return items, True
        return items, False

    def taken_in(self, batch: Batch) -> None:
        """Take note that spans do not wait any more."""
        self._count(-batch.nbytes)
        self._oldest = max(self._oldest, batch.at)

    def _count(self, nbytes: int) -> None:
        with self._counting:
            if not self.backlog:
                self._oldest = self.clock()
            self.backlog += nbytes
