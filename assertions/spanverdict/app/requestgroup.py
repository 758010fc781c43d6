"""Requests that are decoded and committed together, from when they came until each is answered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from opentelemetry import context, metrics, trace

from spanverdict.app.admission import Admission
from spanverdict.masking.masker import Masker
from spanverdict.otlp.decode import Tally
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.limiting import Cuts
from spanverdict.receiver.errors import Unavailable
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.journal import Journal
from spanverdict.telemetry.spantable import SpanTable

Deliver: TypeAlias = Callable[[Sequence[int], SpanTable], None]
"""Takes the spans of committed batches, whose ids follow each other."""

_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("spanverdict")
_meter = metrics.get_meter("spanverdict")
_spans = _meter.create_counter("spanverdict.spans.accepted", "{span}", "Spans journaled and acknowledged")


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A payload that came, and what is known of it so far; `receipt` resolves once it is committed."""

    payload: bytes
    as_sent: bytes = b""
    """The gzip that all of the payload was inflated from; empty where it was not, or is not all any more."""
    receipt: Future[Receipt] = field(default_factory=Future)
    looked_at: bool = False
    """For what has to be masked."""
    suspected: bool = False
    """Something may have to be."""
    cuts: Cuts | None = None
    """What was cut; None where nobody has looked yet."""
    oversized: bool = False
    """Something has to be cut."""
    at: float = field(default_factory=time.monotonic)
    """When it came."""

    def with_payload(self, payload: bytes, **more: Any) -> Request:
        """Return it with what is left of its payload, which may be all of it."""
        as_sent = self.as_sent if payload is self.payload else b""
        return replace(self, payload=payload, as_sent=as_sent, **more)

    @property
    def kept(self) -> bytes:
        """What is journaled: bytes as they were sent, if they may be."""
        return self.as_sent or self.payload

    def masked_by(self, masker: Masker) -> Request:
        """Return it with what the masker leaves of its payload, unless it was looked at before."""
        if self.looked_at:
            return self
        return self.with_payload(masker.masked(self.payload), looked_at=True)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Where spans go after they were decoded."""

    journal: Journal
    deliver: Deliver
    look_again: Callable[[Sequence[Request]], None]
    admission: Admission | None


class RequestGroup:
    """Requests that are decoded and committed together, from then until all of them are answered."""

    def __init__(self, requests: Sequence[Request], way: Way) -> None:
        self.requests = list(requests)
        """In the order in which they came."""
        self._way = way
        self._receiving = _tracer.start_span("receive", attributes={"spanverdict.requests": len(requests)})
        self._step = self._begin("decode")

    @property
    def payloads(self) -> Sequence[bytes]:
        """Those of the requests, in order."""
        return [request.payload for request in self.requests]

    @property
    def looked_at(self) -> bool:
        """Whether all of them were looked at for what has to be masked."""
        return all(request.looked_at for request in self.requests)

    @property
    def within_limits(self) -> bool:
        """Whether all of them were looked at for what has to be cut."""
        return all(request.cuts is not None for request in self.requests)

    def suspected(self) -> None:
        """Give the requests back, as something may have to be masked in them."""
        self._end()
        self._way.look_again([replace(request, suspected=True) for request in self.requests])

    def oversized(self) -> None:
        """Give the requests back, as something has to be cut in them."""
        self._end()
        self._way.look_again([replace(request, oversized=True) for request in self.requests])

    def split(self) -> Sequence[RequestGroup]:
        """Return the requests one by one."""
        self._end()
        return [RequestGroup((request,), self._way) for request in self.requests]

    def failed(self, error: Exception) -> None:
        """Tell the clients of a fault that is not theirs."""
        if not isinstance(error, Unavailable):
            _log.error("%d requests could not be taken in", len(self.requests), exc_info=error)
        self._end()
        for request in self.requests:
            if not request.receipt.done():
                request.receipt.set_exception(error)

    def decoded(self, table: SpanTable, tallies: Sequence[Tally], *, here: bool = False) -> None:
        """Answer requests without spans, and queue the others for the journal; with `here`, commit them, too."""
        self._step.set_attribute("spanverdict.spans", len(table))
        self._step.end()
        held = [(request, tally) for request, tally in zip(self.requests, tallies, strict=True) if tally.accepted]
        for request, tally in zip(self.requests, tallies, strict=True):
            if not tally.accepted:
                _answer_without_spans(request, tally)
        table, held = self._admitted(table, held)
        if not held:
            self._receiving.end()
            return
        self._step = self._begin("journal")
        commit = self._way.journal.append_all([request.kept for request, _ in held], time.time_ns(), here=here)
        commit.add_done_callback(lambda done: self._settle(done, held, table))

    def _admitted(
        self, table: SpanTable, held: list[tuple[Request, Tally]]
    ) -> tuple[SpanTable, list[tuple[Request, Tally]]]:
        """Answer requests that name too many new runs, and return what is left."""
        if self._way.admission is None:
            return table, held
        table, refusals = self._way.admission.sift(table, [tally.accepted for _, tally in held])
        if not any(refusals):
            return table, held
        for (request, _), refusal in zip(held, refusals, strict=True):
            if refusal is not None:
                request.receipt.set_exception(refusal)
        return table, [one for one, refusal in zip(held, refusals, strict=True) if refusal is None]

    def _settle(self, commit: Future[range], held: Sequence[tuple[Request, Tally]], table: SpanTable) -> None:
        """Hand on what was committed, then tell the clients. Called on the thread that commits."""
        self._end()
        error = commit.exception()
        if error is None:
            _spans.add(len(table))
            self._way.deliver(commit.result(), table)
        else:
            if self._way.admission is not None:
                self._way.admission.withdraw(table)
            if isinstance(error, StoreUnavailable):
                error = Unavailable(str(error))
        for request, tally in held:
            if error is None:
                request.receipt.set_result(_receipt(request, tally))
            else:
                request.receipt.set_exception(error)

    def _begin(self, step: str) -> trace.Span:
        if not self._receiving.is_recording():  # nearly always
            return trace.INVALID_SPAN
        return _tracer.start_span(step, trace.set_span_in_context(self._receiving, context.Context()))

    def _end(self) -> None:
        self._step.end()
        self._receiving.end()


def _answer_without_spans(request: Request, tally: Tally) -> None:
    if tally.undecodable:
        request.receipt.set_exception(Undecodable(tally.undecodable))
    else:
        request.receipt.set_result(_receipt(request, tally))


def _receipt(request: Request, tally: Tally) -> Receipt:
    told = (*tally.problems, *([str(request.cuts)] if request.cuts else []))
    return Receipt(tally.accepted, tally.rejected, "; ".join(told))
