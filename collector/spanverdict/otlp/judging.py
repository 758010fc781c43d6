"""Looks at what decoding has interned for the first time: is it readable, and what does it hold?

Each distinct item is judged once in the life of a pool. Judging starts where the last one stopped,
so an interruption between interning and judging loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.plain import look_at
from spanverdict.otlp.shallow_pb2 import Event, Items, KeyValueList, Link, Resource, Scope
from spanverdict.otlp.shapes import shape_of
from spanverdict.otlp.values import decode_attribute, encode_attribute
from spanverdict.telemetry.blocks import Places, Rows, items_of
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.pool import Pool, Show
from spanverdict.telemetry.vocabulary import DROPPED

TRACE_ID_SIZE: Final = 16
Owner: TypeAlias = Resource | Scope | Event | Link
_NO_TRACE: Final = bytes(TRACE_ID_SIZE)
_FEW: Final = 200
"""So many attributes protobuf reads sooner than a look at them pays."""
_MOST_SHAPES: Final = 8
"""A shape that fewer than one in so many attributes have tells that they have many."""


def judge_trace_ids(traces: Interner) -> None:
    """Mark new trace ids of a wrong length, or all zero, as unreadable."""
    new = traces.items_by_id[traces.judged :]
    if set(map(len, new)) - {TRACE_ID_SIZE} or traces.find(_NO_TRACE) >= traces.judged:
        wrong = (item for item in new if len(item) != TRACE_ID_SIZE or item == _NO_TRACE)
        traces.unreadable.update(map(traces.find, wrong))
    traces.judged += len(new)


def judge_strings(strings: Interner, show: Show | None = None) -> None:
    """Mark new strings that are not UTF-8 as unreadable, and show all new ones."""
    new = strings.items_by_id[strings.judged :]
    if not new:
        return
    # NUL completes no character, so joining with it neither hides nor makes a fault.
    joined = b"\0".join(new)
    if show is not None:
        show(joined)
    if not _is_utf8(joined):
        strings.unreadable.update(strings[item] for item in new if not _is_utf8(item))
    strings.judged += len(new)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def judge_attributes(attributes: Interner, show: Show | None = None) -> None:
    """Mark new attributes that cannot be read as unreadable, and show the texts of all new ones."""
    for start, part in attributes.parts(attributes.judged):
        places = np.arange(start, start + len(part))
        if isinstance(part, np.ndarray):
            _judge_rows(attributes, places, part, show)
        else:
            judge_items(attributes, places, part, show)
        attributes.judged = start + len(part)


def _judge_rows(attributes: Interner, places: Places, rows: Rows, show: Show | None) -> None:
    while len(rows) >= _FEW:
        shape = shape_of(rows[:1])
        if shape is None:
            break
        fit = shape.fit(rows)
        alike = fit.nonzero()[0]
        if show is not None:
            show(shape.texts(rows.take(alike, axis=0) if shape.is_text else rows[:1]))
        rest = (~fit).nonzero()[0]
        rows, places = rows.take(rest, axis=0), places.take(rest)
        if len(alike) * _MOST_SHAPES < len(fit):
            break
    if len(rows) < _FEW:
        judge_items(attributes, places, items_of(rows), show)
        return
    look = look_at(rows)
    if show is not None:
        show(look.searchable())
    doubtful = (~look.plain).nonzero()[0]
    judge_each(attributes, places.take(doubtful), items_of(rows.take(doubtful, axis=0)), show)


def judge_items(attributes: Interner, places: Places, items: Sequence[bytes], show: Show | None) -> None:
    """Have protobuf judge new attributes, and show them."""
    if show is not None:
        show(b"\0".join(items))
    judge_each(attributes, places, items, show)


def judge_each(attributes: Interner, places: Places, items: Sequence[bytes], show: Show | None) -> None:
    """Have protobuf judge new attributes, and show how it writes those that were written otherwise."""
    if not _are_attributes(items, show):
        numbers = places.tolist()
        attributes.unreadable.update(n for n, item in zip(numbers, items, strict=True) if not _is_attribute(item, show))


def _are_attributes(items: Sequence[bytes], show: Show | None) -> bool:
    """Tell whether protobuf reads all of them, in one call: most requests have nothing to single out."""
    written = Items(items=items).SerializeToString()
    try:
        read = KeyValueList.FromString(written)
    except DecodeError:
        return False
    if show is not None and (usual := read.SerializeToString()) != written:
        show(usual)
    return True


def _is_attribute(item: bytes, show: Show | None) -> bool:
    try:
        key, value = decode_attribute(item)
    except Undecodable:
        return False
    if show is not None:
        show(encode_attribute(key, value))
    return True


def judge(pool: Pool) -> None:
    """Judge all that is new to a pool."""
    judge_trace_ids(pool.traces)
    judge_attributes(pool.attributes, pool.show)
    judge_strings(pool.strings, pool.show)


def learn_envelopes(pool: Pool) -> None:
    """Record the attributes of new resources and scopes, and which of those cannot be read."""
    _learn_resources(pool)
    _learn_scopes(pool)
    judge_attributes(pool.attributes, pool.show)
    judge_strings(pool.strings, pool.show)
    _judge_owners(pool.resources, pool.resource_attributes, pool.attributes)
    _judge_owners(pool.scopes, pool.scope_attributes, pool.attributes, judged=False)
    _judge_owners(pool.scopes, pool.scope_names, pool.strings)


def _learn_resources(pool: Pool) -> None:
    for number in range(len(pool.resource_attributes), len(pool.resources.items_by_id)):
        if pool.show is not None:
            pool.show(pool.resources.items_by_id[number])
        try:
            resource = Resource.FromString(pool.resources.items_by_id[number])
        except DecodeError:
            pool.resources.unreadable.add(number)
            resource = Resource()
        pool.resource_attributes.append(_numbers(pool, resource))


def _learn_scopes(pool: Pool) -> None:
    for number in range(len(pool.scope_names), len(pool.scopes.items_by_id)):
        if pool.show is not None:
            pool.show(pool.scopes.items_by_id[number])
        try:
            scope = Scope.FromString(pool.scopes.items_by_id[number])
        except DecodeError:
            pool.scopes.unreadable.add(number)
            scope = Scope()
        # Cut first, so that an interruption between the two lines leaves nothing out of step.
        pool.scope_attributes[number:] = [_numbers(pool, scope)]
        pool.scope_names.append((pool.strings[scope.name], pool.strings[scope.version]))


def _numbers(pool: Pool, owner: Owner) -> tuple[int, ...]:
    return tuple([pool.attributes[item] for item in attributes_of(owner)])


def attributes_of(owner: Owner) -> list[bytes]:
    """Return the attributes of what a span belongs to or holds, and one that counts what its sender left out."""
    items = owner.attributes[:]
    if owner.dropped_attributes_count:
        items.append(encode_attribute(DROPPED, owner.dropped_attributes_count))
    return items


def _judge_owners(owners: Interner, owned: Sequence[tuple[int, ...]], of: Interner, *, judged: bool = True) -> None:
    """Mark new owners of something unreadable as unreadable themselves."""
    for number in range(owners.judged, len(owned)):
        if not of.unreadable.isdisjoint(owned[number]):
            owners.unreadable.add(number)
    if judged:
        owners.judged = len(owned)
