"""From a received body to a receipt: inflate, convert, hand over, wait for the commit."""

from __future__ import annotations

import concurrent.futures
import contextvars
from dataclasses import dataclass, replace
from functools import partial

from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.counters import Counters, Protocol, Signal
from spanverdict.receiver.errors import Unavailable
from spanverdict.receiver.inflate import InflateLimits, inflate
from spanverdict.receiver.limits import Lease
from spanverdict.receiver.outcomes import Answered, Outcomes
from spanverdict.receiver.ratelimit import RateLimiter
from spanverdict.receiver.sink import Receipt, Sink

_LONG_BODY = 128 * 1024
_LONG_COMPRESSED_BODY = 64 * 1024
_LONG_JSON = 16 * 1024
_GZIP_FLAGS = 3
"""Where a gzip header says what else it has (RFC 1952, 2.3)."""


@dataclass(slots=True)
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
    """The gzip of one member that a body was inflated from."""


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
        self._outcomes = Outcomes()

    def take(self, upload: Upload, answered: Answered) -> None:
        """Hand a request over; `answered` is called once, when it is committed or will not be.

        That is a receipt, or an error as the sink and the limits say: `Undecodable`, `TooLarge`, `Overloaded`,
        `Unavailable`. From here on the lease is ours: it ends when the sink has let go of the request, even if the
        client is gone or has been told to come back by then.
        """
        tell = self._outcomes.teller(answered)
        if _is_long(upload):
            self._workers.submit(contextvars.copy_context().run, self._begin, upload, tell)
        else:
            self._begin(upload, tell)

    def _begin(self, upload: Upload, tell: Answered) -> None:
        try:
            commit, warnings = self._submit(upload)
        except Exception as error:  # noqa: BLE001 - every error is the client's to hear of
            upload.lease.release()
            tell(error)
        else:
            commit.add_done_callback(partial(self._settle, upload, warnings, tell))

    def _submit(self, upload: Upload) -> tuple[concurrent.futures.Future[Receipt], tuple[str, ...]]:
        payload, as_sent = self._inflated(upload)
        self.rates.charge(upload.client, len(payload))
        if upload.signal is not Signal.TRACES:
            return self._discard(upload, payload), ()
        if upload.protocol is not Protocol.HTTP_JSON:
            return self._sink.submit(payload, as_sent if _may_stand_for(as_sent, payload) else b""), ()
        converted, warnings = self._converted(payload)
        return self._sink.submit(converted), warnings

    def _inflated(self, upload: Upload) -> tuple[bytes, bytes]:
        """Return the payload, and the gzip of one member that it came as."""
        if not upload.compressed:
            return upload.body, upload.as_sent
        config = self._config
        limits = InflateLimits(config.max_message_bytes, config.inflate_ratio, config.inflate_floor_bytes)
        payload, members = inflate(upload.body, limits, upload.lease)
        return payload, upload.body if members == 1 else b""

    def _converted(self, text: bytes) -> tuple[bytes, tuple[str, ...]]:
        from spanverdict.otlp.json import json_to_protobuf  # noqa: PLC0415 - most receivers never see OTLP/JSON

        converted = json_to_protobuf(text, lenient_enums=self._config.lenient_enums)
        return converted.payload, converted.warnings

    def _discard(self, upload: Upload, payload: bytes) -> concurrent.futures.Future[Receipt]:
        from spanverdict.receiver import discard  # noqa: PLC0415 - needed where clients send more than traces

        count = discard.count_json_items if upload.protocol is Protocol.HTTP_JSON else discard.count_items
        self._counters.discarded(upload.signal, count(upload.signal, payload))
        done: concurrent.futures.Future[Receipt] = concurrent.futures.Future()
        done.set_result(Receipt(accepted=0))
        return done

    def _settle(
        self, upload: Upload, warnings: tuple[str, ...], tell: Answered, commit: concurrent.futures.Future[Receipt]
    ) -> None:
        """Let go of what is committed, and say so. Called on the thread that commits."""
        upload.lease.release()
        error = _failure_of(commit)
        if error is not None:
            tell(error)
            return
        receipt = commit.result()
        if upload.signal is Signal.TRACES:
            self._counters.committed(upload.protocol, receipt)
        tell(_with_warnings(receipt, warnings))


def _may_stand_for(gzip: bytes, payload: bytes) -> bool:
    """Whether to keep gzip of one member in place of what it holds: it is smaller, and nothing is named in its head."""
    return gzip[_GZIP_FLAGS : _GZIP_FLAGS + 1] == b"\0" and len(gzip) < len(payload)


def _is_long(upload: Upload) -> bool:
    """Whether the work on this body would hold up the event loop by more than some milliseconds."""
    if upload.protocol is Protocol.HTTP_JSON:
        return len(upload.body) > _LONG_JSON
    if upload.signal is Signal.TRACES and not upload.compressed:
        return False  # handed over as it is
    return len(upload.body) > (_LONG_COMPRESSED_BODY if upload.compressed else _LONG_BODY)


def _failure_of(commit: concurrent.futures.Future[Receipt]) -> Exception | None:
    if commit.cancelled():
        return concurrent.futures.CancelledError()
    error = commit.exception()
    return error if error is None or isinstance(error, Exception) else RuntimeError(f"the commit ended: {error!r}")


def commit_too_slow(config: ReceiverConfig) -> Unavailable:
    """Return what a client is told whose request is not committed in time."""
    return Unavailable("the commit takes too long", config.retry_after_s)


def _with_warnings(receipt: Receipt, warnings: tuple[str, ...]) -> Receipt:
    if not warnings:
        return receipt
    return replace(receipt, message="; ".join(filter(None, (receipt.message, *warnings))))
