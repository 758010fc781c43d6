"""Runs and their spans as the store keeps them, for the judge: what was left over, what is met again."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from spanverdict.app.decoding import Decoder
from spanverdict.app.docketconfig import KEEP_S
from spanverdict.app.liverun import LiveRun
from spanverdict.app.recollection import Recalled
from spanverdict.otlp.errors import Undecodable
from spanverdict.storage.journal import Journal
from spanverdict.storage.records import RunRecord, RunTouch
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable

KEEP_NS: Final = int(KEEP_S * 1e9)
SILENCE_NS: Final = 60_000_000_000
"""Batches so far apart may have come one right after the other, by a clock that was set meanwhile."""

_log = logging.getLogger(__name__)


class StoredRuns:
    """The docket's archive. Every method may raise `StoreError`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def recall(self, run_id: str) -> Recalled | None:
        """Return what the store knows of a run."""
        runs = self._store.runs
        record = runs.get(run_id)
        if record is None:
            return None
        last = runs.verdict(run_id)
        traces = tuple(bytes.fromhex(trace) for trace in runs.traces(run_id))
        return Recalled(record, last.revision if last is not None else 0, traces)

    def batches(self, first: int, last: int) -> Iterator[tuple[int, SpanTable]]:
        """Decode batches of the journal again; what cannot be read is logged and left out."""
        decoder = Decoder()
        for batch in self._store.journal.read(first, last):
            try:
                yield batch.id, decoder.decode(batch.payload).table
            except Undecodable as error:
                _log.error("batch %d of the journal cannot be decoded: %s", batch.id, error)

    def first_batch(self) -> int:
        """Return the oldest batch that is still there."""
        return self._store.journal.bounds().first

    def keep_verdict(self, run_id: str, through: int) -> None:
        """Note that the verdict on a run stays although batches up to `through` came."""
        self._store.runs.keep_verdict(run_id, through)

    def note(self, runs: Sequence[LiveRun]) -> None:
        """Write down which batches concern which runs, and which have to be judged again; so a restart finds them."""
        now = time.time_ns()
        self._store.runs.touch_many(
            [RunTouch(run.id, run.first_batch, run.last_batch, now, reopens=run.restated) for run in runs]
        )

    def left_over(self) -> tuple[tuple[RunRecord, ...], Iterator[tuple[int, SpanTable]]]:
        """Return the runs that late spans may be of although nothing names them, and the batches to take in again.

        Those are the runs that were not judged to the end and those that traces were declared for; their batches, and
        the recent ones, whose spans a run may still claim.
        """
        journal = self._store.journal
        since = _since(journal)
        records = (*self._store.runs.unfinished(), *self._store.runs.claiming(since))
        recent = journal.first_since(since)
        spans = [(record.first_batch, record.last_batch) for record in records if record.first_batch]
        ranges = merged([*spans, (recent, journal.bounds().last)])
        return records, (batch for first, last in ranges for batch in self.batches(first, last))


def _since(journal: Journal) -> int:
    """Return from when on what came is recent, in ns since the epoch.

    A silence before that may be a clock that was set forward, so what came just before the silence is recent as well.
    """
    since = min(time.time_ns(), journal.last_received) - KEEP_NS
    first = journal.first_since(since)
    before, after = journal.received(first - 1), journal.received(first)
    if before is None or (after is not None and after - before < SILENCE_NS):
        return since
    return min(since, before - KEEP_NS)


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges of whole numbers, ends included, in order and without what they have in common.

    >>> merged([(7, 9), (1, 3), (2, 5), (6, 6), (12, 11)])
    [(1, 9)]
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first <= last:
            found.append((first, last))
    return found
