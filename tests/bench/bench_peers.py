"""The same load for `spanverdict serve` and for another receiver, in turns, and how the two compare.

    python tests/bench/bench_peers.py otelcol|rotel [--seconds 3] [--rounds 2] [--sizes 512] [--json FILE]

The number that counts is spans for a second of the server's CPU, all its processes together: it does not depend
on what else the machine does, or on how many cores there are. Ours includes making every request durable,
decoding it into columns and handing it to the judge; what a peer does with it is printed beside its name.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import command, finish
from bench.loading import Case, Result, Start, measure
from bench.peers import PEERS, Peer
from bench.server import serving
from otelcollector import NotHere

OURS: Final = "spanverdict"


def cases(sizes: Sequence[int], attributes: int) -> Iterator[Case]:
    """All protocols, plain and compressed."""
    for protocol in ("grpc", "http"):
        for gzip in (False, True):
            for size in sizes:
                yield Case(protocol, size, gzip, attributes)


def in_turns(case: Case, peers: Sequence[Peer], seconds: float, rounds: int) -> dict[str, Result]:
    """Measure ours and each peer round by round; the round with the least CPU a span counts."""
    starts: dict[str, Start] = {OURS: serving, **{peer.name: peer.serving for peer in peers}}
    found: dict[str, list[Result]] = {name: [] for name in starts}
    for _ in range(rounds):
        for name, start in starts.items():
            with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
                found[name].append(measure(case, seconds, Path(folder), start))
    return {name: min(results, key=lambda result: result.cpu_us_per_span) for name, results in found.items()}


def compared(case: Case, results: dict[str, Result]) -> dict[str, Any]:
    """Return what each did with a case, and how ours stands to each peer: above 1 ours is better."""
    ours = results[OURS]
    ratios = {
        name: {
            "spans_per_cpu_second": round(result.cpu_us_per_span / ours.cpu_us_per_span, 2),
            "acknowledged_per_second": round(ours.spans_per_second / max(result.spans_per_second, 1), 2),
        }
        for name, result in results.items()
        if name != OURS
    }
    return {
        "case": case.name,
        "results": {name: asdict(result) for name, result in results.items()},
        "ours_to_peer": ratios,
    }


def show(document: dict[str, Any]) -> None:
    """Print one case as a table."""
    print(f"\n{document['case']:16} {'spans/s':>9} {'CPU us/span':>11} {'p99 ms':>7} {'peak MiB':>8}  ours : peer, CPU")
    for name, result in document["results"].items():
        ratio = document["ours_to_peer"].get(name)
        behind = f"{ratio['spans_per_cpu_second']:.2f} x" if ratio else result["ledger"]
        print(
            f"{name:16} {result['spans_per_second']:>9,} {result['cpu_us_per_span']:>11.2f} {result['p99_ms']:>7.1f} "
            f"{result['peak_rss_mib']:>8,}  {behind}",
            flush=True,
        )


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("peer", choices=tuple(PEERS))
    parser.add_argument("--sizes", default="512", help="spans a request")
    parser.add_argument("--attributes", type=int, default=10, help="attributes a span")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    documents = []
    try:
        for case in cases(sizes, asked.attributes):
            documents.append(compared(case, in_turns(case, PEERS[asked.peer], asked.seconds, asked.rounds)))
            show(documents[-1])
    except NotHere as why:
        print(f"{asked.peer}: {why}", file=sys.stderr)
        return 2
    print("\n" + "\n".join(f"{peer.name}: {peer.does}" for peer in PEERS[asked.peer]))
    return finish(asked, documents, [])


if __name__ == "__main__":
    sys.exit(main())
