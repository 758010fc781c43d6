"""What an operator wants to know of the receiver, counted since it started."""

from __future__ import annotations

import threading
from collections import Counter
from enum import StrEnum

from spanverdict.receiver.sink import Receipt


class Protocol(StrEnum):
    """OpenTelemetry's names of the three forms of OTLP."""

    GRPC = "grpc"
    HTTP_PROTOBUF = "http/protobuf"
    HTTP_JSON = "http/json"


class Signal(StrEnum):
    """What a request carries. Only traces are kept."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"
    PROFILES = "profiles"


class Counters:
    """Counts that only grow. Safe for use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("requests", "wire_bytes", "spans_accepted", "spans_rejected", "discarded")
        }
        self._refused: dict[str, Counter[str]] = {}

    def received(self, protocol: Protocol, wire_bytes: int) -> None:
        """A request's body is here, `wire_bytes` long as it was sent."""
        with self._lock:
            self._counts["requests"][protocol] += 1
            self._counts["wire_bytes"][protocol] += wire_bytes

    def committed(self, protocol: Protocol, receipt: Receipt) -> None:
        """A trace request is committed."""
        with self._lock:
            self._counts["spans_accepted"][protocol] += receipt.accepted
            self._counts["spans_rejected"][protocol] += receipt.rejected

    def discarded(self, signal: Signal, items: int) -> None:
        """Metrics, log records or profiles were read and thrown away."""
        with self._lock:
            self._counts["discarded"][signal] += items

    def refused(self, protocol: Protocol, reason: str) -> None:
        """A request was refused; the reasons are those of `status`."""
        with self._lock:
            self._refused.setdefault(protocol, Counter())[reason] += 1

    def snapshot(self) -> dict[str, dict[str, int] | dict[str, dict[str, int]]]:
        """All counts as plain dictionaries, sorted by key.

        `requests`, `wire_bytes`, `spans_accepted` and `spans_rejected` by protocol, `discarded` items by signal,
        `refused` by protocol and reason.
        """
        with self._lock:
            counts: dict[str, dict[str, int] | dict[str, dict[str, int]]] = {
                name: _plain(counter) for name, counter in self._counts.items()
            }
            refused = {str(protocol): _plain(reasons) for protocol, reasons in sorted(self._refused.items())}
        return {**counts, "refused": refused}


def _plain(counter: Counter[str]) -> dict[str, int]:
    return {str(key): count for key, count in sorted(counter.items())}
