"""What is fuzzed of the rooms behind the wires: segments that are recovered, and loops that become machine code."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any
from unittest import mock

import numpy as np
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from bench.load import make_payload
from otlp.messages import table_rows
from otlp.test_scanning import ODDITIES, SPAN, wrap
from spanverdict.otlp.decode import decode_all, new_pool
from spanverdict.otlp.values import decode_attribute
from spanverdict.storage.store import Store
from spanverdict.telemetry.compiling import Taken
from spanverdict.telemetry.likening import likened
from spanverdict.telemetry.transfer import TableReader, TableWriter
from storage.journaling import IN_SEGMENTS, file_of, fill, going_on, lose_rows, segments

KNOWN, LOST = 4, 6
"""Batches of the store whose segment is fuzzed: those that its file knows, and those that only the segment has."""
MOST = 500
"""Bytes of an example."""


def segment(data: bytes) -> None:
    """Whatever a segment holds, a store opens, gives batches only as they were, tells of others, and goes on."""
    with TemporaryDirectory() as folder:
        path = Path(shutil.copytree(_store(), Path(folder) / "s")) / "store.db"
        segments(path)[0].write_bytes(data)
        with Store.open(path, synchronous="OFF", limits=IN_SEGMENTS) as store:
            going_on(store)


@cache
def _store() -> Path:
    """Make a store whose file is older than its segment."""
    folder = mkdtemp(prefix="spanverdict-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "s" / "store.db"
    path.parent.mkdir()
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 1, KNOWN - 1)
        early = file_of(path)
        fill(store, 2, 1, LOST - 3)
    lose_rows(path, early)
    return path.parent


class Bounded(np.ndarray[Any, Any]):
    """An array in which no index is counted from the end, as machine code has it."""

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_bounded(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_bounded(key), value)


def _bounded(key: Any) -> Any:
    for one in key if isinstance(key, tuple) else (key,):
        if not isinstance(one, slice):
            assert one >= 0, "an index before the beginning"
    return key


@contextmanager
def as_written() -> Iterator[None]:
    """Run what becomes machine code as it was written, with every index held against its bounds."""
    from spanverdict.otlp.compiled import ROUTINES

    seen = Taken.seen
    with (
        mock.patch.object(Taken, "seen", lambda taken, array: seen(taken, array).view(Bounded)),
        np.errstate(over="ignore"),
    ):
        kept = [routine.machine for routine in ROUTINES]
        try:
            for routine in ROUTINES:
                routine.machine = None
            yield
        finally:
            for routine, machine in zip(ROUTINES, kept, strict=True):
                routine.machine = machine


def walker(data: bytes) -> None:
    """Loops that become machine code look at nothing beyond what they were given, and find what others find."""
    for odd in (data, wrap(data)):
        payloads, pool = [make_payload(1, 3, 2), odd, b"", make_payload(40, 5, 4)], new_pool(100)
        with as_written():
            table, tallies = decode_all(payloads, pool, compiled=True)
            packed = TableWriter(pool, many=0).pack(table, likened)
        body = np.frombuffer(b"".join(column.tobytes() for column in packed.columns), np.uint8)
        expected, expected_tallies = decode_all(payloads, new_pool(100))
        assert tallies == expected_tallies
        assert table_rows(table) == table_rows(expected)
        assert table_rows(TableReader(decode_attribute).unpack(packed.head, body)) == table_rows(expected)


def room_examples(name: str) -> list[bytes]:
    """Return what fuzzing a target starts from."""
    if name == "segment":
        return [segments(_store() / "store.db")[0].read_bytes()]
    requests = [make_payload(spans, attributes, spans) for spans, attributes in ((1, 1), (2, 12), (3, 16))]
    parts = [part for request in requests for part in TracesData.FromString(request).resource_spans]
    spans = [span.SerializeToString() for part in parts for span in part.scope_spans[0].spans]
    return [*requests, *spans, SPAN, *(SPAN + odd for odd in ODDITIES.values() if len(odd) < MOST)]


ROOMS: Mapping[str, Callable[[bytes], None]] = {
    "segment": segment,
    **({"walker": walker} if find_spec("numba") is not None else {}),
}
