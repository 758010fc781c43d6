"""How fast `spanverdict serve` acknowledges spans: real sockets, the load from another process, the journal on disk.

    python tests/bench/bench_ingest.py [--protocol grpc,http] [--sizes 100,512] [--seconds 3] [--gzip] [--json FILE]

For every case a new server is started with a new store, and one flow whose stages match the load. Requests are
made beforehand, differ in all ids and times, and are sent as fast as they are acknowledged. Afterwards the
ledger of the sender is held against the store: every acknowledged span is there, once, and nothing that was
refused. CPU time is that of the server process, and of the one that decodes for it, from the first request until the
judge has taken in the last.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish
from bench.sender import ACKNOWLEDGED, REFUSED, UNKNOWN, UNSENT, Ledger
from bench.server import Server, serving
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.storage.store import Store

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
GRPC_GOAL: Final = 250_000
HTTP_GOAL: Final = 300_000
"""Acknowledged spans a second, at 512 spans a request."""
RATE: Final = 250_000
"""Requests are made for so many spans a second; a server that is faster is measured for a shorter time."""


@dataclass(frozen=True, slots=True)
class Case:
    protocol: str
    size: int
    gzip: bool
    attributes: int

    @property
    def name(self) -> str:
        return f"{self.protocol}/{self.size}{'/gzip' if self.gzip else ''}"


@dataclass(frozen=True, slots=True)
class Result:
    case: str
    spans_per_second: int
    """Acknowledged."""
    cpu_us_per_span: float
    """Of the server process and the one that decodes for it, all threads."""
    child_us_per_span: float
    """Of the latter alone; its start, about 0.3 s, included."""
    cores: float
    """That the server kept busy meanwhile."""
    p50_ms: float
    p99_ms: float
    """From a request to its acknowledgement."""
    drain_s: float
    """From the last answer until the judge had taken in everything."""
    peak_rss_mib: int
    bytes_per_span: float
    """How much the server's memory grew."""
    acknowledged: int
    refused: int
    start_s: float
    ledger: str
    """`exact`, or what is wrong."""

    @classmethod
    def header(cls) -> str:
        return (
            f"{'case':14} {'spans/s':>9} {'CPU us/span':>11} {'child':>5} {'cores':>5} {'p50 ms':>7} {'p99 ms':>7} {'drain s':>7} "
            f"{'peak MiB':>8} {'B/span':>6} {'spans':>9} {'refused':>7}  ledger"
        )

    def __str__(self) -> str:
        return (
            f"{self.case:14} {self.spans_per_second:>9,} {self.cpu_us_per_span:>11.2f} {self.child_us_per_span:>5.2f} {self.cores:>5.2f} "
            f"{self.p50_ms:>7.1f} {self.p99_ms:>7.1f} {self.drain_s:>7.2f} {self.peak_rss_mib:>8,} "
            f"{self.bytes_per_span:>6.0f} {self.acknowledged:>9,} {self.refused:>7,}  {self.ledger}"
        )


Start = Callable[[Path, Path], AbstractContextManager[Server]]
"""Starts a server with a new store in a folder, and rules."""


def measure(case: Case, seconds: float, folder: Path, start: Start = serving) -> Result:
    """Start a server, load it for some seconds, stop it and look into its store."""
    rules = folder / "scoring.yaml"
    rules.write_text(RULES)
    with start(folder, rules) as server:
        with _sender(case, seconds, server, folder / "ledger.npz") as sender:
            before_rss, before_cpu = server.rss(), server.cpu_seconds()
            begun = time.perf_counter()
            _go(sender)
        took = time.perf_counter() - begun
        busy = server.cpu_seconds().since(before_cpu)
        drain = server.drain()
        cpu = server.cpu_seconds().since(before_cpu)
    ledger = Ledger.load(folder / "ledger.npz")
    spans = [int((ledger.outcomes == outcome).sum()) * case.size for outcome in (ACKNOWLEDGED, REFUSED)]
    answered = ledger.latencies[ledger.outcomes == ACKNOWLEDGED] * 1e3
    p50, p99 = np.percentile(answered, (50, 99)) if len(answered) else (0.0, 0.0)
    total, child = (round(seconds / max(spans[0], 1) * 1e6, 3) for seconds in (sum(cpu), cpu.child))
    return Result(
        case.name, round(spans[0] / ledger.seconds), total, child, round(sum(busy) / took, 2),
        round(float(p50), 2), round(float(p99), 2), round(drain, 2), server.peak_rss >> 20,
        round((server.peak_rss - before_rss) / max(spans[0], 1), 1), *spans, round(server.started_s, 2),
        check_ledger(ledger, server.store) if server.store else "not held against anything",
    )  # fmt: skip


