"""Span tables on their way to another process: columns as they lie in memory, and what their pool has learned.

The pool over there follows the one here: it appends what it is told and nothing else, so a number means the same in
both. What has been told once is not told again. Which key each new attribute carries is told, too: whoever takes tables
asks for it first, on a thread on which all others wait. For the same reason many new attributes may be made compact
before they are sent.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.alikes import Alikes, Description
from spanverdict.telemetry.blocks import Int32s, Rows
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.items import Items
from spanverdict.telemetry.keyindex import KeyNumbers, ToldKeys
from spanverdict.telemetry.pool import AttributeDecoder, Pool
from spanverdict.telemetry.spantable import Events, Links, Ragged, SpanTable

Column: TypeAlias = npt.NDArray[Any]
Liken: TypeAlias = Callable[[Sequence[Sequence[bytes] | Rows], Int32s], Alikes | None]
"""Makes items compact, of which it is told the numbers of their keys; None when too few are alike."""

_ITEMS: Final = ("traces", "strings", "attributes", "resources", "scopes")
_ATTRIBUTES: Final = _ITEMS.index("attributes")
_LISTS: Final = ("resource_attributes", "scope_attributes", "scope_names")
_SHAPE: Final = ("rows", "words")
"""What is said of rows."""
_NAMES: Final[Mapping[type, tuple[str, ...]]] = MappingProxyType(
    {
        kind: tuple(entry.name for entry in fields(kind) if not entry.name.startswith("_"))
        for kind in (SpanTable, Ragged, Events, Links)
    }
)
"""The fields that a table and its lists are made of."""
MANY: Final = 1000
"""Fewer new attributes are sent as they are, and made compact over there, together with others."""
_ALIGNED: Final = 8
_MARSHAL_VERSION: Final = 2
"""The last that does not look for objects that come twice; in a pool none does."""


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A table ready to be sent: `head` first, then the bytes of `columns` end to end."""

    head: bytes
    columns: list[Column]
    """The rows of new items, if any, among them."""


class TableWriter:
    """Packs the tables of one pool, in the order in which they are to be unpacked.

    From `many` new attributes on they may be made compact.
    """

    def __init__(self, pool: Pool, many: int = MANY) -> None:
        self.pool = pool
        self._many = many
        self._told = dict.fromkeys((*_ITEMS, *_LISTS), 0)
        self._told_keys = 0
        self._columns: Callable[[SpanTable], tuple[Column, ...]] = attrgetter(*_places(SpanTable.empty(pool)))

    def pack(self, table: SpanTable, liken: Liken | None = None) -> Packed:
        """Pack a table, with all that the pool has learned since the last one.

        `liken` makes many new attributes compact, of which it is told the numbers of their keys.
        """
        keys, names = self.pool.keys.since(self._told["attributes"], self._told_keys)
        self._told_keys += len(names)
        # Wide columns go first: so all of them are aligned in a row of bytes.
        columns = map(np.ascontiguousarray, (keys, *self._columns(table)))  # what is the same everywhere is written out
        placed = sorted(enumerate(columns), key=lambda entry: -entry[1].itemsize)
        shape = [(place, column.dtype.str, len(column)) for place, column in placed]
        rows: list[Column] = []
        alikes = self._likened(keys, liken) if liken is not None else []
        news = [self._new_items(name, getattr(self.pool, name), rows) for name in _ITEMS]
        for part in alikes:
            news[_ATTRIBUTES].append(_laid(part, rows))
        news += [self._news(name, getattr(self.pool, name)) for name in _LISTS]
        head = marshal.dumps((self.pool.attributes.recent, news, names, shape), _MARSHAL_VERSION)
        return Packed(head, [*rows, *(column for _, column in placed)])

    def let_go(self) -> None:
        """Forget the attributes that have been told, when nobody here reads them: they were most of the memory."""
        items = self.pool.attributes.items_by_id
        if isinstance(items, Items):
            items.let_go()

    def _likened(self, keys: KeyNumbers, liken: Liken) -> list[Alikes]:
        """Return new attributes if they are made compact; then they count as told."""
        if len(keys) < self._many:
            return []
        told, attributes = self._told, self.pool.attributes
        alikes = liken([part for _, part in attributes.parts(told["attributes"])], keys.astype(np.int32))
        if alikes is None:
            return []
        told["attributes"] += len(alikes)
        return [alikes]

    def _new_items(self, name: str, interner: Interner, rows: list[Column]) -> list[Any]:
        """Return new items part by part: Python bytes as a list; rows as their shape, and add them to `rows`."""
        news: list[Any] = []
        for start, part in interner.parts(self._told[name]):
            if isinstance(part, np.ndarray):
                news.append(part.shape)
                rows.append(part)
            else:
                news.append([*part])
            self._told[name] = start + len(part)
        return news

    def _news(self, name: str, items: list[Any]) -> list[Any]:
        new = items[self._told[name] :]
        self._told[name] += len(new)
        return new


