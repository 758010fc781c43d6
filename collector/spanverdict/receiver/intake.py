"""From a received body to a receipt: inflate, convert, hand over, wait for the commit."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.counters import Counters, Protocol, Signal
from spanverdict.receiver.errors import Unavailable
from spanverdict.receiver.inflate import InflateLimits, inflate
from spanverdict.receiver.limits import Lease
from spanverdict.receiver.ratelimit import RateLimiter
from spanverdict.receiver.sink import Receipt, Sink

T = TypeVar("T")

_LONG_BODY = 128 * 1024
_LONG_COMPRESSED_BODY = 64 * 1024
_LONG_JSON = 16 * 1024
_GZIP_FLAGS = 3
"""Where a gzip header says what else it has (RFC 1952, 2.3)."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One request's body as it arrived, with its lease. HTTP bodies are inflated while they arrive, gRPC's are not."""

    signal: Signal
    protocol: Protocol
    body: bytes
    compressed: bool
    lease: Lease
    client: str = ""
    """Who sends it, for the rate limit."""
    as_sent: bytes = b""
    """The gzip that a body was inflated from."""


@dataclass(frozen=True, slots=True)
class _Submission:
    commit: concurrent.futures.Future[Receipt]
    warnings: tuple[str, ...] = ()


class Intake:
    """Both servers' way to the sink. Call it on the receiver's event loop."""

    def __init__(
        self,
        sink: Sink,
        config: ReceiverConfig,
        counters: Counters,
        workers: concurrent.futures.Executor,
        rates: RateLimiter,
    ) -> None:
        self._sink = sink
        self._config = config
        self._counters = counters
        self._workers = workers
        self.rates = rates
        """Whoever takes a request in asks it before the body is read."""

    async def take(self, upload: Upload) -> Receipt:
        """Hand a request over and wait until it is committed.

        From here on the lease is ours: it ends when the sink has let go of the request, even if the client is gone
        or has been told to come back by then.

        Raises:
            Undecodable, TooLarge, Overloaded, Unavailable: as the sink and the limits say.
        """
        if _is_long(upload):
            context = contextvars.copy_context()
            submission = await _outcome(self._workers.submit(context.run, self._begin, upload))
        else:
            submission = self._begin(upload)
        return _with_warnings(await self._committed(submission), submission.warnings)

    async def _committed(self, submission: _Submission) -> Receipt:
        try:
            return await _outcome(submission.commit, self._config.commit_timeout_s)
        except TimeoutError:
            raise Unavailable("the commit takes too long", self._config.retry_after_s) from None

    def _begin(self, upload: Upload) -> _Submission:
        try:
            submission = self._submit(upload)
        except BaseException:
            upload.lease.release()
            raise
        submission.commit.add_done_callback(partial(self._settle, upload))
        return submission

    def _submit(self, upload: Upload) -> _Submission:
        payload = self._inflated(upload)
        self.rates.charge(upload.client, len(payload))
        if upload.signal is not Signal.TRACES:
            return self._discard(upload, payload)
        if upload.protocol is not Protocol.HTTP_JSON:
            as_sent = upload.body if upload.compressed else upload.as_sent
            return _Submission(self._sink.submit(payload, as_sent if _may_stand_for(as_sent, payload) else b""))
        converted, warnings = self._converted(payload)
        return _Submission(self._sink.submit(converted), warnings)

    def _inflated(self, upload: Upload) -> bytes:
        if not upload.compressed:
            return upload.body
        config = self._config
        limits = InflateLimits(config.max_message_bytes, config.inflate_ratio, config.inflate_floor_bytes)
        return inflate(upload.body, limits, upload.lease)

    def _converted(self, text: bytes) -> tuple[bytes, tuple[str, ...]]:
        from spanverdict.otlp.json import json_to_protobuf  # noqa: PLC0415 - most receivers never see OTLP/JSON

        converted = json_to_protobuf(text, lenient_enums=self._config.lenient_enums)
        return converted.payload, converted.warnings

    def _discard(self, upload: Upload, payload: bytes) -> _Submission:
        from spanverdict.receiver import discard  # noqa: PLC0415 - needed where clients send more than traces

        count = discard.count_json_items if upload.protocol is Protocol.HTTP_JSON else discard.count_items
        self._counters.discarded(upload.signal, count(upload.signal, payload))
        done: concurrent.futures.Future[Receipt] = concurrent.futures.Future()
        done.set_result(Receipt(accepted=0))
        return _Submission(done)

    def _settle(self, upload: Upload, commit: concurrent.futures.Future[Receipt]) -> None:
        upload.lease.release()
        if upload.signal is Signal.TRACES and not commit.cancelled() and commit.exception() is None:
            self._counters.committed(upload.protocol, commit.result())


def _may_stand_for(gzip: bytes, payload: bytes) -> bool:
    """Whether to keep gzip in place of what it holds: it is smaller, and its head has nothing to be masked."""
    return gzip[_GZIP_FLAGS : _GZIP_FLAGS + 1] == b"\0" and len(gzip) < len(payload)


def _is_long(upload: Upload) -> bool:
    """Whether the work on this body would hold up the event loop by more than some milliseconds."""
    if upload.protocol is Protocol.HTTP_JSON:
        return len(upload.body) > _LONG_JSON
    if upload.signal is Signal.TRACES and not upload.compressed:
        return False  # handed over as it is
    return len(upload.body) > (_LONG_COMPRESSED_BODY if upload.compressed else _LONG_BODY)


async def _outcome(future: concurrent.futures.Future[T], timeout_s: float | None = None) -> T:
    """Wait for a thread's future without ever cancelling it, whatever becomes of the waiting task."""
    if not future.done():
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        future.add_done_callback(lambda _: _wake_from_outside(loop, woken))
        timer = None if timeout_s is None else loop.call_later(timeout_s, _wake, woken)
        try:
            await woken
        finally:
            if timer is not None:
                timer.cancel()
    if not future.done():
        raise TimeoutError
    return future.result()


def _wake_from_outside(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the connection that waited
        loop.call_soon_threadsafe(_wake, waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _with_warnings(receipt: Receipt, warnings: tuple[str, ...]) -> Receipt:
    if not warnings:
        return receipt
    return replace(receipt, message="; ".join(filter(None, (receipt.message, *warnings))))
