"""Serialised spans to columns, in a handful of calls however many spans there are.

Protobuf does the turning: joined serialised messages parse as their merger, in which repeated
fields follow each other. So spans joined end to end and parsed as `SpanColumns`, where every field
is repeated, *are* columns. Because a span may leave a field out, a mark follows each span that
gives every column one known value: what stands before a mark is the span's own.

The mark's first field holds random bytes of this process. When all of those come back, no span's
broken length or open group can have swallowed a mark; when a column has exactly one mark value a
span, none of them came from outside. Anything else - a field sent twice, a forged mark, a malformed
span - is `Irregular`, and the spans are read one by one instead, to the same columns. (One thing
cannot be told apart: a number sent packed, as no writer sends a single one, is read, not skipped.)
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.shallow_pb2 import Span, SpanColumns
from spanverdict.telemetry.interning import LIST_END
from spanverdict.telemetry.spantable import Bools, Int64s, UInt32s, UInt64s

SECRET: Final = os.urandom(8)
END: Final = b"\xff"
"""Ends a span in a column of texts or messages; neither UTF-8 nor protobuf, so no sender means it."""
_END_64: Final = int.from_bytes(SECRET, "big")
_END_32: Final = _END_64 >> 32
_2_TO_32: Final = 1 << 32

_NUMBER_MARKS: Final = (_END_32, _END_64, _END_64, _END_32, _END_64, _END_64)
_DROPPED_MARKS: Final = (_END_32, _END_32, _END_32)

_USUAL_MARK: Final = b"".join(
    part.SerializeToString()
    for part in (
        SpanColumns(trace_id=[SECRET]),
        SpanColumns(
            span_id=[SECRET],
            parent_span_id=[SECRET],
            name=[END],
            kind=[_END_32],
            start_time_unix_nano=[_END_64],
            end_time_unix_nano=[_END_64],
            attributes=[LIST_END],
            events=[END],
            links=[END],
            status=[END],
            flags=[_END_32],
        ),
    )
)
_EVERY_MARK: Final = (
    _USUAL_MARK
    + SpanColumns(
        trace_state=[END],
        dropped_attributes_count=[_END_32],
        dropped_events_count=[_END_32],
        dropped_links_count=[_END_32],
    ).SerializeToString()
)
"""Few spans have these; they are marked only where one has."""


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Items of many spans: those of span `i` are `items[offsets[i]:offsets[i + 1]]`."""

    offsets: Int64s
    items: list[bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Spans as sent, one entry a span in each column, nothing judged yet."""

    trace_ids: list[bytes]
    span_ids: UInt64s
    """0 also where the bytes were not eight."""
    parent_span_ids: UInt64s
    wrong_parents: Bools | None
    """Where a parent id is neither empty nor eight bytes; None when nowhere."""
    names: list[bytes]
    trace_states: list[bytes] | None
    """None when no span has one; so below."""
    statuses: Lists | None
    """Serialised, at most one a span."""
    kinds: UInt64s
    """As unsigned 32-bit numbers."""
    times: UInt64s
    """(2, n): starts and ends."""
    flags: UInt64s
    dropped: UInt64s | None
    """(3, n): attributes, events, links."""
    attributes: list[bytes]
    """Serialised, those of each span followed by `LIST_END`."""
    events: Lists | None
    """Serialised."""
    links: Lists | None


class Irregular(Exception):  # noqa: N818 - never leaves this room; it says what the spans are
    """The spans cannot be read by column."""


def read_columns(spans: list[bytes]) -> Columns:
    """Turn serialised spans, at least one, into columns.

    Raises:
        Undecodable: a span is not a protobuf message.
    """
    try:
        return _by_column(spans)
    except Irregular:
        return _by_row(spans)


def _by_column(spans: list[bytes]) -> Columns:
    merged = _merge(spans, _USUAL_MARK)
    rare = bool(
        merged.trace_state
        or merged.dropped_attributes_count
        or merged.dropped_events_count
        or merged.dropped_links_count
    )
    if rare:
        merged = _merge(spans, _EVERY_MARK)
    n = len(spans)
    trace_ids = _texts(merged.trace_id, SECRET, n)
    numbers = _numbers(
        [
            np.array(merged.kind, np.uint32),
            np.array(merged.start_time_unix_nano, np.uint64),
            np.array(merged.end_time_unix_nano, np.uint64),
            np.array(merged.flags, np.uint32),
            _ids(merged.span_id),
            _ids(merged.parent_span_id),
        ],
        _NUMBER_MARKS,
        n,
    )
    return Columns(
        trace_ids=trace_ids,
        # Copies, as these two stay and would keep all the numbers and marks in memory.
        span_ids=numbers[4].copy(),
        parent_span_ids=numbers[5].copy(),
        wrong_parents=None,
        names=_texts(merged.name, END, n),
        trace_states=_texts(merged.trace_state, END, n) if rare else None,
        statuses=_at_most_one(_lists(merged.status, n)),
        kinds=numbers[0],
        times=numbers[1:3],
        flags=numbers[3],
        dropped=_dropped(merged, n) if rare else None,
        attributes=merged.attributes[:],
        events=_lists(merged.events, n),
        links=_lists(merged.links, n),
    )


def _merge(spans: list[bytes], mark: bytes) -> SpanColumns:
    try:
        return SpanColumns.FromString(mark.join((*spans, b"")))
    except DecodeError:
        raise Irregular from None


def _texts(column: Sequence[bytes], mark: bytes, n: int) -> list[bytes]:
    """Return the one value of each span, b"" where it has none."""
    found = column[:]
    values, marks = found[::2], found[1::2]
    if len(found) == 2 * n and marks.count(mark) == n and mark not in values:
        return list(values)
    return _sparse_texts(found, mark, n)


def _sparse_texts(found: Sequence[bytes], mark: bytes, n: int) -> list[bytes]:
    values = [b""] * n
    owners, items = _unmarked(found, mark, n)
    if len(set(owners)) != len(owners):
        raise Irregular
    for owner, item in zip(owners, items, strict=True):
        values[owner] = item
    return values


def _unmarked(found: Sequence[bytes], mark: bytes, n: int) -> tuple[list[int], list[bytes]]:
    """Return the items that are not marks, and the span that each belongs to."""
    places = [place for place, item in enumerate(found) if item != mark]
    if len(found) - len(places) != n:
        raise Irregular
    return [place - earlier for earlier, place in enumerate(places)], [found[place] for place in places]


def _numbers(columns: Sequence[UInt64s | UInt32s], marks: tuple[int, ...], n: int) -> UInt64s:
    """Return the one number of each span in each column, 0 where it has none, (n_columns, n).

    Columns in which every span has a number, which most are, are looked at together.
    """
    numbers = np.empty((len(columns), n), np.uint64)
    full = [row for row, column in enumerate(columns) if len(column) == 2 * n]
    regular = _full_numbers([columns[row] for row in full], [marks[row] for row in full], n)
    if regular is None:
        full = []
    else:
        numbers[full] = regular
    for row in set(range(len(columns))).difference(full):
        numbers[row] = _sparse_numbers(columns[row], marks[row], n)
    return numbers


def _full_numbers(columns: Sequence[UInt64s | UInt32s], marks: Sequence[int], n: int) -> UInt64s | None:
    """Return the numbers of columns where number and mark take turns; None when one does not."""
    if not columns:
        return None
    pairs = np.concatenate(columns, dtype=np.uint64).reshape(-1, n, 2)
    if not ((pairs == np.array(marks, np.uint64)[:, None, None]) == (False, True)).all():
        return None
    return pairs[:, :, 0]


def _sparse_numbers(found: UInt64s | UInt32s, mark: int, n: int) -> UInt64s:
    if len(found) == n:
        return np.zeros(n, np.uint64)
    ends = (found == mark).nonzero()[0]
    if len(ends) != n:
        raise Irregular
    before = found[ends - 1]  # for the first span this may be the last mark of all
    present = before != mark
    if len(found) != n + np.count_nonzero(present):
        raise Irregular
    return np.where(present, before, 0).astype(np.uint64)


def _dropped(merged: SpanColumns, n: int) -> UInt64s:
    columns = (merged.dropped_attributes_count, merged.dropped_events_count, merged.dropped_links_count)
    return _numbers([np.array(column, np.uint32) for column in columns], _DROPPED_MARKS, n)


def _ids(column: Sequence[bytes]) -> UInt64s:
    """Return eight-byte ids, marks among them, as numbers.

    With ids of another length marks are out of step, or there are fewer pieces than numbers.
    """
    pieces = column[:]
    joined = b"".join(pieces)
    if len(joined) != 8 * len(pieces):
        raise Irregular
    return np.frombuffer(joined, ">u8").astype(np.uint64)


def _lists(column: Sequence[bytes], n: int) -> Lists | None:
    if len(column) == n:
        return None
    found = column[:]
    values = found[::2]
    if len(found) == 2 * n and found[1::2].count(END) == n and END not in values:
        return Lists(np.arange(n + 1), list(values))
    few = _few(found, n) if len(found) < _FEW * n else None
    owners, items = few or _unmarked(found, END, n)
    return Lists(np.searchsorted(owners, np.arange(n + 1)), items)


def _few(found: Sequence[bytes], n: int) -> tuple[list[int], list[bytes]] | None:
    """Do what `_unmarked` does with `END`, faster where few spans have an item.

    Joined, a column is a row of marks with an item here and there. None where an item is empty or
    begins like a mark, which cannot be told from none or from a mark.
    """
    joined = b"".join(found)
    owners: list[int] = []
    items: list[bytes] = []
    size = 0
    while start := _NO_END.search(joined, size + (owners[-1] if owners else 0)):
        owner = start.start() - size
        item = found[min(owner + len(items), len(found) - 1)]
        if not joined.startswith(item, start.start()):
            return None
        owners.append(owner)
        items.append(item)
        size += len(item)
    return (owners, items) if len(joined) - size == n == len(found) - len(items) else None


_FEW: Final = 1.1
"""Up to one span in ten has an item."""
_NO_END: Final = re.compile(b"[^" + END + b"]")


def _at_most_one(lists: Lists | None) -> Lists | None:
    if lists is not None and np.count_nonzero(lists.offsets[1:] - lists.offsets[:-1] > 1):
        raise Irregular
    return lists


def _offsets(sizes: npt.ArrayLike) -> Int64s:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def _by_row(serialised: list[bytes]) -> Columns:
    try:
        spans = [Span.FromString(span) for span in serialised]
    except DecodeError:
        raise Undecodable("a span is not a readable protobuf message") from None
    parents = [span.parent_span_id for span in spans]
    times = [(span.start_time_unix_nano, span.end_time_unix_nano) for span in spans]
    dropped = [(span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) for span in spans]
    return Columns(
        trace_ids=[span.trace_id for span in spans],
        span_ids=_ids_or_zero([span.span_id for span in spans]),
        parent_span_ids=_ids_or_zero(parents),
        wrong_parents=np.array([len(parent) not in (0, 8) for parent in parents], np.bool_),
        names=[span.name for span in spans],
        trace_states=[span.trace_state for span in spans],
        statuses=_lists_of([[b"".join(span.status)] for span in spans]),
        kinds=np.array([span.kind % _2_TO_32 for span in spans], np.uint64),
        times=np.array(times, np.uint64).T,
        flags=np.array([span.flags for span in spans], np.uint64),
        dropped=np.array(dropped, np.uint64).T,
        attributes=[item for span in spans for item in (*span.attributes, LIST_END)],
        events=_lists_of([span.events for span in spans]),
        links=_lists_of([span.links for span in spans]),
    )


def _lists_of(lists: Sequence[Sequence[bytes]]) -> Lists:
    return Lists(_offsets([len(items) for items in lists]), [item for items in lists for item in items])


def _ids_or_zero(ids: list[bytes]) -> UInt64s:
    eight = [item if len(item) == 8 else bytes(8) for item in ids]  # noqa: PLR2004 - the size of a span id
    return np.frombuffer(b"".join(eight), ">u8").astype(np.uint64)
