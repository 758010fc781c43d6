"""OTLP trace requests to span tables: what the whole collector does most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError

from spanverdict.otlp.columns import read_columns
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.gathering import number_fields
from spanverdict.otlp.judging import learn_envelopes
from spanverdict.otlp.layout import Fault, lay_out
from spanverdict.otlp.numbering import Numbered, number_columns
from spanverdict.otlp.scanning import Unusual, scan
from spanverdict.otlp.shallow_pb2 import TracesData
from spanverdict.otlp.values import decode_attribute
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.pool import Pool, Show
from spanverdict.telemetry.spantable import SpanTable

CHUNK: Final = 2048
"""Spans turned into columns at a time, which bounds the memory that a large request takes."""

MANY: Final = 200
"""From so many spans on, scanning is faster than protobuf."""

MAX_PROBLEMS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What a request held."""

    table: SpanTable
    """The accepted spans, in the order sent."""
    rejected: int
    """How many spans there were besides."""
    problems: tuple[str, ...]
    """Why, a short English phrase a reason."""


def new_pool(recent_attributes: int = 0, show: Show | None = None) -> Pool:
    """Return an empty pool that reads OTLP attributes; see `Pool`."""
    return Pool(decode_attribute, recent_attributes, show)


def decode(payload: bytes | memoryview, pool: Pool) -> Decoded:
    """Read one serialised ExportTraceServiceRequest or TracesData, which are the same on the wire.

    Spans that break OTLP's rules are rejected one by one. Fills `pool`, so calls on one pool must
    not overlap: the caller holds a lock. An error leaves the pool usable.

    Raises:
        Undecodable: the payload is not OTLP at all.
    """
    return _together(_lay_out(_open([payload]), pool), pool)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of one request of several."""

    accepted: int
    rejected: int = 0
    problems: tuple[str, ...] = ()
    undecodable: str = ""
    """Why the request is not OTLP at all; empty when it is."""


def decode_all(
    payloads: Sequence[bytes | memoryview], pool: Pool, *, compiled: bool = False
) -> tuple[SpanTable, tuple[Tally, ...]]:
    """Read several requests into one table: the same as one by one, and faster where they are small.

    The table holds the accepted spans in the order sent; there is a tally for each request. A
    request that is not OTLP costs the others nothing. `pool` is filled as by `decode`. `compiled` says
    that numba is there to be used.
    """
    try:
        parts, counts = (_walk if compiled else _read)(payloads, pool)
    except Undecodable:
        return _decode_each(payloads, pool)
    if any(part.faults for part in parts):
        return _decode_each(payloads, pool)
    return _together(parts, pool).table, tuple(map(Tally, counts))


def _walk(payloads: Sequence[bytes | memoryview], pool: Pool) -> tuple[list[_Part], list[int]]:
    """Do what `_read` does by compiled code."""
    from spanverdict.otlp.compiled import number_walked, walk  # noqa: PLC0415 - takes long, and few need it
    from spanverdict.otlp.glancing import judge  # noqa: PLC0415

    try:
        walked = walk(payloads)
    except Unusual:
        return _read(payloads, pool)
    resource = pool.resources.number_all(walked.resources).repeat(walked.sizes)
    scope = pool.scopes.number_all(walked.scopes).repeat(walked.sizes)
    learn_envelopes(pool)
    part = _without_faults(*lay_out(number_walked(walked, pool), pool, resource, scope, judge))
    return [part], walked.counts


def _read(payloads: Sequence[bytes | memoryview], pool: Pool) -> tuple[list[_Part], list[int]]:
    """Return what became of the spans of requests, and how many spans each has."""
    opened = _open(payloads)
    return _lay_out(opened, pool), opened.counts


def _decode_each(payloads: Sequence[bytes | memoryview], pool: Pool) -> tuple[SpanTable, tuple[Tally, ...]]:
    tables, tallies = [SpanTable.empty(pool)], []
    for payload in payloads:
        try:
            found = decode(payload, pool)
        except Undecodable as error:
            tallies.append(Tally(0, undecodable=str(error)))
        else:
            tables.append(found.table)
            tallies.append(Tally(len(found.table), found.rejected, found.problems))
    return concat(tables), tuple(tallies)


@dataclass(frozen=True, slots=True)
class _Opened:
    """Serialised spans, and the runs of them that share a resource and a scope."""

    spans: list[bytes]
    resources: list[bytes]
    """One a run, in order; so the next two."""
    scopes: list[bytes]
    sizes: list[int]
    counts: list[int]
    """Spans a request."""


def _open(payloads: Sequence[bytes | memoryview]) -> _Opened:
    opened = _Opened([], [], [], [], [])
    known = 0
    for payload in payloads:
        try:
            message = TracesData.FromString(payload)  # type: ignore[arg-type] # any buffer will do
        except DecodeError:
            raise Undecodable("the request is not a readable ExportTraceServiceRequest message") from None
        _take_spans(message, opened)
        opened.counts.append(len(opened.spans) - known)
        known = len(opened.spans)
    return opened


def _take_spans(message: TracesData, opened: _Opened) -> None:
    for resource_spans in message.resource_spans:
        resource = b"".join(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            found = scope_spans.spans[:]
            opened.spans.extend(found)
            opened.resources.append(resource)
            opened.scopes.append(b"".join(scope_spans.scope))
            opened.sizes.append(len(found))


@dataclass(frozen=True, slots=True)
class _Part:
    """What became of some spans."""

    table: SpanTable
    """The accepted ones."""
    sent: int
    faults: Counter[str]


def _lay_out(opened: _Opened, pool: Pool) -> list[_Part]:
    resource = pool.resources.number_all(opened.resources).repeat(opened.sizes)
    scope = pool.scopes.number_all(opened.scopes).repeat(opened.sizes)
    learn_envelopes(pool)
    spans = opened.spans
    pieces = (slice(start, start + CHUNK) for start in range(0, len(spans), CHUNK))
    return [
        _without_faults(*lay_out(_numbered(spans[piece], pool), pool, resource[piece], scope[piece]))
        for piece in pieces
    ]


def _numbered(spans: list[bytes], pool: Pool) -> Numbered:
    if len(spans) >= MANY:
        try:
            return number_fields(scan(spans), pool)
        except Unusual:
            pass
    return number_columns(read_columns(spans), pool)


def _without_faults(table: SpanTable, faults: Sequence[Fault]) -> _Part:
    counts: Counter[str] = Counter()
    if not faults:
        return _Part(table, len(table), counts)
    wrong = np.zeros(len(table), np.bool_)
    for fault in faults:
        counts[fault.problem] += int(np.count_nonzero(fault.spans))
        wrong |= fault.spans
    return _Part(table.take(np.flatnonzero(~wrong)), len(table), counts)


def _together(parts: Sequence[_Part], pool: Pool) -> Decoded:
    table = concat([part.table for part in parts]) if parts else SpanTable.empty(pool)
    rejected = sum(part.sent for part in parts) - len(table)
    if not rejected:
        return Decoded(table, 0, ())
    counts = sum((part.faults for part in parts), Counter[str]())
    return Decoded(table, rejected, tuple(f"{_spans(n)}: {problem}" for problem, n in counts.most_common(MAX_PROBLEMS)))


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"