class TableReader:
    """Unpacks what one `TableWriter` packed, in the same order, into tables of one pool."""

    def __init__(self, decode_attribute: AttributeDecoder) -> None:
        self._decode_attribute = decode_attribute
        self._empty: SpanTable | None = None
        self._pool: Follower | None = None

    def unpack(self, head: bytes, body: npt.NDArray[np.uint8]) -> SpanTable:
        """Make the table; its columns are views of `body`, which must not change any more."""
        recent, news, names, shape = marshal.loads(head)  # noqa: S302 - from a process that we started ourselves
        if self._empty is None or self._pool is None:
            self._pool = Follower(self._decode_attribute, recent)
            self._empty = SpanTable.empty(self._pool)
        at = 0
        for name, new in zip((*_ITEMS, *_LISTS), news, strict=True):
            known = getattr(self._pool, name)
            if isinstance(known, Interner):
                at = _add(known.items_by_id, new, body, at)
            else:
                known.extend(new)
        self._pool.weigh()
        keys, *columns = _views(shape, body, at)
        self._pool.told_keys.learn(keys, names)
        table: SpanTable = _with_columns(self._empty, iter(columns))
        return table


def _add(items: list[bytes] | Items, news: Sequence[Any], body: npt.NDArray[np.uint8], at: int) -> int:
    """Add new items, of which rows stand in the body from `at` on; return where what follows them begins."""
    for part in news:
        if isinstance(part, list):
            items.extend(part)
            continue
        assert isinstance(items, Items)
        if len(part) > len(_SHAPE):
            items.extend_alikes(Alikes.unflattened(part, body[at : at + part[0]].copy()))
            at += part[0]
        else:
            rows: Rows = np.ndarray(part, np.uint64, body, at)
            items.extend_rows(rows.copy())  # or all of the body would be kept as long as the pool
            at += rows.nbytes
    return at


def _laid(alikes: Alikes, rows: list[Column]) -> Description:
    """Add all that may be large to rows, so that what follows is aligned, and return the rest."""
    description, data = alikes.flattened()
    padding = np.zeros(-description[0] % _ALIGNED, np.uint8)
    rows.append(np.concatenate([*(part.ravel() for part in data), padding]))
    return description[0] + len(padding), *description[1:]


class Follower(Pool):
    """A pool that is only told what another one holds."""

    def __init__(self, decode_attribute: AttributeDecoder, recent_attributes: int = 0) -> None:
        super().__init__(decode_attribute, recent_attributes)
        self.traces = _Told()
        self.strings = _Told()
        self.attributes = _Told(recent_attributes)
        self.resources = _Told()
        self.scopes = _Told()
        self._keys = self.told_keys = ToldKeys(self.attributes)


class _Told(Interner):
    """Items by their numbers, given from outside. Looking one up is rare, so the way back is made when asked for."""

    __slots__ = ("_looked_through", "_places")

    def __init__(self, recent: int = 0) -> None:
        super().__init__(recent)
        self._places: dict[bytes, int] = {}
        self._looked_through = 0

    def __getitem__(self, item: bytes) -> int:
        number = self.find(item)
        if number < 0:
            raise LookupError("a pool that follows another one numbers nothing itself")
        return number

    def find(self, item: bytes) -> int:
        end = len(self.items_by_id)
        for number in range(self._looked_through, end):
            self._places[self.items_by_id[number]] = number
        self._looked_through = end
        return self._places.get(item, -1)

    def number_all(self, items: Sequence[bytes]) -> Int32s:
        return np.fromiter(map(self.__getitem__, items), np.int32, len(items))


def _places(part: object, within: str = "") -> Iterator[str]:
    """Yield where all arrays of a table are, in the order of its fields, those of its lists included."""
    for name in _NAMES[type(part)]:
        value = getattr(part, name)
        if isinstance(value, np.ndarray):
            yield f"{within}{name}"
        elif is_dataclass(value):
            yield from _places(value, f"{within}{name}.")


def _views(shape: Sequence[tuple[int, str, int]], body: npt.NDArray[np.uint8], start: int) -> list[Column]:
    """Cut a row of bytes from `start` on into columns, in the order in which `_places` names them."""
    views: dict[int, Column] = {}
    for place, dtype, length in shape:
        kind = _dtype(dtype)
        views[place] = np.ndarray((length,), kind, body, start)
        start += length * kind.itemsize
    return [views[place] for place in range(len(views))]


@cache
def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(name)


def _with_columns(part: Any, columns: Iterator[Column]) -> Any:
    """Return a table, or one of its lists, with other columns."""
    values: dict[str, Any] = {}
    for name in _NAMES[type(part)]:
        value = getattr(part, name)
        if isinstance(value, np.ndarray):
            values[name] = next(columns)
        elif is_dataclass(value):
            values[name] = _with_columns(value, columns)
        else:
            values[name] = value
    return type(part)(**values)
