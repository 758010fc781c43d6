"""Puts a load on a server and says what it cost: the server and the sender are processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.ledger import ACKNOWLEDGED, REFUSED, Ledger, check_store
from bench.load import Traffic
from bench.server import Server, serving

RULES: Final = """
version: 1
flow: scoring
stages:
  - stage: ask
    select: {service: gateway, kind: server}
  - stage: features
    select: {name: features.lookup}
  - stage: score
    select: '{ span:name = "predict" && span.model = "m-1" }'
rules:
  - id: score-latency
    latency: {stage: score}
    expect: {p95: "< 60s"}
"""
MOST: Final = 900_000
"""Requests are sent for at most so many spans a second; what is faster is measured for a shorter time."""
MOST_COMPRESSED: Final = 700_000
"""Compressed requests are made beforehand, so there are fewer."""
WARM_UP_S: Final = 4.0
"""Load before anything is measured, the same for ours and for others: programs start processes, threads and buffers
with it. Ours starts the process that decodes, which loads its compiled code in 1 to 2 s; what is measured then goes on."""
CHANGED: Final = " > "


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent."""

    protocol: str
    size: int
    gzip: bool = False
    attributes: int = 10
    rate: int = 0
    """Spans a second, whatever is answered; 0: as fast as they are answered."""
    spans_per_run: int = 0
    """Then the next run begins; 0: one run."""
    warm_up: float = WARM_UP_S
    """Seconds of load before anything is measured."""

    @property
    def name(self) -> str:
        """Say it shortly: `grpc/512`, with 16 attributes `http/100x16`, compressed `grpc/10/gzip`."""
        parts = [self.protocol, f"{self.size}{'' if self.attributes == 10 else f'x{self.attributes}'}"]
        return "/".join(parts + ["gzip"] * self.gzip + [f"{self.rate:,}/s"] * bool(self.rate))

    def options(self, seconds: float) -> list[str]:
        """Return what the sender is told."""
        most = self.rate or (MOST_COMPRESSED if self.gzip else MOST)
        told = {
            "protocol": self.protocol, "size": self.size, "attributes": self.attributes, "seconds": seconds,
            "warm-up": self.warm_up, "rate": self.rate, "spans-per-run": self.spans_per_run,
            "spans": int(most * (self.warm_up + seconds)) + self.size,
        }  # fmt: skip
        return [f"--{name}={value}" for name, value in told.items()] + ["--gzip"] * self.gzip


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    case: str
    spans_per_second: int
    """Acknowledged, after the warm-up; all times and costs are of then, too."""
    cpu_us_per_span: float
    """Of the server process and the one that decodes for it, all threads, until the judge had taken in everything."""
    child_us_per_span: float
    """Of the latter alone."""
    cores: float
    """That the server kept busy while requests came."""
    p50_ms: float
    p99_ms: float
    """From a request, or from when it was to be sent, to its acknowledgement."""
    drain_s: float
    """From the last answer until the judge had taken in everything."""
    backlog_mib: int
    """Columns that the judge had not taken in, at most."""
    before_rss_mib: int
    peak_rss_mib: int
    slope_bytes_per_second: int
    """How fast the server's memory grew in the second half of the load."""
    bytes_per_span: float
    """How much the server's memory grew in all, with the warm-up."""
    acknowledged: int
    """In all, with the warm-up."""
    refused: int
    start_s: float
    sender_us_per_span: float
    """CPU time of the sender."""
    decoding: str
    """How a process of its own decoded: `compiled` or `interpreted`; `none` where the server did it itself. Two of them
    where that changed while it was measured."""
    ledger: str
    """`exact`, or what is wrong."""
    steady: bool
    """Whether the way of decoding did not change meanwhile, so that no start is among what was measured."""

    @classmethod
    def header(cls) -> str:
        """Return the line above lines of results."""
        return (
            f"{'case':22} {'spans/s':>9} {'CPU us/span':>11} {'child':>5} {'cores':>5} {'p50 ms':>7} {'p99 ms':>7} {'drain s':>7} "
            f"{'peak MiB':>8} {'rss kB/s':>8} {'B/span':>6} {'spans':>10} {'refused':>7} {'sender':>6}  {'ledger':6}  decoding"
        )

    def __str__(self) -> str:
        return (
            f"{self.case:22} {self.spans_per_second:>9,} {self.cpu_us_per_span:>11.2f} {self.child_us_per_span:>5.2f} {self.cores:>5.2f} "
            f"{self.p50_ms:>7.1f} {self.p99_ms:>7.1f} {self.drain_s:>7.2f} {self.peak_rss_mib:>8,} "
            f"{self.slope_bytes_per_second / 1000:>8,.0f} {self.bytes_per_span:>6.0f} {self.acknowledged:>10,} {self.refused:>7,} "
            f"{self.sender_us_per_span:>6.2f}  {self.ledger:6}  {self.decoding}"
        )


