"""From a request's bytes to a durable batch: decode, journal, acknowledge, hand on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from opentelemetry import metrics, trace

from spanverdict.otlp.decode import Decoded, decode, new_pool
from spanverdict.receiver.errors import Unavailable
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.journal import Journal
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import SpanTable

POOL_LIMIT: Final = 1_000_000
"""Distinct attributes after which a fresh pool is begun, so that old values can be let go."""

_tracer = trace.get_tracer("spanverdict")
_meter = metrics.get_meter("spanverdict")
_spans = _meter.create_counter("spanverdict.spans.accepted", "{span}", "Spans journaled and acknowledged")


class Decoder:
    """Decodes payloads into tables of one pool, one at a time; begins a fresh pool when it grows large."""

    def __init__(self, pool_limit: int = POOL_LIMIT) -> None:
        self._lock = threading.Lock()
        self._pool: Pool = new_pool()
        self._limit = pool_limit

    def decode(self, payload: bytes) -> Decoded:
        """Decode a payload; raises `Undecodable`."""
        with self._lock, _tracer.start_as_current_span("decode") as span:
            if len(self._pool.attributes) > self._limit:
                self._pool = new_pool()
            decoded = decode(payload, self._pool)
            span.set_attribute("spanverdict.spans", len(decoded.table))
            return decoded


class Intake:
    """The receiver's sink. `deliver` gets every committed batch, in no particular order of batches."""

    def __init__(self, journal: Journal, deliver: Callable[[int, SpanTable], None]) -> None:
        self._journal = journal
        self._deliver = deliver
        self._decoder = Decoder()

    def submit(self, payload: bytes) -> Future[Receipt]:
        """Decode a request, queue it for the journal; the future resolves once it is committed."""
        with _tracer.start_as_current_span("receive") as span:
            span.set_attribute("spanverdict.bytes", len(payload))
            decoded = self._decoder.decode(payload)
            receipt: Future[Receipt] = Future()
            if not len(decoded.table):
                receipt.set_result(_receipt(decoded))
                return receipt
            waiting = _tracer.start_span("journal")
            committed = self._journal.append(payload, time.time_ns())

        def settle(batch: Future[int]) -> None:
            waiting.end()
            error = batch.exception()
            if error is not None:
                receipt.set_exception(Unavailable(str(error)) if isinstance(error, StoreUnavailable) else error)
                return
            _spans.add(len(decoded.table))
            self._deliver(batch.result(), decoded.table)
            receipt.set_result(_receipt(decoded))

        committed.add_done_callback(settle)
        return receipt


def _receipt(decoded: Decoded) -> Receipt:
    return Receipt(len(decoded.table), decoded.rejected, "; ".join(decoded.problems))
