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
from spanverdict.otlp.judging import learn_envelopes
from spanverdict.otlp.layout import Fault, lay_out
from spanverdict.otlp.shallow_pb2 import TracesData
from spanverdict.otlp.values import decode_attribute
from spanverdict.telemetry.pool import Interner, Pool
from spanverdict.telemetry.spantable import Int32s, SpanTable, concat

CHUNK: Final = 2048
"""Spans turned into columns at a time, which bounds the memory that a large request takes."""

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


def new_pool() -> Pool:
    """Return an empty pool that reads OTLP attributes."""
    return Pool(decode_attribute)


def decode(payload: bytes | memoryview, pool: Pool) -> Decoded:
    """Read one serialised ExportTraceServiceRequest or TracesData, which are the same on the wire.

    Spans that break OTLP's rules are rejected one by one. Payloads joined end to end are read as
    one, and faster than one by one. Fills `pool`, so calls on one pool must not overlap: the caller
    holds a lock. An error leaves the pool usable.

    Raises:
        Undecodable: the payload is not OTLP at all.
    """
    spans, groups = _open(payload)
    resource = _numbers(pool.resources, groups.resources, groups.sizes)
    scope = _numbers(pool.scopes, groups.scopes, groups.sizes)
    learn_envelopes(pool)
    parts = []
    for start in range(0, len(spans), CHUNK):
        piece = slice(start, start + CHUNK)
        parts.append(lay_out(read_columns(spans[piece]), pool, resource[piece], scope[piece]))
    return _accept(parts, pool)


@dataclass(frozen=True, slots=True)
class _Groups:
    """The runs of spans that share a resource and a scope, in order; the three go together."""

    resources: list[bytes]
    scopes: list[bytes]
    sizes: list[int]


def _open(payload: bytes | memoryview) -> tuple[list[bytes], _Groups]:
    """Return the serialised spans and what they are grouped under."""
    try:
        request = TracesData.FromString(payload)  # type: ignore[arg-type] # any buffer will do
    except DecodeError:
        raise Undecodable("the request is not a readable ExportTraceServiceRequest message") from None
    spans: list[bytes] = []
    groups = _Groups([], [], [])
    for resource_spans in request.resource_spans:
        resource = b"".join(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            found = scope_spans.spans[:]
            spans += found
            groups.resources.append(resource)
            groups.scopes.append(b"".join(scope_spans.scope))
            groups.sizes.append(len(found))
    return spans, groups


def _numbers(interner: Interner, items: list[bytes], sizes: list[int]) -> Int32s:
    return np.repeat(interner.number_all(items), sizes)


def _accept(parts: Sequence[tuple[SpanTable, list[Fault]]], pool: Pool) -> Decoded:
    """Put the tables together, without the spans that have a fault."""
    if not parts:
        return Decoded(SpanTable.empty(pool), 0, ())
    tables = []
    counts: Counter[str] = Counter()
    for table, faults in parts:
        wrong = np.zeros(len(table), np.bool_)
        for fault in faults:
            counts[fault.problem] += int(np.count_nonzero(fault.spans))
            wrong |= fault.spans
        tables.append(table.take(np.flatnonzero(~wrong)) if faults else table)
    accepted = concat(tables)
    problems = tuple(f"{_spans(count)}: {problem}" for problem, count in counts.most_common(MAX_PROBLEMS))
    return Decoded(accepted, sum(len(table) for table, _ in parts) - len(accepted), problems)


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"
