"""Sends OTLP requests over real sockets as fast as they are acknowledged; `bench_ingest.py` starts it.

All requests are made before the first is sent, so that sending costs little. Every connection sends its next
request when the last one was answered. What became of each request goes into a ledger (`Ledger`), so that what
was acknowledged can be looked for in the store.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.load import Load

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PAUSE_S: Final = 0.05
"""After a refusal, before the next request of that connection."""

UNSENT, ACKNOWLEDGED, REFUSED, UNKNOWN = range(4)
"""What became of a request; UNKNOWN: the connection broke before the answer, so it may be stored."""

Send = Callable[[bytes], int]
"""Sends one request, waits for the answer and says what became of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """What was sent and what was said to it; one entry a request."""

    span_ids: npt.NDArray[np.uint64]
    """(n_requests, spans a request): the ids of all spans."""
    outcomes: npt.NDArray[np.int8]
    latencies: npt.NDArray[np.float64]
    """Seconds from the request to its answer; 0 where unsent."""
    seconds: float
    """From the first request to the last answer."""

    def save(self, path: Path) -> None:
        np.savez(path, span_ids=self.span_ids, outcomes=self.outcomes, latencies=self.latencies, seconds=self.seconds)

    @classmethod
    def load(cls, path: Path) -> Ledger:
        with np.load(path) as kept:
            return cls(kept["span_ids"], kept["outcomes"], kept["latencies"], float(kept["seconds"]))


NOTHING_REJECTED: Final = (b"", b"\x0a\x00")
"""Answers that accept every span: without `partial_success`, or (the Collector's) with an empty one."""


def outcome_of(answer: bytes) -> int:
    """Tell what became of a request by the bytes of its ExportTraceServiceResponse."""
    return ACKNOWLEDGED if answer in NOTHING_REJECTED else REFUSED


@contextmanager
def grpc_channel(address: str, compressed: bool) -> Iterator[Send]:
    """Open a connection of its own; gRPC compresses itself."""
    import grpc

    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
    with grpc.insecure_channel(address, options=options, compression=compression) as channel:
        export = channel.unary_unary(METHOD)
        refusals = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)

        def send(payload: bytes) -> int:
            try:
                answer = export(payload, timeout=60)
            except grpc.RpcError as error:
                answered = error.code() in refusals and error.trailing_metadata()
                return REFUSED if answered else UNKNOWN
            return outcome_of(answer)

        yield send


@contextmanager
def http_connection(address: str, compressed: bool) -> Iterator[Send]:
    """Open a connection that is kept for all requests."""
    headers = {"Content-Type": "application/x-protobuf"} | ({"Content-Encoding": "gzip"} if compressed else {})
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:

        def send(payload: bytes) -> int:
            try:
                connection.request("POST", "/v1/traces", payload, headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                return UNKNOWN
            return outcome_of(body) if answer.status == 200 else REFUSED

        yield send


CONNECT: Final[dict[str, Callable[[str, bool], AbstractContextManager[Send]]]] = {
    "grpc": grpc_channel,
    "http": http_connection,
}


@dataclass(slots=True, eq=False)
class Requests:
    """The requests that are still to be sent, dealt out to all connections, and what became of them."""

    payloads: Sequence[bytes]
    seconds: float
    outcomes: npt.NDArray[np.int8]
    latencies: npt.NDArray[np.float64]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def send_all(self, send: Send) -> None:
        """Send until the time is over or nothing is left; any number of threads at a time."""
        end = time.perf_counter() + self.seconds
        while (number := next(self._numbers)) < len(self.payloads):
            begun = time.perf_counter()
            if begun > end:
                return
            outcome = send(self.payloads[number])
            self.latencies[number] = time.perf_counter() - begun
            self.outcomes[number] = outcome
            if outcome != ACKNOWLEDGED:
                time.sleep(PAUSE_S)


def span_ids(load: Load, payload: bytes) -> npt.NDArray[np.uint64]:
    """Return the ids of the spans of a payload, without those that only refer to a parent."""
    data = np.frombuffer(payload, np.uint8)
    own = load.span_ids[data[load.span_ids[:, 0] - 2] == 0x12]
    return data[own].copy().view(">u8").ravel().astype(np.uint64)


def run(asked: argparse.Namespace) -> Ledger:
    """Make the requests, say so, wait for the word to go, send."""
    load = Load.build(asked.size, asked.attributes, seed=1, run_id=asked.run)
    payloads = [load.payload(number) for number in range(asked.spans // asked.size)]
    ids = np.array([span_ids(load, payload) for payload in payloads])
    if asked.gzip and asked.protocol == "http":
        payloads = [gzip.compress(payload, 1) for payload in payloads]
    requests = Requests(payloads, asked.seconds, np.zeros(len(ids), np.int8), np.zeros(len(ids)))
    with ExitStack() as opened:
        connect = CONNECT[asked.protocol]
        connections = [opened.enter_context(connect(asked.address, asked.gzip)) for _ in range(asked.connections)]
        senders = [threading.Thread(target=requests.send_all, args=(send,)) for send in connections * asked.streams]
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.perf_counter()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        seconds = time.perf_counter() - begun
    return Ledger(ids, requests.outcomes, requests.latencies, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("ledger", type=Path, help="file to write (.npz)")
    parser.add_argument("--protocol", choices=tuple(CONNECT), default="grpc")
    parser.add_argument("--size", type=int, default=512, help="spans a request")
    parser.add_argument("--attributes", type=int, default=10, help="attributes a span")
    parser.add_argument("--spans", type=int, default=1_000_000, help="stop after so many")
    parser.add_argument("--seconds", type=float, default=3.0, help="stop after so long")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--streams", type=int, default=2, help="requests in flight on a connection (gRPC)")
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--run", default="bench-1", help="run id")
    asked = parser.parse_args()
    if asked.protocol == "http":
        asked.streams = 1
    run(asked).save(asked.ledger)


if __name__ == "__main__":
    main()
