"""Where commands find the spans they look at: OTLP files, or a run in a store."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from spanverdict.app.associating import defects_of, tags_of
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.offline import choose_run, read_spans
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.otlp.decode import decode_all, new_pool
from spanverdict.paths.association import Association, associate
from spanverdict.paths.defects import Defect
from spanverdict.paths.membership import Membership, membership_of
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors.columns import Spans
from spanverdict.storage.errors import StoreError
from spanverdict.storage.journal import Journal
from spanverdict.storage.records import RunRecord
from spanverdict.storage.runs import RunStore
from spanverdict.storage.store import Store
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import AttributeColumn, SpanTable

DEFAULT_STORE: Final = "spanverdict.sqlite"
"""Where `serve` keeps what it receives when nobody says where."""

_AT_ONCE: Final = 64
"""Batches of the journal that are decoded together."""


@dataclass(frozen=True, slots=True, eq=False)
class RunSpans:
    """The spans of one run, resends included, and what is known of it."""

    run: RunInfo
    table: SpanTable
    defects: tuple[Defect, ...] = ()
    """What was met on the way here."""
    membership: Membership | None = None
    """Why they are the run's."""
    deleted_batches: int = 0
    """Batches in which it came that are gone."""
    damaged_batches: int = 0
    """Those that may have had spans of it and cannot be read."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a command was told: files, or a store and a run in it."""

    inputs: tuple[str, ...]
    run: str | None
    store: Path

    @classmethod
    def told(cls, inputs: Sequence[str], run: str | None, store: Path | None, environ: Mapping[str, str]) -> Source:
        """Check what was told, which is either files or a run; the store is where `serve` keeps it.

        Raises:
            CommandError: it is both or neither.
        """
        if inputs and store is not None:
            raise CommandError("give --input FILE or --store PATH, not both")
        if not inputs and run is None:
            raise CommandError("give --input FILE, or --run ID of a run in a store")
        return cls(tuple(inputs), run, store_path(store, environ))

    def of_run(self, flows: Sequence[Flow]) -> RunSpans:
        """Return the spans of the run as `flows` see it; raises `CommandError`."""
        if self.inputs:
            return spans_of_input(self.inputs, self.run, flows)
        return spans_of_store(self.store, self.run or "", flows)

    def everything(self) -> SpanTable:
        """Return the spans of the run, of files without a run all that they hold; raises `CommandError`."""
        return read_spans(self.inputs) if self.inputs and self.run is None else self.of_run(()).table


def store_path(told: Path | None, environ: Mapping[str, str]) -> Path:
    """Return where the store is: where the user says, else where the environment does, else where `serve` keeps it."""
    return told or Path(environ.get("SPANVERDICT_STORE") or DEFAULT_STORE)


def spans_of_input(paths: Sequence[str], run: str | None, flows: Sequence[Flow]) -> RunSpans:
    """Return the spans of a run that OTLP files hold; of several runs one has to be named.

    Raises:
        CommandError: a file cannot be read, or which run is meant is not clear, or it is not there.
    """
    name, table, membership = choose_run(read_spans(paths), flows, run)
    return RunSpans(RunInfo(name), table, membership=membership)


def spans_of_store(path: Path, run: str, flows: Sequence[Flow]) -> RunSpans:
    """Return the spans of a run that a store holds, also while a server writes it; empty when none came.

    Raises:
        CommandError: the store cannot be read or does not know the run.
    """
    try:
        with Store.read_only(path) as store:
            record = store.runs.get(run)
            if record is None:
                raise _unknown(run, path, store.runs)
            verdict = store.runs.verdict(run)
            info = RunInfo(run, record.labels, record.expected_requests, verdict.revision if verdict else 1)
            traces = store.runs.traces(run)
            table = _journaled(store.journal, record)
            deleted = _deleted(store.journal, record)
            damaged = _damaged(store.journal, record)
    except StoreError as error:
        raise CommandError(str(error), ExitCode.INTERNAL) from None
    found = _associated(table, record, traces, flows)
    rows = found.rows_of(record.id)
    spans = table if len(rows) == len(table) else table.take(rows)
    return RunSpans(info, spans, defects_of(found), membership_of(run, found), deleted, damaged)


def _unknown(run: str, path: Path, runs: RunStore) -> CommandError:
    page = runs.list(5)
    latest = ", ".join(known.id for known in page.runs) + (" …" if page.next else "")
    held = f"the latest are {latest}" if latest else "it holds none"
    return CommandError(f"{path} knows no run {run}; {held}", ExitCode.NO_VERDICT)


def _journaled(journal: Journal, record: RunRecord) -> SpanTable:
    """Read the batches among which those of a run are, whatever else they hold."""
    pool = new_pool()
    tables = [SpanTable.empty(pool)]
    if record.first_batch:
        _warn_of_deleted(journal, record)
        # What a verdict has seen may not have been noted of its run yet.
        batches = journal.read(record.first_batch, max(record.last_batch, record.judged_through))
        while some := list(islice(batches, _AT_ONCE)):
            table, tallies = decode_all([batch.payload for batch in some], pool)
            tables.append(table)
            for batch, tally in zip(some, tallies, strict=True):
                if tally.undecodable:
                    _warn(f"batch {batch.id} cannot be decoded and is left out: {tally.undecodable}")
    return concat(tables)


def _associated(table: SpanTable, record: RunRecord, traces: Sequence[str], flows: Sequence[Flow]) -> Association:
    keys = list(_keys(table, flows))
    registered = {bytes.fromhex(trace): (record.id,) for trace in traces}
    window = record.id if record.takes_untagged else None
    return associate(table, keys=keys, registered=registered or None, window=window, tags=tags_of(flows))


def _keys(table: SpanTable, flows: Sequence[Flow]) -> Iterator[AttributeColumn]:
    spans = Spans.of(table)
    for flow in flows:
        for field in flow.request.correlate:
            yield field.column(spans)


def _deleted(journal: Journal, record: RunRecord) -> int:
    """Return how many of the batches in which a run came retention has deleted."""
    if not record.first_batch:
        return 0
    return max(0, min(journal.bounds().first, record.last_batch + 1) - record.first_batch)


def _damaged(journal: Journal, record: RunRecord) -> int:
    """Return how many of the batches that were read for a run are damaged."""
    if journal.damaged:
        _warn(f"{len(journal.damaged)} of the batches in which run {record.id} came are damaged; spans are missing")
    return len(journal.damaged)


def _warn_of_deleted(journal: Journal, record: RunRecord) -> None:
    gone = _deleted(journal, record)
    if gone:
        _warn(f"{gone} of the batches in which run {record.id} came were deleted; spans are missing")


def _warn(message: str) -> None:
    print(f"spanverdict: {message}", file=sys.stderr)  # noqa: T201 - a warning
