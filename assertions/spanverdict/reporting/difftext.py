"""What differs between two runs, as people read it and as JSON.

Every line is harmless to show: texts that came with the spans went through `shown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from spanverdict.diagnostics.durations import format_duration
from spanverdict.evaluation.rundiff import (
    AttributeChange,
    OutputChange,
    Presence,
    Reordered,
    RunDiff,
    ShareChange,
    TimeChange,
)
from spanverdict.reporting.escaping import shown, strict_json
from spanverdict.reporting.quantities import counted
from spanverdict.reporting.text import Line, Piece

SCHEMA_VERSION: Final = 1
LISTED: Final = 30
"""Attribute changes that are listed; more are counted."""
_VALUES: Final = 5
_OUTPUTS: Final = 5
_NOUNS: Final = {
    "stages": "stages",
    "order": "changes of order",
    "ways": "ways",
    "latency": "latencies",
    "coverage": "coverages",
    "errors": "error shares",
    "outputs": "outputs",
    "attributes": "attributes",
}


def diff_json(diff: RunDiff, names: tuple[str, str], level: float) -> str:
    """Write a comparison as one JSON document. Times are ns, shares are counts and what they are of."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "before": names[0],
        "after": names[1],
        "confidence": level,
        "differences": diff.counts,
        **asdict(diff),
    }
    return f"{strict_json(document, indent=2)}\n"


def diff_lines(diff: RunDiff, names: tuple[str, str], level: float) -> Iterator[Line]:
    """Tell what differs, kind by kind, and in the last line how much."""
    for word, name, requests, spans in zip(("before", "after"), names, diff.requests, diff.spans, strict=True):
        size = f"{counted(requests, 'requests')}, {counted(spans, 'spans')}"
        yield Line((Piece(f"{word:<8}", "dim"), Piece(shown(name, 200), "strong"), Piece(f"   {size}")))
    sections = (
        ("stages", [*_presences(diff.new_stages, diff.missing_stages), *map(_order, diff.reordered)]),
        ("ways", list(_presences(diff.new_ways, diff.missing_ways))),
        ("latency", list(_times(diff.times, level))),
        ("coverage", [_share(change) for change in diff.shares if change.what == "coverage" and change.differs]),
        ("errors", [_share(change) for change in diff.shares if change.what == "errors" and change.differs]),
        ("outputs", [line for change in diff.outputs for line in _output(change)]),
        ("attributes", list(_attributes(diff.attributes))),
    )
    for title, lines in sections:
        if lines:
            yield Line()
            yield Line((Piece(title, "dim"),))
            yield from (Line((Piece(f"  {text}", tone),), 4) for text, tone in lines)
    yield Line()
    yield _closing(diff)


def _presences(new: Sequence[Presence], missing: Sequence[Presence]) -> Iterator[tuple[str, str]]:
    for one in new:
        yield f"new      {shown(one.name, 120)}   in {one.requests:,} of {counted(one.of, 'requests')}", "failed"
    for one in missing:
        yield f"missing  {shown(one.name, 120)}   was in {one.requests:,} of {counted(one.of, 'requests')}", "failed"


def _order(change: Reordered) -> tuple[str, str]:
    after, before = (f"{1 - share:.0%}".replace("%", " %") for share in (change.after, change.before))
    names = f"{shown(change.second, 80)} starts before {shown(change.first, 80)}"
    return f"order    {names} in {after} of requests, and did in {before}", "failed"


def _times(times: Sequence[TimeChange], level: float) -> Iterator[tuple[str, str]]:
    rows = [_time_row(change) for change in times]
    heading = ("", "", "BEFORE", "AFTER", "CHANGE", f"{level * 100:g} % SURE BETWEEN", "")
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)] if rows else []
    for number, row in enumerate([heading, *rows] if rows else []):
        cells = [
            cell.ljust(width) if place in (0, 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row[:-1], widths[:-1], strict=True))
        ]
        differs = number > 0 and times[number - 1].differs
        yield "  ".join([*cells, row[-1]]).rstrip(), "failed" if differs else "dim" if number == 0 else ""


def _time_row(change: TimeChange) -> tuple[str, ...]:
    before, after = format_duration(change.before), format_duration(change.after)
    part = f"{(change.after - change.before) / abs(change.before):+.1%}".replace("%", " %") if change.before else ""
    known = change.low is not None or change.high is not None
    between = f"{_signed(change.low, '-')} … {_signed(change.high, '+')}" if known else "too few to say"
    name = shown(change.stage, 60) if change.percentile == 50 else ""  # noqa: PLR2004 - the first of each stage
    return name, f"p{change.percentile}", before, after, part, between, "*" if change.differs else ""


def _signed(nanoseconds: float | None, open_end: str) -> str:
    if nanoseconds is None:
        return f"{open_end}∞"
    return f"{'+' if nanoseconds >= 0 else ''}{format_duration(round(nanoseconds))}"


def _share(change: ShareChange) -> tuple[str, str]:
    what = "requests" if change.what == "coverage" else "spans"
    return f"{shown(change.stage, 80)}   {_part(change.before)} → {_part(change.after)} {what}", "failed"


def _part(counts: tuple[int, int]) -> str:
    count, of = counts
    return f"{count:,} of {of:,} ({count / of:.1%})".replace("%", " %")


def _output(change: OutputChange) -> Iterator[tuple[str, str]]:
    if not (change.changed or change.only_before or change.only_after):
        return
    asides = [f"{change.only_before:,} only before"] if change.only_before else []
    asides += [f"{change.only_after:,} only after"] if change.only_after else []
    rest = f"   ({', '.join(asides)})" if asides else ""
    tone = "failed" if change.changed else ""
    yield f"{shown(change.what, 120)}   {change.changed:,} of {counted(change.compared, 'requests')} differ{rest}", tone
    for name, old, new in change.examples[:_OUTPUTS]:
        yield f"  {shown(name, 80)}   {shown(old, 80)} → {shown(new, 80)}", ""


def _attributes(changes: Sequence[AttributeChange]) -> Iterator[tuple[str, str]]:
    for change in changes[:LISTED]:
        key = f"{shown(change.stage, 60)}   {shown(change.key, 120)}"
        if change.new or change.gone:
            values = _values(change.appeared or change.vanished)
            yield f"{key}   {'new' if change.new else 'gone'}{f': {values}' if values else ''}", "failed"
        else:
            yield f"{key}   {_values(change.vanished) or 'nothing'} → {_values(change.appeared) or 'nothing'}", "failed"
    if len(changes) > LISTED:
        yield f"and {len(changes) - LISTED:,} more", ""


def _values(values: Sequence[str]) -> str:
    listed = ", ".join(shown(value, 80) for value in values[:_VALUES])
    return f"{listed} and {len(values) - _VALUES} more" if len(values) > _VALUES else listed


def _closing(diff: RunDiff) -> Line:
    said = [counted(number, _NOUNS[kind]) for kind, number in diff.counts.items() if number]
    if not said:
        return Line((Piece("SAME", "passed"), Piece("  nothing differs beyond chance and noise")))
    return Line((Piece("DIFFERENT", "failed"), Piece(f"  {', '.join(said)}")))
