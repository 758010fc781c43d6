"""How fast `spanverdict serve` acknowledges spans: real sockets, the load from another process, the journal on disk.

    python tests/bench/bench_ingest.py [--protocol grpc,http] [--sizes 10,100,512,1000] [--attributes 10,16] [--gzip no,yes]
                                       [--seconds 3] [--rounds 1] [--json FILE]

Every case gets a new server with a new store, and one flow whose stages match the load (`loading.py`). Requests are sent as
fast as they are acknowledged. Afterwards the ledger of the sender is held against the store: every acknowledged request is
there, once and byte for byte, and nothing that was refused. CPU time is that of the server process, and of the one
that decodes for it, from the first request until the judge has taken in the last.
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
from bench.loading import Case, Result, measure

GOALS: Final = {"grpc": 250_000, "http": 300_000}
"""Acknowledged spans a second, uncompressed, ten attributes, in requests of …"""
LARGE: Final = (512, 1000)
"""… so many spans."""


def goals_of(results: Sequence[Result]) -> Iterator[Goal]:
    """Yield what is asked of the cases that were measured."""
    for protocol, goal in GOALS.items():
        cases = {Case(protocol, size).name for size in LARGE}
        rates = [result.spans_per_second for result in results if result.case in cases]
        if rates:
            yield Goal(f"acknowledged, {protocol}, 512 to 1,000 spans of 10 attributes", max(rates), goal, "spans/s")
    yield Goal("cases whose ledger is exact", sum(result.ledger == "exact" for result in results), len(results))
    yield Goal(
        "cases in which it was warm from their beginning", sum(result.steady for result in results), len(results)
    )


def best(case: Case, seconds: float, rounds: int, folder: Path | None) -> Result:
    """Measure some times; the fastest counts."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="spanverdict-bench-", dir=folder) as store:
            found.append(measure(case, seconds, Path(store)))
    return max(found, key=lambda result: (result.ledger == "exact", result.spans_per_second))


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--protocol", default="grpc,http")
    parser.add_argument("--sizes", default="10,100,512,1000", help="spans a request")
    parser.add_argument("--attributes", default="10,16", help="attributes a span")
    parser.add_argument("--gzip", default="no,yes", help="requests plain, compressed, or both")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=1, help="the fastest counts")
    parser.add_argument("--folder", type=Path, help="where the store is made; default: the system's temporary folder")
    asked = parser.parse_args()
    lists = (text.split(",") for text in (asked.protocol, asked.attributes, asked.gzip, asked.sizes))
    found = []
    print(Result.header())
    for protocol, attributes, gzip, size in product(*lists):
        case = Case(protocol, int(size), gzip=gzip == "yes", attributes=int(attributes))
        found.append(best(case, asked.seconds, asked.rounds, asked.folder))
        print(found[-1], flush=True)
    return finish(asked, [asdict(result) for result in found], list(goals_of(found)))


if __name__ == "__main__":
    sys.exit(main())
