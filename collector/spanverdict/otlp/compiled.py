"""Requests to columns of numbers by compiled loops (`walking.py`): what `scanning.py` does, a few times as fast.

It is of use once its routines run as machine code (`telemetry/machinecode.py`).
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
from spanverdict.telemetry import recollecting
from spanverdict.telemetry.blocks import PADDING, Block, Int64s
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.recollecting import number_rows
from spanverdict.telemetry.spantable import Int32s, Ragged, UInt64s

_LEAST_SPAN: Final = 16
"""Bytes of a span with ids, with its tag; what is shorter is left to protobuf, as is …"""
_LEAST_ITEM: Final = 8
"""… what has shorter attributes, events or links on average."""

ROUTINES: Final = (*walking.ROUTINES, *recollecting.ROUTINES)
"""All that runs as machine code, once it is there; before that it does the same, slowly."""


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
    block = Block.writable(payloads)
    ends = np.fromiter(map(len, payloads), np.int64, len(payloads)).cumsum()
    requests = np.stack((np.concatenate((np.zeros(1, np.int64), ends[:-1])), ends), axis=1)
    room = (len(block.array) - PADDING) // _LEAST_SPAN
    counts = np.zeros(len(payloads), np.int64)
    spans, runs = np.empty((room, 2), np.int64), np.empty((room, 5), np.int64)
    found = walking.Envelopes(spans, runs, np.zeros(2, np.int64), counts)
    if not walking.find_spans(walking.Sent(block.array, requests), found):
        raise Unusual
    n_spans, n_runs = found.filled.tolist()
    runs = runs[:n_runs]
    return Walked(
        block,
        _columns(block, spans[:n_spans]),
        counts.tolist(),
        block.cut(runs[:, 0], runs[:, 1]),
        block.cut(runs[:, 2], runs[:, 3]),
        runs[:, 4],
    )


def _columns(block: Block, spans: Int64s) -> walking.Columns:
    n, array = len(spans), block.array
    room = (len(array) - PADDING) // _LEAST_ITEM + n
    columns = walking.Columns(
        words=np.zeros((6, n), np.uint64),
        kinds=np.zeros(n, np.int8),
        dropped=np.zeros((3, n), np.uint32),
        flags=np.zeros(n, np.uint32),
        texts=np.zeros((4, n), np.int64),
        places=np.empty((walking.N_LISTS, 2, room), np.int64),
        offsets=np.zeros((walking.N_LISTS, n + 1), np.int64),
        filled=np.zeros(walking.N_LISTS, np.int64),
    )
    if not walking.read_spans(walking.Source(array, array, array, spans), columns):
        raise Unusual
    return columns


def number_walked(walked: Walked, pool: Pool) -> Numbered:
    """Gather columns, and number what is new in them."""
    columns = walked.columns
    words = columns.words
    _, starts, sizes = _items(walked, walking.ATTRIBUTES)
    attributes = pool.attributes.number_within(walked.block, starts, sizes, number_rows)
    states = columns.texts[walking.STATE + 1].any()
    return Numbered(
        trace=_traces(words, pool),
        span_ids=words[walking.SPAN],
        parent_span_ids=words[walking.PARENT],
        wrong_parents=None,
        names=_texts(walked, walking.NAME, pool),
        trace_states=_texts(walked, walking.STATE, pool) if states else None,
        statuses=_lists(walked, walking.STATUSES),
        kinds=columns.kinds,
        times=words[walking.START :].view(np.int64),
        flags=columns.flags,
        dropped=columns.dropped,
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
