"""How many attributes a span may keep and how long their values may be; what is more is cut, and said.

What was cut is named in an attribute of its own (`CUT`) where it was cut: on the span, for its events and links as
well, on the resource or on the scope. So everybody who reads the spans later knows which values are not what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError, Message

from spanverdict.otlp import shallow_pb2 as pb
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.values import decode_attribute, encode_attribute
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Ragged, SpanTable
from spanverdict.telemetry.vocabulary import CUT, CUT_ANY

MAX_NAMES: Final = 64
"""Attributes that are named as cut; of more it is said that it may be any."""
_NAME_CHARACTERS: Final = 300
_MARK_BYTES: Final = 128 * 1024
"""No mark of ours is longer: so many names of at most so many characters."""
_MARK: Final = bytes((0x0A, len(CUT))) + CUT.encode()
"""How an attribute begins that names what was cut before."""
_TAGS: Final = MappingProxyType(
    {
        pb.Resource: (b"\x0a", b"\x8a"),
        pb.Scope: (b"\x1a", b"\x9a"),
        pb.Span: (b"\x4a", b"\xca", b"\x1a", b"\x9a", b"\x22", b"\xa2"),
        pb.Event: (b"\x1a", b"\x9a"),
        pb.Link: (b"\x22", b"\xa2"),
    }
)
"""With one of these bytes begins each attribute in such a message: a tag as it should be, or longer than need be."""


@dataclass(frozen=True, slots=True)
class AttributeLimits:
    """What is kept."""

    count: int = 128
    """Attributes a span, and as many an event, a link, a resource and a scope; the first ones are kept."""
    value_bytes: int = 64 * 1024
    """Of a value, as UTF-8 or as OTLP writes it. The beginning of a longer text is kept, of anything else nothing."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """How much was cut from a request."""

    values: int = 0
    """Values that were too long."""
    left_out: int = 0
    """Attributes that were too many."""

    def __add__(self, other: Cuts) -> Cuts:
        return Cuts(self.values + other.values, self.left_out + other.left_out)

    def __bool__(self) -> bool:
        return bool(self.values or self.left_out)

    def __str__(self) -> str:
        """Say it to a client.

        >>> str(Cuts(1, 12))
        'attribute values cut as too long: 1; attributes left out as too many: 12'
        """
        long = f"attribute values cut as too long: {self.values}" if self.values else ""
        many = f"attributes left out as too many: {self.left_out}" if self.left_out else ""
        return "; ".join(filter(None, (long, many)))


@dataclass(frozen=True, slots=True)
class Known:
    """What a pool knew before something was decoded."""

    attributes: int
    resources: int
    scopes: int

    @staticmethod
    def of(pool: Pool) -> Known:
        """Return what it knows now."""
        return Known(len(pool.attributes), len(pool.resource_attributes), len(pool.scope_attributes))


def exceeds(table: SpanTable, n_bytes: int, known: Known, limits: AttributeLimits) -> bool:
    """Tell whether spans that were just decoded, from so many bytes, are over the limits.

    Of values, resources and scopes only those are looked at that are new to the pool. So a pool in which something
    was found is of no more use.
    """
    pool, most = table.pool, limits.count
    if any(_longest(lists) > most for lists in (table.attributes, table.events.attributes, table.links.attributes)):
        return True
    new = (*pool.resource_attributes[known.resources :], *pool.scope_attributes[known.scopes :])
    if any(len(owned) > most for owned in new):
        return True
    return n_bytes > limits.value_bytes and _has_long(pool, known.attributes, limits.value_bytes)


def _longest(lists: Ragged) -> int:
    if not len(lists.items):
        return 0
    return int((lists.offsets[1:] - lists.offsets[:-1]).max())


def _has_long(pool: Pool, known: int, limit: int) -> bool:
    """Tell whether a new attribute may hold a value that is too long; what is kept as rows is always short."""
    parts = [part for _, part in pool.attributes.parts(known) if not isinstance(part, np.ndarray)]
    if max((max(map(len, part), default=0) for part in parts), default=0) <= limit:
        return False
    return any(_cut_value(item, limit) is not item for part in parts for item in part)


def cut(payload: bytes, limits: AttributeLimits) -> tuple[bytes, Cuts]:
    """Return a request within the limits, and how much was cut; the same object where that is nothing.

    What cannot be read stays as it is: it is refused by whoever decodes it.
    """
    try:
        request = pb.TracesData.FromString(payload)
    except DecodeError:
        return payload, Cuts()
    cutter = _Cutter(limits)
    for part in request.resource_spans:
        cutter.each(part.resource, pb.Resource, cutter.resource)
        for scope_spans in part.scope_spans:
            cutter.each(scope_spans.scope, pb.Scope, cutter.scope)
            cutter.each(scope_spans.spans, pb.Span, cutter.span)
    return (request.SerializeToString(), cutter.cuts) if cutter.cuts else (payload, cutter.cuts)


class _Cutter:
    """Cuts the messages of one request."""

    def __init__(self, limits: AttributeLimits) -> None:
        self.cuts = Cuts()
        self._limits = limits

    def each(
        self, parts: MutableSequence[bytes], kind: type[Message], change: Callable[[Any], Sequence[str]]
    ) -> list[str]:
        """Cut serialised messages in place and return the names of what was cut."""
        found: list[str] = []
        for number, part in enumerate(parts):
            if not self._may_exceed(part, kind):
                continue
            try:
                message = kind.FromString(part)
            except DecodeError:
                continue
            names = change(message)
            if names:
                parts[number] = message.SerializeToString()
                found += names
        return found

    def _may_exceed(self, part: bytes, kind: type[Message]) -> bool:
        """Tell whether a message may be over the limits; few are read only to find that they are not."""
        count = self._limits.count
        if len(part) > self._limits.value_bytes:
            return True
        return len(part) > count and sum(map(part.count, _TAGS[kind])) > count

    def resource(self, message: Any) -> Sequence[str]:
        """Cut the attributes of a resource, and say so on it."""
        return _said(message, self.attributes(message, "resource"))

    def scope(self, message: Any) -> Sequence[str]:
        """Cut the attributes of an instrumentation scope, and say so on it."""
        return _said(message, self.attributes(message, "instrumentation"))

    def span(self, span: Any) -> Sequence[str]:
        """Cut the attributes of a span, its events and its links, and say so on it."""
        names = self.attributes(span, "span")
        names += self.each(span.events, pb.Event, lambda event: self.attributes(event, "event"))
        names += self.each(span.links, pb.Link, lambda link: self.attributes(link, "link"))
        return _said(span, names)

    def attributes(self, message: Any, scope: str) -> list[str]:
        """Cut attributes in place and return the names of those that were."""
        limit, count = self._limits.value_bytes, self._limits.count
        sent = message.attributes[:]
        if len(sent) <= count and all(len(item) <= limit for item in sent):
            return []
        before = [item for item in sent if not item.startswith(_MARK)]
        marks = [item for item in sent if item.startswith(_MARK)]
        kept = [_cut_value(item, limit) for item in before[:count]]
        changed = [item for item, left in zip(before, kept, strict=False) if left is not item]
        wild = len(marks) > 1 or any(len(mark) > _MARK_BYTES for mark in marks)  # no marks of ours
        if not changed and len(before) <= count and not wild:
            return []
        del message.attributes[:]
        message.attributes.extend(item for item in kept if item is not None)
        self.cuts += Cuts(len(changed), len(before[count:]) + (len(marks) if wild else 0))
        named = [name for mark in marks for name in _named_before(mark)]
        cut_here = (*changed, *before[count:], *(marks if wild else ()))
        return [*(f"{scope}.{_key_of(item)}" for item in cut_here), *named]


def _named_before(mark: bytes) -> Sequence[str]:
    """Return what a mark names that a request came with; anything, where that cannot be told."""
    if len(mark) > _MARK_BYTES:
        return (CUT_ANY,)
    try:
        _, value = decode_attribute(mark)
    except Undecodable:
        return (CUT_ANY,)
    return [str(name) for name in value] if isinstance(value, tuple) else ()


def _said(message: Any, names: Sequence[str]) -> Sequence[str]:
    if names:
        named = sorted({name[:_NAME_CHARACTERS] for name in names})
        told = tuple(named) if len(named) <= MAX_NAMES else (CUT_ANY,)
        message.attributes.append(encode_attribute(CUT, told))
    return names


def _cut_value(item: bytes, limit: int) -> bytes | None:
    """Return an attribute with a value within the limit, the same object if it is; None if its key alone is too long.

    One that cannot be read stays as it is.
    """
    if len(item) <= limit:
        return item
    try:
        attribute = pb.LevelKeyValue.FromString(item)
        value = pb.LevelAnyValue.FromString(attribute.value)
    except DecodeError:
        return item
    if len(attribute.key) > limit:
        return None
    if value.WhichOneof("value") == "string_value":
        text = value.string_value.encode()
        if len(text) <= limit:
            return item
        value.string_value = text[:limit].decode(errors="ignore")
    elif len(attribute.value) <= limit:
        return item
    else:
        value.Clear()
    attribute.value = value.SerializeToString()
    return attribute.SerializeToString()


def _key_of(item: bytes) -> str:
    try:
        return str(pb.LevelKeyValue.FromString(item).key)[:256]
    except DecodeError:
        return "?"