class _sender:  # noqa: N801 - used as a function is
    """A process that has made its requests and waits for the word to send them."""

    def __init__(self, case: Case, seconds: float, server: Server, ledger: Path) -> None:
        address = server.addresses[f"otlp-{case.protocol}"]
        command = [sys.executable, str(Path(__file__).with_name("sender.py")), address, str(ledger)]
        command += ["--protocol", case.protocol, "--size", str(case.size), "--attributes", str(case.attributes)]
        command += ["--seconds", str(seconds), "--spans", str(int(RATE * seconds))]
        self._command = command + (["--gzip"] if case.gzip else [])

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self._process

    def __exit__(self, *_exc_info: object) -> None:
        with self._process:
            self._process.kill()


def _go(sender: subprocess.Popen[bytes]) -> None:
    sender.communicate(b"go\n")
    if sender.returncode:
        raise RuntimeError("the sender failed")


def check_ledger(ledger: Ledger, path: Path) -> str:
    """Hold what the sender was told against what the store holds, span by span."""
    stored = np.sort(stored_span_ids(path))
    if (stored[1:] == stored[:-1]).any():
        return "spans are stored twice"
    told = {outcome: np.isin(ledger.span_ids[ledger.outcomes == outcome], stored) for outcome in range(4)}
    lost = int((~told[ACKNOWLEDGED]).sum())
    if lost:
        return f"{lost} acknowledged spans are not stored"
    kept = int(told[REFUSED].sum() + told[UNSENT].sum())
    if kept:
        return f"{kept} refused spans are stored"
    if len(stored) != told[ACKNOWLEDGED].size + int(told[UNKNOWN].sum()):
        return "spans are stored that nobody sent"
    return "exact" if not told[UNKNOWN].size else f"{told[UNKNOWN].size} spans unanswered"


def stored_span_ids(path: Path) -> npt.NDArray[np.uint64]:
    """Return the ids of all spans in a store, as often as they are there."""
    with Store.open(path) as store:
        found = [decode(batch.payload, new_pool()).table.span_id for batch in store.journal.read()]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def cases(protocols: Sequence[str], sizes: Sequence[int], gzip: bool, attributes: int) -> Iterator[Case]:
    for protocol in protocols:
        for size in sizes:
            yield Case(protocol, size, gzip, attributes)


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--protocol", default="grpc,http", help="grpc, http or both with a comma")
    parser.add_argument("--sizes", default="100,512", help="spans a request")
    parser.add_argument("--attributes", type=int, default=10, help="attributes a span")
    parser.add_argument("--gzip", action="store_true", help="compressed requests")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=1, help="the fastest counts")
    parser.add_argument("--folder", type=Path, help="where the store is made; default: the system's temporary folder")
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    best = []
    print(Result.header())
    for case in cases(asked.protocol.split(","), sizes, asked.gzip, asked.attributes):
        rounds = []
        for _ in range(asked.rounds):
            with tempfile.TemporaryDirectory(prefix="spanverdict-bench-", dir=asked.folder) as folder:
                rounds.append(measure(case, asked.seconds, Path(folder)))
        best.append(max(rounds, key=lambda result: result.spans_per_second))
        print(best[-1], flush=True)
    return finish(asked, [asdict(result) for result in best], list(goals_of(best)))


def goals_of(results: Sequence[Result]) -> Iterator[Goal]:
    """Yield what is asked of the cases that were measured."""
    for case, goal in (("grpc/512", GRPC_GOAL), ("http/512", HTTP_GOAL)):
        for result in results:
            if result.case == case:
                yield Goal(f"acknowledged, {case}", result.spans_per_second, goal, "spans/s")
    exact = sum(result.ledger == "exact" for result in results)
    yield Goal("cases whose ledger is exact", exact / len(results), 1)


if __name__ == "__main__":
    sys.exit(main())
