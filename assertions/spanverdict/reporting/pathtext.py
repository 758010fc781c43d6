"""A request, and the path of a whole flow, as people read them in a terminal.

Every line is harmless to show: texts that came with the spans went through `shown`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from spanverdict.diagnostics.durations import format_duration
from spanverdict.evaluation.flowpath import EdgeUse, FlowPath, Spread, StageUse
from spanverdict.evaluation.outcomes import StageShare
from spanverdict.evaluation.requestpath import PathSpan, RequestPath
from spanverdict.paths.joins import Join
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted, share_text
from spanverdict.reporting.text import Line, Looks, Piece
from spanverdict.telemetry.vocabulary import SpanKind, StatusCode

DEEPEST: Final = 20
"""Spans farther down are not indented farther."""
_WIDEST: Final = 48
"""A longer indented name pushes what follows out of its column."""
_UNKNOWN: Final = "-"
_COLUMNS: Final = 10
"""How wide the columns of times are."""
_REASONS_SHOWN: Final = 8
_NAMES: Final = 2
"""Columns of a table that are names."""
_KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {int(kind): kind.name.lower() for kind in SpanKind if kind > SpanKind.INTERNAL}
)


def written(lines: Iterable[Line], look: Looks) -> str:
    """Write lines as text, in colour and wrapped only where the looks say so."""
    if look.colour or look.width is not None:
        from spanverdict.reporting.terminal import painted  # noqa: PLC0415 - rich is slow to import

        return painted(lines, colour=look.colour, width=look.width)
    return "".join(f"{line.plain}\n" for line in lines)


def request_lines(path: RequestPath, run: str, limit: int) -> Iterator[Line]:
    """Tell all about one request of a run: a line a span, those on the critical path marked with `*`.

    At most `limit` spans are listed, all for 0.
    """
    yield Line((Piece(f"request {shown(path.name)}", "strong"), Piece(_origin(path), "dim")))
    yield Line((Piece(_lasted(path)),), hang=2)
    yield Line((Piece(_size(path)),))
    if why := _in_run_by(path):
        yield Line((Piece(f"in run {shown(run, 128)} by {why}"),), hang=2)
    yield from _clock_lines(path.clocks, "times are as they were sent")
    if path.missing:
        names = ", ".join(shown(name, 80) for name in path.missing)
        yield Line((Piece(f"lacks {'stages' if len(path.missing) > 1 else 'stage'} {names}", "failed"),))
    yield Line()
    listed = path.spans[: limit or None]
    yield Line((Piece(_cells("", "START", "DURATION", "ON PATH") + "SPAN", "dim"),))
    width = min(_WIDEST, max((len(_indented(span)) for span in listed), default=0))
    for span in listed:
        yield from _span_lines(span, width)
    if len(listed) < len(path.spans):
        yield Line((Piece(f"{len(path.spans) - len(listed):,} more spans are not shown; --limit 0 shows all", "dim"),))


def _clock_lines(clocks: Sequence[str], times: str) -> Iterator[Line]:
    if clocks:
        yield Line((Piece(f"{'; '.join(shown(said, 300) for said in clocks)}; {times}", "warned"),), hang=2)


def _origin(path: RequestPath) -> str:
    trace = "" if path.name == path.trace_id else f"   trace {path.trace_id}"
    flow = f"   flow {shown(path.flow)}" if path.flow else ""
    return f"{flow}{trace}"


def _lasted(path: RequestPath) -> str:
    if path.duration is None:
        return "how long it lasted is not known: its first or last span has no usable times"
    spent = _spent(path.shares)
    return f"lasted {format_duration(path.duration)}{': ' if spent else ''}{spent}"


def _spent(shares: Sequence[StageShare]) -> str:
    return ", ".join(
        f"{shown(share.stage, 80)} {format_duration(share.duration_ns)} ({share_text(share.share)})" for share in shares
    )


def _size(path: RequestPath) -> str:
    traces = {span.trace_id for span in path.spans}
    services = {span.service for span in path.spans} - {""}
    return (
        f"{counted(len(path.spans), 'spans')}, {counted(len(traces), 'traces')}, {counted(len(services), 'services')}"
    )


def _in_run_by(path: RequestPath) -> str:
    """Say why the spans belong to the run, in the order in which they are listed."""
    counts = Counter(span.in_run_by for span in path.spans if span.in_run_by)
    said = [f"{shown(why, 200)} ({counted(number, 'spans')})" for why, number in counts.items()]
    more = len(said) - _REASONS_SHOWN
    return "; ".join([*said[:_REASONS_SHOWN], *([f"{more} more ways, with --json"] if more > 0 else [])])


def _cells(mark: str, *texts: str) -> str:
    return f"{mark:<2}{''.join(f'{text:>{_COLUMNS}}' for text in texts)}  "


def _span_lines(span: PathSpan, width: int) -> Iterator[Line]:
    indent = "  " * min(span.depth, DEEPEST)
    hang = len(_cells("", "", "", "")) + len(indent) + 2
    if span.wait:
        waited = format_duration(span.wait_on_path) if span.wait_on_path else ""
        cells = _cells("*" if waited else "", _offset(span.start - span.wait), format_duration(span.wait), waited)
        yield Line((Piece(f"{cells}{indent}(queue)", "" if waited else "dim"),))
    length = _UNKNOWN if span.duration is None else format_duration(span.duration)
    own = format_duration(span.own_time_on_path) if span.on_path else ""
    cells = _cells("*" if span.on_path else "", _offset(span.start), length, own)
    tone = "strong" if span.on_path else ""
    yield Line((Piece(cells + _indented(span).ljust(width), tone), Piece(f"  {_details(span)}", "dim")), hang)
    for defect in span.defects:
        yield Line((Piece(f"{_cells('!', '', '', '')}{indent}  {shown(defect)}", "warned"),), hang)


def _offset(nanoseconds: int) -> str:
    return "0" if nanoseconds == 0 else f"{'+' if nanoseconds > 0 else ''}{format_duration(nanoseconds)}"


def _indented(span: PathSpan) -> str:
    deep = f"({span.depth}) " if span.depth > DEEPEST else ""
    return f"{'  ' * min(span.depth, DEEPEST)}{deep}{shown(span.name, 60)}"


def _details(span: PathSpan) -> str:
    return "  ".join(filter(None, _facts(span)))


def _facts(span: PathSpan) -> Iterator[str]:
    yield shown(span.service, 60)
    yield _KINDS.get(span.kind, "")
    yield f"[{shown(span.stage, 80)}]" if span.stage else ""
    yield "error" if span.status == StatusCode.ERROR else ""
    yield f"attempt {span.attempt} of {span.attempts}" if span.attempts > 1 else ""
    yield shown(span.reason) if span.join is not Join.PARENT or span.reason != "parent" else ""
    yield f"in {span.requests:,} requests" if span.requests > 1 else ""


def flow_lines(path: FlowPath) -> Iterator[Line]:
    """Tell how all requests of a flow went: stages, ways between them, and what their time was spent on."""
    requests = counted(path.requests, "requests")
    of = f" of {path.expected:,} expected" if path.expected is not None else ""
    yield Line((Piece(f"flow {shown(path.flow)}", "strong"), Piece(f"   {requests}{of}")))
    if not path.requests:
        return
    if path.timed:
        yield Line((Piece(f"lasted p50 {_time(path.time.p50)}, p95 {_time(path.time.p95)}, {_longest(path)}"),))
        spent = ", ".join(f"{shown(share.stage, 80)} {share_text(share.share)}" for share in path.shares)
        yield Line((Piece(f"spent on {spent}"),), hang=2)
    yield from _clock_lines(path.clocks, "times that cannot be as sent are the nearest that can")
    yield Line()
    stages = [_row(path, (shown(use.stage, 60), ""), use, use.time, share_text(use.path_share)) for use in path.stages]
    yield from _table(("STAGE", "", "REQUESTS", "SHARE", "SPANS", "P50", "P95", "MAX", "ON PATH"), stages)
    if path.edges:
        yield Line()
        edges = [
            _row(path, (_way(edge), "queue" if edge.queued else "call"), edge, edge.time, "") for edge in path.edges
        ]
        yield from _table(("WAY", "BY", "REQUESTS", "SHARE", "SPANS", "P50", "P95", "MAX", ""), edges)


def _longest(path: FlowPath) -> str:
    rest = path.requests - path.timed
    without = f" ({counted(rest, 'requests')} without beginning or end)" if rest else ""
    return f"max {_time(path.time.most)}{without}"


def _way(edge: EdgeUse) -> str:
    return f"{shown(edge.source, 60)} > {shown(edge.target, 60)}"


def _row(path: FlowPath, names: tuple[str, str], use: StageUse | EdgeUse, time: Spread, last: str) -> Sequence[str]:
    share = share_text(use.requests / path.requests)
    times = (_time(value) for value in (time.p50, time.p95, time.most))
    return (*names, f"{use.requests:,}", share, f"{use.spans:,}", *times, last)


def _time(value: int | None) -> str:
    return _UNKNOWN if value is None else format_duration(value)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Line]:
    """Yield the rows of a table below its heading, names to the left and numbers to the right of their columns."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    for number, row in enumerate([heading, *rows]):
        cells = [
            cell.ljust(width) if place < _NAMES else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            if width
        ]
        yield Line((Piece("  ".join(cells), "dim" if number == 0 else ""),))
