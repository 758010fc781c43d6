"""How fast OTLP requests become columns: spans/s, and CPU time a span, on one core.

    python tests/bench/bench_decode.py [--spans 100000] [--attributes 10] [--json FILE]

Requests are all different (ids, times, two or three attributes a span); each size starts with an
empty pool and fills it, as a run does. The best of several rounds counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish
from bench.load import Load
from spanverdict.app.decoding import RECENT_ATTRIBUTES
from spanverdict.otlp.decode import decode, decode_all, new_pool

SIZES = (10, 100, 512)
GOAL = 300_000
"""Spans a second, for requests of 100 spans or more."""
TOGETHER = 16
"""Requests decoded at a time where they are decoded together."""


@dataclass(frozen=True)
class Result:
    spans_per_request: int
    together: int
    bytes_per_span: float
    spans_per_second: int
    cpu_us_per_span: float


def measure(payloads: list[bytes], n_spans: int, together: int, options: argparse.Namespace) -> Result:
    total = n_spans * len(payloads)
    wall, cpu = min(_round(payloads, together, options.recent) for _ in range(options.rounds))
    size = sum(map(len, payloads)) / total
    return Result(n_spans, together, round(size, 1), round(total / wall), round(cpu / total * 1e6, 3))


def _round(payloads: list[bytes], together: int, recent: int) -> tuple[float, float]:
    pool = new_pool(recent)
    wall, cpu = time.perf_counter(), time.process_time()
    if together == 1:
        for payload in payloads:
            decode(payload, pool)
    else:
        for start in range(0, len(payloads), together):
            decode_all(payloads[start : start + together], pool)
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--spans", type=int, default=100_000, help="spans a round")
    parser.add_argument("--attributes", type=int, default=10, help="attributes a span")
    parser.add_argument("--recent", type=int, default=RECENT_ATTRIBUTES, help="attributes the pool remembers; 0 is all")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    results = []
    for n_spans in SIZES:
        load = Load.build(n_spans, options.attributes, seed=1, run_id="bench")
        payloads = [load.payload(number) for number in range(max(1, options.spans // n_spans))]
        results += [measure(payloads, n_spans, together, options) for together in (1, TOGETHER)]
    print(f"{'spans/request':>13} {'together':>8} {'bytes/span':>10} {'spans/s':>9} {'CPU us/span':>11}")
    for r in results:
        print(
            f"{r.spans_per_request:>13} {r.together:>8} {r.bytes_per_span:>10} "
            f"{r.spans_per_second:>9,} {r.cpu_us_per_span:>11}"
        )
    best = max(1e6 / result.cpu_us_per_span for result in results if result.spans_per_request >= 100)
    found = {"attributes": options.attributes, "sizes": [asdict(result) for result in results]}
    return finish(options, found, [Goal("decoded on a core", best, GOAL, "spans/s")])


if __name__ == "__main__":
    sys.exit(main())
