"""Values that say two spans belong together: message coordinates and correlation keys, compared as text.

One service writes an order number as an integer, the next as a text from a header; both mean the
same order. So values are compared by what they look like, and empty ones say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np

from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import AttributeColumn, SpanTable

MESSAGE_ID: Final = ("messaging.message.id", "messaging.message_id")
DESTINATION: Final = ("messaging.destination.name", "messaging.destination")
PARTITION: Final = (
    "messaging.destination.partition.id",
    "messaging.kafka.destination.partition",
    "messaging.kafka.partition",
)
OFFSET: Final = ("messaging.kafka.offset", "messaging.kafka.message.offset")
CONVERSATION: Final = ("messaging.message.conversation_id", "messaging.conversation_id")
"""Spellings of one attribute, the present one first; older instrumentations write the others."""


def message_columns(table: SpanTable) -> tuple[AttributeColumn, ...]:
    """Return the columns whose equal texts are the same message: its id, or where it lies in a log."""
    place = [_one_of(table, keys) for keys in (DESTINATION, PARTITION, OFFSET)]
    return (_one_of(table, MESSAGE_ID), combined(place))


def conversation_column(table: SpanTable) -> AttributeColumn:
    """Return what messages belong to; a conversation may be about several messages, one after the other."""
    return _one_of(table, CONVERSATION)


def _one_of(table: SpanTable, keys: Sequence[str]) -> AttributeColumn:
    return texts_of(reduce(_or_else, [table.attribute(key) for key in keys]))


def _or_else(first: AttributeColumn, other: AttributeColumn) -> AttributeColumn:
    """Return the first column, and the other's values where it has none."""
    if not other.values:
        return first
    moved = np.where(other.codes >= 0, other.codes + np.int32(len(first.values)), np.int32(-1))
    return AttributeColumn(np.where(first.codes >= 0, first.codes, moved), (*first.values, *other.values))


def texts_of(column: AttributeColumn) -> AttributeColumn:
    """Return the column as texts, each distinct text at one position; absent where there is nothing to compare."""
    if not column.values:
        return column
    numbers: dict[str, int] = {}
    texts = [text_of(value) for value in column.values]
    moved = [-1 if text is None else numbers.setdefault(text, len(numbers)) for text in texts]
    codes = np.array([*moved, -1], np.int32)[column.codes]
    return AttributeColumn(codes, tuple(numbers))


def text_of(value: Value) -> str | None:
    """Return what a value looks like; None when it says nothing.

    >>> text_of(7), text_of("7"), text_of(7.0), text_of(True), text_of(""), text_of(None)
    ('7', '7', '7', 'true', None, None)
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value in ("", b"", ()):
        return None
    return value if isinstance(value, str) else repr(value)


def combined(columns: Sequence[AttributeColumn]) -> AttributeColumn:
    """Join columns of texts into one, present where all of them are."""
    codes = np.full(len(columns[0].codes), -1, np.int32)
    rows = np.flatnonzero(np.logical_and.reduce([column.codes >= 0 for column in columns]))
    if not len(rows):
        return AttributeColumn(codes, ())
    joined = np.zeros(len(rows), np.int64)
    for column in columns:
        _, joined = np.unique(joined * len(column.values) + column.codes[rows], return_inverse=True)
    codes[rows] = joined
    _, first = np.unique(joined, return_index=True)
    texts = [tuple(column.values[column.codes[row]] for column in columns) for row in rows[first].tolist()]
    return AttributeColumn(codes, tuple(texts))
