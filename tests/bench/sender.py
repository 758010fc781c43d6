"""Sends OTLP requests over real sockets; `loading.py` starts it as a process of its own.

Without `--rate` every connection sends its next request when the last one was answered. With it requests have times at
which they are to be sent, whatever became of those before, and a latency counts from that time: a server that
stalls delays all that should have come meanwhile, and that is counted (no coordinated omission).

Requests are made while others wait for their answers, which costs about 0.2 us a span; compressed ones, which cost more,
are all made before the first is sent. What became of each goes into a ledger (`ledger.py`).
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

try:
    from isal import igzip
except ImportError:
    igzip = None

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.grpcwire import Broken, GrpcWire
from bench.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, Ledger
from bench.load import Traffic

PAUSE_S: Final = 0.05
"""After a refusal, before the next request of that connection."""

Send = Callable[[bytes], int]
"""Sends one request, waits for the answer and says what became of it."""
Make = Callable[[int], bytes]
"""Makes the request of a number."""

NOTHING_REJECTED: Final = (b"", b"\x0a\x00")
"""Answers that accept every span: without `partial_success`, or (the Collector's) with an empty one."""


def outcome_of(answer: bytes) -> int:
    """Tell what became of a request by the bytes of its ExportTraceServiceResponse."""
    return ACKNOWLEDGED if answer in NOTHING_REJECTED else REFUSED


@contextmanager
def grpc_connection(address: str, compressed: bool) -> Iterator[Send]:
    """Open a connection that is kept for all requests, one at a time."""
    with closing(GrpcWire(address, compressed)) as connection:

        def send(payload: bytes) -> int:
            try:
                answer = connection.call(payload)
            except Broken:
                return UNKNOWN
            return REFUSED if answer is None else outcome_of(answer)

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
    "grpc": grpc_connection,
    "http": http_connection,
}


@dataclass(slots=True, eq=False)
class Requests:
    """The requests that are still to be sent, dealt out to all connections, and what became of them."""

    make: Make
    seconds: float
    outcomes: npt.NDArray[np.int8]
    """One entry a request; there are no more than these."""
    latencies: npt.NDArray[np.float64]
    answered: npt.NDArray[np.float64]
    """Seconds from the begin."""
    rate: float = 0.0
    """Requests a second; 0: as fast as they are answered."""
    begun: float = 0.0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def send_all(self, send: Send) -> None:
        """Send until the time is over or nothing is left; any number of threads at a time."""
        while (number := next(self._numbers)) < len(self.outcomes):
            payload = self.make(number)
            intended = self._wait_for(number)
            if intended > self.begun + self.seconds:
                return
            outcome = send(payload)
            now = time.perf_counter()
            self.latencies[number], self.answered[number] = now - intended, now - self.begun
            self.outcomes[number] = outcome
            if outcome != ACKNOWLEDGED and not self.rate:
                time.sleep(PAUSE_S)

    def _wait_for(self, number: int) -> float:
        """Return when a request was to be sent, not before that time."""
        if not self.rate:
            return time.perf_counter()
        intended = self.begun + number / self.rate
        while (ahead := intended - time.perf_counter()) > 0:
            time.sleep(ahead)
        return intended


def run(asked: argparse.Namespace) -> Ledger:
    """Make what is needed, say so, wait for the word to go, send, and say when it is warm."""
    traffic = Traffic.build(asked.size, asked.attributes, spans_per_run=asked.spans_per_run)
    count = asked.spans // asked.size
    requests = Requests(
        _maker(asked, traffic, count),
        asked.warm_up + asked.seconds,
        np.zeros(count, np.int8),
        latencies=np.zeros(count),
        answered=np.zeros(count),
        rate=asked.rate / asked.size,
    )
    with ExitStack() as opened:
        connect = CONNECT[asked.protocol]
        connections = [opened.enter_context(connect(asked.address, asked.gzip)) for _ in range(asked.connections)]
        senders = [threading.Thread(target=requests.send_all, args=(send,)) for send in connections]
        print("ready", flush=True)
        sys.stdin.readline()
        spent, requests.begun = time.process_time(), time.perf_counter()
        for sender in senders:
            sender.start()
        time.sleep(asked.warm_up)
        print("warm", flush=True)
        for sender in senders:
            sender.join()
        seconds = time.perf_counter() - requests.begun - asked.warm_up
    spent = time.process_time() - spent
    return Ledger(requests.outcomes, requests.latencies, requests.answered, asked.warm_up, seconds, spent)


def _maker(asked: argparse.Namespace, traffic: Traffic, count: int) -> Make:
    """Return what makes requests; those that are compressed here are ready."""
    if not asked.gzip:
        return traffic.payload
    return [compressed(traffic.payload(number)) for number in range(count)].__getitem__


def compressed(payload: bytes) -> bytes:
    """Return gzip of level 1; by ISA-L where it is installed, in a fifth of the time to nearly the same size."""
    return igzip.compress(payload, 1) if igzip is not None else gzip.compress(payload, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("ledger", type=Path, help="file to write (.npz)")
    parser.add_argument("--protocol", choices=tuple(CONNECT), default="grpc")
    parser.add_argument("--size", type=int, default=512, help="spans a request")
    parser.add_argument("--attributes", type=int, default=10, help="attributes a span")
    parser.add_argument("--spans", type=int, default=1_000_000, help="stop after so many")
    parser.add_argument("--seconds", type=float, default=3.0, help="stop after so long")
    parser.add_argument("--warm-up", type=float, default=0.0, help="seconds before that")
    parser.add_argument("--rate", type=float, default=0.0, help="spans a second, whatever is answered")
    parser.add_argument("--spans-per-run", type=int, default=0, help="then the next run begins; 0: one run")
    parser.add_argument("--connections", type=int, default=16, help="each has one request in flight")
    parser.add_argument("--gzip", action="store_true")
    asked = parser.parse_args()
    run(asked).save(asked.ledger)


if __name__ == "__main__":
    main()
