"""Requests to columns of numbers by compiled loops (`walking.py`): what `scanning.py` does, a few times as fast.

It is of use once its routines run as machine code (`telemetry/machinecode.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np

from spanverdict.otlp import attached, glancing, tracing, walking
from spanverdict.otlp.columns import Lists
from spanverdict.otlp.numbering import Numbered, Statuses
from spanverdict.otlp.scanning import Unusual
from spanverdict.telemetry import keying, likening, recollecting
from spanverdict.telemetry.blocks import PADDING, Block, Int64s
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.recall import FACTORS
from spanverdict.telemetry.recollecting import Recollection
from spanverdict.telemetry.spantable import Events, Int32s, Links, Ragged, UInt64s

_LEAST_SPAN: Final = 16
"""Bytes of a span with ids, with its tag; what is shorter is left to protobuf, as is …"""
_LEAST_ITEM: Final = 8
"""… what has shorter attributes, events or links on average."""
_USUAL: Final = 4
"""Most are so many times as long, so there is room for as many at first."""
_MOST_BYTES: Final = np.iinfo(np.int32).max
"""Places are numbers of four bytes."""

ROUTINES: Final = (
    *walking.ROUTINES,
    *attached.ROUTINES,
    *recollecting.ROUTINES,
    *keying.ROUTINES,
    *likening.ROUTINES,
    *glancing.ROUTINES,
    *tracing.ROUTINES,
)
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
    if len(block.array) > _MOST_BYTES:
        raise Unusual
    ends = np.fromiter(map(len, payloads), np.int64, len(payloads)).cumsum()
    requests = np.stack((np.concatenate((np.zeros(1, np.int64), ends[:-1])), ends), axis=1)
    found = _spans(walking.Sent(block.array, requests), _USUAL) or _spans(walking.Sent(block.array, requests))
    if found is None:
        raise Unusual
    n_spans, n_runs = found.filled.tolist()
    spans, runs = found.spans[:n_spans], found.runs[:n_runs]
    columns = _columns(block, spans, _USUAL) or _columns(block, spans)
    if columns is None:
        raise Unusual
    return Walked(
        block,
        columns,
        found.counts.tolist(),
        block.cut(runs[:, 0], runs[:, 1]),
        block.cut(runs[:, 2], runs[:, 3]),
        runs[:, 4],
    )


def _spans(sent: walking.Sent, usual: int = 1) -> walking.Envelopes | None:
    """Find spans; None where something is unusual, or they are shorter than usual."""
    room = (len(sent.data) - PADDING) // (_LEAST_SPAN * usual)
    found = walking.Envelopes(
        spans=np.empty((room, 2), np.int32),
        runs=np.empty((room, 5), np.int64),
        filled=np.zeros(2, np.int64),
        counts=np.zeros(len(sent.requests), np.int64),
    )
    return found if walking.find_spans(sent, found) else None


def _columns(block: Block, spans: Int32s, usual: int = 1) -> walking.Columns | None:
    """Read the fields of spans; None where something is unusual, or items are shorter than usual."""
    n, array = len(spans), block.array
    room = (len(array) - PADDING) // (_LEAST_ITEM * usual) + n
    columns = walking.Columns(
        words=np.zeros((6, n), np.uint64),
        kinds=np.zeros(n, np.int8),
        dropped=np.zeros((3, n), np.uint32),
        flags=np.zeros(n, np.uint32),
        texts=np.zeros((4, n), np.int32),
        places=np.empty((walking.N_LISTS, 2, room), np.int32),
        offsets=np.zeros((walking.N_LISTS, n + 1), np.int64),
        filled=np.zeros(walking.N_LISTS, np.int64),
    )
    return columns if walking.read_spans(walking.Source(array, array, array, spans), columns) else None


@dataclass(frozen=True, slots=True, eq=False)
class _Hung:
    """Events, links or statuses that were read."""

    offsets: Int64s
    """Where those of each span begin."""
    read: attached.Read
    first: int
    """Where their attributes begin among all."""

    def attributes(self, numbers: Int32s) -> Ragged:
        """Return theirs among the numbers of all attributes."""
        offsets = self.read.offsets
        return Ragged(offsets, numbers[self.first : self.first + offsets[-1]])


def number_walked(walked: Walked, pool: Pool) -> Numbered:
    """Gather columns, and number what is new in them."""
    columns = walked.columns
    words, states = columns.words, columns.texts[walking.STATE : walking.STATE + 2]
    n_items = int(columns.filled[walking.ATTRIBUTES])
    hung = [_hung(walked, place, kind) for place, kind in _KINDS]
    starts, sizes = columns.places[walking.ATTRIBUTES, :, : columns.filled[walking.ATTRIBUTES]]
    attributes = pool.attributes.number_recollected(walked.block, starts, sizes, Recollection)
    names, *texts = _texts(walked, [columns.texts[: walking.STATE], *map(_texts_of, hung)], pool)
    events, links, statuses = hung
    return Numbered(
        trace=_traces(words[walking.TRACE : walking.SPAN], pool),
        span_ids=words[walking.SPAN],
        parent_span_ids=words[walking.PARENT],
        wrong_parents=None,
        names=names,
        trace_states=_texts(walked, [states], pool)[0] if states[1].any() else None,
        statuses=_statuses(statuses, texts[2]),
        kinds=columns.kinds,
        times=words[walking.START :].view(np.int64),
        flags=columns.flags,
        dropped=columns.dropped,
        attributes=Ragged(columns.offsets[walking.ATTRIBUTES], attributes[:n_items]),
        events=_events(events, texts[0], attributes),
        links=_links(links, texts[1], attributes, pool),
    )


_KINDS: Final = (
    (walking.EVENTS, attached.EVENT), (walking.LINKS, attached.LINK), (walking.STATUSES, attached.STATUS),
)  # fmt: skip
_NO_TEXTS: Final = np.zeros((2, 0), np.int32)


def _hung(walked: Walked, place: int, kind: int) -> _Hung | Lists | None:
    """Read what hangs on spans; serialised where it is left to protobuf, None where there is nothing."""
    columns, array = walked.columns, walked.block.array
    n, first = int(columns.filled[place]), int(columns.filled[walking.ATTRIBUTES])
    if not n:
        return None
    items = columns.places[place, :, :n]
    hanging = attached.Hanging(array, array, array, np.ascontiguousarray(items), np.array([kind]))
    read = attached.Read(
        words=np.zeros((3, n), np.uint64),
        numbers=np.zeros(n, np.int64),
        texts=np.zeros((2, n), np.int32),
        offsets=np.zeros(n + 1, np.int64),
        attributes=columns.places[walking.ATTRIBUTES],
        filled=columns.filled[walking.ATTRIBUTES :],
    )
    if attached.read_attached(hanging, read):
        return _Hung(columns.offsets[place], read, first)
    columns.filled[walking.ATTRIBUTES] = first
    return Lists(columns.offsets[place], walked.block.cut(*items))


def _texts_of(found: _Hung | Lists | None) -> Int32s:
    return found.read.texts if isinstance(found, _Hung) else _NO_TEXTS


def _texts(walked: Walked, places: Sequence[Int32s], pool: Pool) -> list[Int32s]:
    """Number texts of several kinds together."""
    starts, sizes = np.concatenate(places, axis=1)
    numbers = pool.strings.number_recollected(walked.block, starts, sizes, Recollection)
    ends = accumulate(kind.shape[1] for kind in places)
    return [numbers[end - kind.shape[1] : end] for kind, end in zip(places, ends, strict=True)]


def _traces(ids: UInt64s, pool: Pool) -> Int32s:
    """Number trace ids; of equal ones mostly one is looked up."""
    n = ids.shape[1]
    told = tracing.Told(
        which=np.empty(n, np.int32),
        firsts=np.empty((n, 2), np.uint64),
        slots=np.zeros(tracing.N_SLOTS, np.int32),
    )
    n_firsts = tracing.tell_apart(tracing.Ids(ids, FACTORS[:2]), told)
    found = told.firsts[:n_firsts].view("V16")[:, 0].tolist()
    return pool.traces.number_all(found).take(told.which)


def _statuses(found: _Hung | Lists | None, messages: Int32s) -> Statuses | Lists | None:
    return Statuses(found.offsets, found.read.numbers, messages) if isinstance(found, _Hung) else found


def _events(found: _Hung | Lists | None, names: Int32s, attributes: Int32s) -> Events | Lists | None:
    if not isinstance(found, _Hung):
        return found
    return Events(found.offsets, found.read.words[attached.TIME].view(np.int64), names, found.attributes(attributes))


def _links(found: _Hung | Lists | None, states: Int32s, attributes: Int32s, pool: Pool) -> Links | Lists | None:
    if not isinstance(found, _Hung):
        return found
    words = found.read.words
    return Links(
        found.offsets,
        _traces(words[attached.TRACE : attached.SPAN], pool),
        words[attached.SPAN],
        states,
        found.read.numbers.astype(np.uint32),
        found.attributes(attributes),
    )
