"""Requests to columns of numbers by compiled loops (`walking.py`): what `scanning.py` does, a few times as fast.

Whoever imports this has numba (`telemetry/compiling.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.otlp import walking
from spanverdict.otlp.columns import Lists
from spanverdict.otlp.numbering import Numbered
from spanverdict.otlp.scanning import Unusual
from spanverdict.telemetry.blocks import PADDING, Block, Int64s
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.recollecting import number_rows
from spanverdict.telemetry.spantable import Int32s, Ragged, UInt64s

_LEAST_SPAN: Final = 16
"""Bytes of a span with ids, with its tag; what is shorter is left to protobuf, as is …"""
_LEAST_ITEM: Final = 8
"""… what has shorter attributes, events or links on average."""
_UINT32: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """The spans of some requests, their fields found and their texts not yet numbered."""

    block: Block
    columns: walking.Columns
    counts: list[int]
    """Spans a request."""
    resources: list[bytes]
    """Of each run of spans that share a resource and a scope; so the next two."""
    scopes: list[bytes]
    sizes: Int64s


def walk(payloads: Sequence[bytes | memoryview]) -> Walked:
    """Find the spans of requests and their fields.

    Raises:
        Unusual: they must be read by protobuf.
    """
    block = Block.of(payloads)  # type: ignore[arg-type] # any buffer will do
    ends = np.fromiter(map(len, payloads), np.int64, len(payloads)).cumsum()
    requests = np.stack((np.concatenate((np.zeros(1, np.int64), ends[:-1])), ends), axis=1)
    n_bytes = len(block.array) - PADDING
    room = n_bytes // _LEAST_SPAN
    found = walking.Envelopes(np.empty((room, 2), np.int64), np.empty((room, 5), np.int64), np.zeros(2, np.int64))
    counts = np.zeros(len(payloads), np.int64)
    if not walking.find_spans(block.array, requests, found, counts):
        raise Unusual
    n_spans, n_runs = found.filled.tolist()
    runs = found.runs[:n_runs]
    return Walked(
        block,
        _columns(block, found.spans[:n_spans], n_bytes),
        counts.tolist(),
        block.cut(runs[:, 0], runs[:, 1]),
        block.cut(runs[:, 2], runs[:, 3]),
        runs[:, 4],
    )


def _columns(block: Block, spans: Int64s, n_bytes: int) -> walking.Columns:
    n = len(spans)
    columns = walking.Columns(
        np.zeros((6, n), np.uint64),
        np.zeros((5, n), np.int64),
        np.zeros((4, n), np.int64),
        np.empty((walking.N_LISTS, 2, n_bytes // _LEAST_ITEM + n), np.int64),
        np.zeros((walking.N_LISTS, n + 1), np.int64),
    )
    if not walking.read_spans(block.array, block.every("<u8"), block.every("<u4"), spans, columns):
        raise Unusual
    return columns


def number_walked(walked: Walked, pool: Pool) -> Numbered:
    """Gather columns, and number what is new in them."""
    columns = walked.columns
    words, small = columns.words, columns.small
    _, starts, sizes = _items(walked, walking.ATTRIBUTES)
    attributes = pool.attributes.number_within(walked.block, starts, sizes, number_rows)
    states = columns.texts[walking.STATE + 1].any()
    dropped = small[walking.DROPPED : walking.FLAGS]
    return Numbered(
        trace=_traces(words, pool),
        span_ids=words[walking.SPAN].byteswap(),
        parent_span_ids=words[walking.PARENT].byteswap(),
        wrong_parents=None,
        names=_texts(walked, walking.NAME, pool),
        trace_states=_texts(walked, walking.STATE, pool) if states else None,
        statuses=_lists(walked, walking.STATUSES),
        kinds=(small[walking.KIND] & _UINT32).view(np.uint64),
        times=words[walking.START :],
        flags=small[walking.FLAGS].view(np.uint64),
        dropped=(dropped & _UINT32).view(np.uint64) if dropped.any() else None,
        attributes=Ragged(columns.offsets[walking.ATTRIBUTES], attributes),
        events=_lists(walked, walking.EVENTS),
        links=_lists(walked, walking.LINKS),
    )


def _traces(words: UInt64s, pool: Pool) -> Int32s:
    """Number trace ids; of those that follow each other and are equal only the first is looked up."""
    ids = words[walking.TRACE : walking.SPAN]
    is_first = np.ones(ids.shape[1], np.bool_)
    is_first[1:] = (ids[:, 1:] != ids[:, :-1]).any(axis=0)
    found = np.ascontiguousarray(ids[:, is_first].T).view("V16")[:, 0].tolist()
    return pool.traces.number_all(found).take(is_first.cumsum() - 1)


def _texts(walked: Walked, place: int, pool: Pool) -> Int32s:
    starts, sizes = walked.columns.texts[place : place + 2]
    return pool.strings.number_within(walked.block, starts, sizes, number_rows)


def _items(walked: Walked, place: int) -> tuple[Int64s, Int64s, Int64s]:
    """Return where the items of each span begin among all, where each of them stands, and its size."""
    offsets = walked.columns.offsets[place]
    starts, sizes = walked.columns.places[place, :, : offsets[-1]]
    return offsets, starts, sizes


def _lists(walked: Walked, place: int) -> Lists | None:
    offsets, starts, sizes = _items(walked, place)
    return Lists(offsets, walked.block.cut(starts, sizes)) if len(starts) else None