Start = Callable[[Path, Path], AbstractContextManager[Server]]
"""Starts a server with a new store in a folder, and rules."""


def measure(case: Case, seconds: float, folder: Path, start: Start = serving, rules: str = RULES) -> Result:
    """Start a server, load it for some seconds after it is warm, stop it and look into its store."""
    told, kept = folder / "scoring.yaml", folder / "ledger.npz"
    told.write_text(rules)
    with start(folder, told) as server:
        with sender(case, seconds, server, kept) as sending:
            before_rss = server.rss()
            warm(sending)
            before_cpu, begun = server.cpu_seconds(), time.perf_counter()
            ways = [server.decoding()]
            await_end(sending)
        took = time.perf_counter() - begun
        slope, backlog = server.slope(begun + took / 2), server.peak_backlog
        busy = server.cpu_seconds().since(before_cpu)
        ways.append(server.decoding())
        drain = server.drain()
        if case.spans_per_run:
            server.await_verdicts()
        cpu = server.cpu_seconds().since(before_cpu)
    ledger = Ledger.read(kept)
    acknowledged, refused = (ledger.count(outcome) * case.size for outcome in (ACKNOWLEDGED, REFUSED))
    counted = max(int(ledger.acknowledged_warm.sum()) * case.size, 1)
    total, child = (round(seconds / counted * 1e6, 3) for seconds in (sum(cpu), cpu.child))
    sent = round(ledger.cpu_seconds / max(acknowledged, 1) * 1e6, 3)
    return Result(
        case.name, round(counted / ledger.seconds), total, child, round(sum(busy) / took, 3),
        *ledger.milliseconds((50, 99)), round(drain, 2), backlog >> 20, before_rss >> 20, server.peak_rss >> 20, round(slope),
        round((server.peak_rss - before_rss) / max(acknowledged, 1), 1), acknowledged, refused,
        round(server.started_s, 2), sent, CHANGED.join(dict.fromkeys(ways)), held_against(case, ledger, server.store),
        len(set(ways)) == 1,
    )  # fmt: skip


def held_against(case: Case, ledger: Ledger, store: Path | None) -> str:
    """Say whether a store holds what the ledger says."""
    if store is None:
        return "not held against anything"
    return check_store(ledger, traffic_of(case), store)


def traffic_of(case: Case) -> Traffic:
    """Return what the sender sends."""
    return Traffic.build(case.size, case.attributes, spans_per_run=case.spans_per_run)


@contextmanager
def sender(case: Case, seconds: float, server: Server, ledger: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that makes itself ready and waits for the word to send."""
    address = server.addresses[f"otlp-{case.protocol}"]
    command = [sys.executable, str(Path(__file__).with_name("sender.py")), address, str(ledger), *case.options(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def warm(sending: subprocess.Popen[bytes]) -> None:
    """Give the word, and wait until the warm-up is over."""
    assert sending.stdin is not None
    assert sending.stdout is not None
    sending.stdin.write(b"go\n")
    sending.stdin.flush()
    sending.stdout.readline()


def await_end(sending: subprocess.Popen[bytes]) -> None:
    """Wait until the sender is done."""
    if sending.wait():
        raise RuntimeError("the sender failed")
