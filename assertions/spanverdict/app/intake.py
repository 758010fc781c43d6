"""From a request's bytes to a durable batch: decode, journal, acknowledge, hand on.

One thread decodes for all connections. It takes what has come in meanwhile together, which costs less than one
request at a time, and leaves the receiver's event loop free.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

import numpy as np
from opentelemetry import metrics, trace

from spanverdict.otlp.decode import Decoded, Tally, decode, decode_all, new_pool
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import Overloaded, Unavailable
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.journal import Journal
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import SpanTable

POOL_LIMIT: Final = 1_000_000
"""Distinct attributes after which a fresh pool is begun, so that old values can be let go."""
RECENT_ATTRIBUTES: Final = 20_000
"""How many a pool remembers: those that come again do so soon, and a small memory is a fast one."""
GROUP_BYTES: Final = 512 * 1024
"""Payload that is decoded together. Larger groups would cost no less, and let the first request wait longer."""

Deliver: TypeAlias = Callable[[Sequence[int], SpanTable], None]
"""Takes the spans of committed batches, whose ids follow each other."""

_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("spanverdict")
_meter = metrics.get_meter("spanverdict")
_spans = _meter.create_counter("spanverdict.spans.accepted", "{span}", "Spans journaled and acknowledged")


class Decoder:
    """Decodes payloads into tables of one pool; begins a fresh pool when it grows large. For one thread."""

    def __init__(self, pool_limit: int = POOL_LIMIT) -> None:
        self._pool: Pool = new_pool(RECENT_ATTRIBUTES)
        self._limit = pool_limit

    def decode(self, payload: bytes) -> Decoded:
        """Decode a payload; raises `Undecodable`."""
        return decode(payload, self._with_room())

    def decode_all(self, payloads: Sequence[bytes]) -> tuple[SpanTable, tuple[Tally, ...]]:
        """Decode payloads into one table; what is not OTLP is said in its tally."""
        return decode_all(payloads, self._with_room())

    def _with_room(self) -> Pool:
        if max(len(self._pool.attributes), len(self._pool.traces)) > self._limit:
            self._pool = new_pool(RECENT_ATTRIBUTES)
        return self._pool


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    payload: bytes
    receipt: Future[Receipt] = field(default_factory=Future)


class _Stop:
    pass


class Intake:
    """The receiver's sink. `deliver` gets all that was committed; `has_room` says whether more can be taken now.

    Start it before the receiver and close it after.
    """

    def __init__(self, journal: Journal, deliver: Deliver, has_room: Callable[[], bool] = lambda: True) -> None:
        self._journal = journal
        self._deliver = deliver
        self._has_room = has_room
        self._decoder = Decoder()
        self._waiting: SimpleQueue[_Request | _Stop] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin to decode."""
        self._thread.start()

    def close(self) -> None:
        """Decode and queue what was submitted, then stop."""
        self._waiting.put(_Stop())
        self._thread.join()

    def submit(self, payload: bytes) -> Future[Receipt]:
        """Queue a request; the future resolves once it is committed. Raises `Overloaded`."""
        if not self._has_room():
            raise Overloaded
        request = _Request(payload)
        self._waiting.put(request)
        return request.receipt

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._take_in(group)
            except Exception as error:  # noqa: BLE001 - logged and told to the clients; the thread must outlive any one group
                _log.exception("%d requests could not be taken in", len(group))
                for request in group:
                    if not request.receipt.done():
                        request.receipt.set_exception(error)

    def _next_group(self) -> list[_Request]:
        """Wait for a request and take those that have come with it; empty when told to stop."""
        group: list[_Request] = []
        size = 0
        while size < GROUP_BYTES:
            try:
                item = self._waiting.get(block=not group)
            except Empty:
                break
            if isinstance(item, _Stop):
                if group:
                    self._waiting.put(item)
                break
            group.append(item)
            size += len(item.payload)
        return group

    def _take_in(self, group: Sequence[_Request]) -> None:
        with _tracer.start_as_current_span("receive") as receiving:
            receiving.set_attribute("spanverdict.requests", len(group))
            with _tracer.start_as_current_span("decode") as decoding:
                table, tallies = self._decoder.decode_all([request.payload for request in group])
                decoding.set_attribute("spanverdict.spans", len(table))
            held = _Held(table, self._deliver, _tracer.start_span("journal"))
            for request, tally in zip(group, tallies, strict=True):
                if tally.accepted:
                    held.add(request, tally)
                else:
                    _answer_without_spans(request.receipt, tally)
            held.commit(self._journal)


@dataclass(slots=True, eq=False)
class _Held:
    """Requests decoded together, from then until all of them are committed or refused."""

    table: SpanTable
    deliver: Deliver
    waiting: trace.Span
    requests: list[_Request] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    commits: list[Future[int]] = field(default_factory=list)
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, request: _Request, tally: Tally) -> None:
        """Hold a request with spans; in the order of their rows."""
        self.requests.append(request)
        self.tallies.append(tally)

    def commit(self, journal: Journal) -> None:
        """Queue all for the journal. What follows is done on the thread that commits, after the last."""
        self._open = len(self.requests)
        now = time.time_ns()
        self.commits = [journal.append(request.payload, now) for request in self.requests]
        for commit in self.commits:
            commit.add_done_callback(self._one_done)
        if not self.requests:
            self.waiting.end()

    def _one_done(self, _commit: Future[int]) -> None:
        with self._lock:
            self._open -= 1
            last = self._open == 0
        if last:
            self.waiting.end()
            self._settle([commit.exception() for commit in self.commits])

    def _settle(self, errors: Sequence[BaseException | None]) -> None:
        """Hand on what was committed, then tell the clients."""
        ids = [commit.result() for commit, error in zip(self.commits, errors, strict=True) if error is None]
        if ids:
            kept = np.repeat([error is None for error in errors], [tally.accepted for tally in self.tallies])
            _spans.add(int(kept.sum()))
            self.deliver(ids, self.table if kept.all() else self.table.take(np.flatnonzero(kept)))
        for request, tally, error in zip(self.requests, self.tallies, errors, strict=True):
            if error is None:
                request.receipt.set_result(_receipt(tally))
            else:
                known = isinstance(error, StoreUnavailable)
                request.receipt.set_exception(Unavailable(str(error)) if known else error)


def _answer_without_spans(receipt: Future[Receipt], tally: Tally) -> None:
    if tally.undecodable:
        receipt.set_exception(Undecodable(tally.undecodable))
    else:
        receipt.set_result(_receipt(tally))


def _receipt(tally: Tally) -> Receipt:
    return Receipt(tally.accepted, tally.rejected, "; ".join(tally.problems))
