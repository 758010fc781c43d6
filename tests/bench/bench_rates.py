"""What a load of a fixed rate costs: CPU, memory, and how long acknowledgements take.

    python tests/bench/bench_rates.py [--rates 10000,50000,100000,200000] [--sizes 100,512,1000] [--protocol grpc] [--seconds 10] [--json FILE]

Requests have times at which they are to be sent, whatever became of those before, and latencies count from those
times. CPU is that of all processes of the server, in hundredths of a core. Each rate gets a new server with a new
store, and every 50,000 spans a new run, which is judged when it was quiet for a second.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish
from bench.loading import RULES, Case, Result, measure

SPANS_PER_RUN: Final = 50_000
RULES_HERE: Final = f"{RULES}complete:\n  idle: 1s\n"
CORE_PERCENT: Final = 12
MEMORY_MB: Final = 150


def goals_of(results: Sequence[Result]) -> Iterator[Goal]:
    """Yield what is asked of 10,000 spans a second."""
    for result in results:
        if result.case.endswith("/10,000/s"):
            yield Goal(f"of a core, {result.case}", 100 * result.cores, CORE_PERCENT, "%", at_most=True)
            memory = result.peak_rss_mib * 1.048576
            yield Goal(f"memory at most, {result.case}", memory, MEMORY_MB, "MB", at_most=True)
    yield Goal("rates whose ledger is exact", sum(result.ledger == "exact" for result in results), len(results))


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--rates", default="10000,50000,100000,200000", help="spans a second")
    parser.add_argument("--sizes", default="100,512,1000", help="spans a request")
    parser.add_argument("--protocol", default="grpc")
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    lists = (text.split(",") for text in (asked.protocol, asked.sizes, asked.rates))
    found = []
    print(Result.header())
    for protocol, size, rate in product(*lists):
        case = Case(protocol, int(size), rate=int(rate), spans_per_run=SPANS_PER_RUN)
        with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
            found.append(measure(case, asked.seconds, Path(folder), rules=RULES_HERE))
        print(found[-1], flush=True)
    return finish(asked, [asdict(result) for result in found], list(goals_of(found)))


if __name__ == "__main__":
    sys.exit(main())
