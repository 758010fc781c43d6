"""Judging OTLP files: no server, the file is all there is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from spanverdict.app.associating import defects_of, tags_of
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.pages import take_small_pages
from spanverdict.evaluation.engine import CAP, evaluate
from spanverdict.evaluation.outcomes import Event, RunInfo
from spanverdict.evaluation.past import NOTHING_BEFORE, Past
from spanverdict.evaluation.preparing import prepare
from spanverdict.masking.masker import Masker
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.decode import Decoded, decode, new_pool
from spanverdict.otlp.errors import Undecodable, UnreadableFile
from spanverdict.otlp.files import read_file
from spanverdict.otlp.limiting import AttributeLimits, Cuts, Known, cut, exceeds
from spanverdict.paths.association import Association, associate
from spanverdict.paths.membership import Membership, membership_of, whole_input
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import Rows, SpanTable

UNNAMED_RUN = "input"
"""Names the run of files in which no span names one."""


def read_spans(
    paths: Sequence[str], masking: MaskingRules | None = None, limits: AttributeLimits | None = None
) -> SpanTable:
    """Read all spans of OTLP files into one table, without what is masked: what is plainly secret if nobody says.

    Attributes over `limits`, or over the default ones, are cut.

    Raises:
        CommandError: a file cannot be read; it says which and where.
    """
    take_small_pages()
    reader, masker = _Reader(limits or AttributeLimits()), Masker(masking or MaskingRules())
    tables = [SpanTable.empty(reader.pool)]
    for path in paths:
        payloads = read_file(path)
        rejected: dict[str, int] = {}
        try:
            for payload in payloads:
                decoded = reader.decoded(masker.masked(payload))
                tables.append(decoded.table)
                for problem in decoded.problems:
                    rejected[problem] = rejected.get(problem, 0) + 1
        except (UnreadableFile, Undecodable) as error:
            text = str(error) if isinstance(error, UnreadableFile) else f"{path}: {error}"
            raise CommandError(text) from None
        _warn(path, rejected, payloads.skipped, reader.told())
    return concat(tables)


class _Reader:
    """Decodes payloads into one pool. Once something had to be cut all of them are looked at before."""

    def __init__(self, limits: AttributeLimits) -> None:
        self.pool = new_pool()
        self._limits = limits
        self._wary = False
        self._cuts = Cuts()

    def decoded(self, payload: bytes) -> Decoded:
        """Decode a payload within the limits; raises `Undecodable`."""
        if not self._wary:
            known = Known.of(self.pool)
            decoded = decode(payload, self.pool)
            self._wary = exceeds(decoded.table, len(payload), known, self._limits)
            if not self._wary:
                return decoded
        payload, cuts = cut(payload, self._limits)
        self._cuts += cuts
        return decode(payload, self.pool)

    def told(self) -> Cuts:
        """Return what was cut since this was asked the last time."""
        cuts, self._cuts = self._cuts, Cuts()
        return cuts


def _warn(path: str, rejected: dict[str, int], skipped: int, cuts: Cuts) -> None:
    if cuts:
        print(f"spanverdict: {path}: {cuts}", file=sys.stderr)  # noqa: T201 - a warning
    for problem in rejected:
        print(f"spanverdict: {path}: spans were rejected: {problem}", file=sys.stderr)  # noqa: T201 - a warning
    if skipped:
        print(f"spanverdict: {path}: {skipped} documents of other signals were skipped", file=sys.stderr)  # noqa: T201 - as above


def choose_run(table: SpanTable, flows: Sequence[Flow], run: str | None) -> tuple[str, SpanTable, Membership]:
    """Return the run that files hold, its spans, and why they are its own.

    Files without run ids are one run, as are files with one; of several runs one has to be named.

    Raises:
        CommandError: which run is meant is not clear, or it is not there.
    """
    return chosen(table, associated(table, flows), run)


def associated(table: SpanTable, flows: Sequence[Flow]) -> Association:
    """Find out which runs the spans of a table belong to."""
    spans = Spans.of(table)
    keys = [field.column(spans) for flow in flows for field in flow.request.correlate]
    return associate(table, keys=keys, tags=tags_of(flows))


def chosen(table: SpanTable, found: Association, run: str | None) -> tuple[str, SpanTable, Membership]:
    """Return the named run and its spans, or those of the only one there is, and why; raises `CommandError`."""
    if run is not None:
        return run, table.take(_rows(found, run, len(table))), membership_of(run, found)
    if len(found.runs) > 1:
        raise CommandError(f"the input holds {len(found.runs)} runs: {_some(found.runs)}; choose one with --run")
    only = found.runs[0] if found.runs else UNNAMED_RUN
    return only, table, whole_input(only, found, len(table))


def _rows(found: Association, run: str, n_rows: int) -> Rows:
    rows = found.rows_of(run)
    if not len(rows) and n_rows:
        raise CommandError(
            f"the input holds no span of run {run}; it holds {_some(found.runs) or 'no run id'}", ExitCode.NO_VERDICT
        )
    return rows


def _some(runs: Sequence[str]) -> str:
    return ", ".join(runs[:5]) + (" …" if len(runs) > 5 else "")  # noqa: PLR2004 - a line's worth


def judge_table(
    flows: Sequence[Flow],
    everything: SpanTable,
    run: str | None,
    expected: int | None,
    *,
    complete: bool = True,
    keep_samples: bool = False,
    past: Past = NOTHING_BEFORE,
) -> Iterator[Event]:
    """Judge the run that a table holds, or of several runs the one that is named.

    A run that is not `complete` is judged as one that was given up on; `past` is what came before it.

    Raises:
        CommandError: which run is meant is not clear, or it is not there.
    """
    found = associated(everything, flows)
    run_id, spans, membership = chosen(everything, found, run)
    info, trigger = RunInfo(run_id, expected_requests=expected), "input" if complete else CAP
    ready = prepare(spans, membership)
    defects = defects_of(found)
    yield from evaluate(flows, ready, info, trigger=trigger, defects=defects, past=past, keep_samples=keep_samples)
