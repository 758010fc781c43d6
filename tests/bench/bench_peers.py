"""The same load for `spanverdict serve` and for another receiver, in turns, and how the two compare.

    python tests/bench/bench_peers.py otelcol|rotel [--modes forward,queue] [--cases 1000x16,512x10] [--protocol grpc,http]
                                      [--gzip no,yes] [--seconds 3] [--rounds 2] [--json FILE]

The number that counts is spans for a second of the server's CPU, all its processes together: it does not depend
on what else the machine does, or on how many cores there are. Of several rounds, in each of which everybody gets the
same load one after the other, the ratio is the median. Ours makes every request durable, decodes it into columns
and hands it to the judge. Beside each peer stands what it does: *durable* is what is alike in what it promises (a queue
on disk, flushed, before the acknowledgement); all others promise less than ours.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish
from bench.loading import Case, Result, Start, measure
from bench.peers import OURS_DOES, PEERS, Peer
from bench.server import serving
from otelcollector import NotHere

OURS: Final = "spanverdict"
TARGET: Final = "otelcol/forward"
"""What the published figures are of, and the durable one; of these goals are set."""
LEAST_SPANS: Final = 512


def goal_of(case: Case) -> float:
    """Return how many times as many spans a CPU second as the Collector ours is to receive."""
    if case.protocol == "http":
        return 3.0
    return 2.0 if case.gzip else 1.0


def cases(text: str, protocols: Sequence[str], gzips: Sequence[str]) -> Iterator[Case]:
    """Yield all combinations; a size is written `1000x16`: spans a request, attributes a span."""
    for protocol, gzip, size in product(protocols, gzips, text.split(",")):
        spans, _, attributes = size.partition("x")
        yield Case(protocol, int(spans), gzip=gzip == "yes", attributes=int(attributes or 10))


def in_turns(case: Case, peers: Sequence[Peer], seconds: float, rounds: int) -> dict[str, list[Result]]:
    """Measure ours and each peer, round by round."""
    starts: dict[str, Start] = {OURS: serving, **{peer.name: peer.serving(case) for peer in peers}}
    found: dict[str, list[Result]] = {name: [] for name in starts}
    for _ in range(rounds):
        for name, start in starts.items():
            with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
                found[name].append(measure(case, seconds, Path(folder), start))
            if not found[name][-1].acknowledged:
                raise NotHere(f"{name} acknowledged nothing of {case.name}")
    return found


def compared(case: Case, results: dict[str, list[Result]]) -> dict[str, Any]:
    """Return what each did with a case, and how ours stands to each peer: above 1 ours is better."""
    ours = results[OURS]
    ratios = {
        name: {
            "spans_per_cpu_second": _ratio(theirs, ours, "cpu_us_per_span"),
            "acknowledged_per_second": _ratio(ours, theirs, "spans_per_second"),
        }
        for name, theirs in results.items()
        if name != OURS
    }
    return {
        "case": case.name,
        "results": {name: [asdict(result) for result in rounds] for name, rounds in results.items()},
        "ours_to_peer": ratios,
    }


def _ratio(over: Sequence[Result], under: Sequence[Result], what: str) -> float:
    """Return the median, over rounds, of one's number divided by another's."""
    pairs = zip(over, under, strict=True)
    return round(median(float(getattr(one, what)) / float(getattr(other, what)) for one, other in pairs), 3)


def show(document: dict[str, Any], peers: Sequence[Peer]) -> None:
    """Print one case as a table."""
    print(
        f"\n{document['case']:16} {'spans/s':>9} {'CPU us/span':>11} {'p99 ms':>7} {'peak MiB':>8}  ours : peer, spans a CPU second"
    )
    does = {OURS: OURS_DOES, **{peer.name: peer.does + (" (durable, too)" * peer.durable) for peer in peers}}
    for name, rounds in document["results"].items():
        best = min(rounds, key=lambda result: float(result["cpu_us_per_span"]))
        ratio = document["ours_to_peer"].get(name)
        behind = f"{ratio['spans_per_cpu_second']:.2f} x" if ratio else best["ledger"]
        print(
            f"{name:16} {best['spans_per_second']:>9,} {best['cpu_us_per_span']:>11.2f} {best['p99_ms']:>7.1f} "
            f"{best['peak_rss_mib']:>8,}  {behind:7} {does[name]}",
            flush=True,
        )


def goals_of(measured: Sequence[tuple[Case, dict[str, Any]]], peers: Sequence[Peer]) -> Iterator[Goal]:
    """Yield what is asked beside a Collector that forwards, and beside one that is as durable."""
    wanted = {peer.name for peer in peers if peer.name == TARGET or peer.durable}
    for case, document in measured:
        if case.size >= LEAST_SPANS:
            for name in sorted(wanted):
                ratio = document["ours_to_peer"][name]["spans_per_cpu_second"]
                yield Goal(f"spans a CPU second, {case.name}, ours to {name}", ratio, goal_of(case), "x")
    exact = [result["ledger"] == "exact" for _, document in measured for result in document["results"][OURS]]
    yield Goal("rounds whose ledger is exact", sum(exact), len(exact))


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("peer", choices=tuple(PEERS))
    parser.add_argument(
        "--modes", help="which of a peer's modes: nop,forward,default,file,queue or drop,forward; default: all"
    )
    parser.add_argument("--cases", default="1000x16,512x10", help="spans a request x attributes a span")
    parser.add_argument("--protocol", default="grpc,http")
    parser.add_argument("--gzip", default="no,yes", help="requests plain, compressed, or both")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    modes = asked.modes.split(",") if asked.modes else None
    peers = [peer for peer in PEERS[asked.peer] if modes is None or peer.name.rpartition("/")[2] in modes]
    measured = []
    try:
        for case in cases(asked.cases, asked.protocol.split(","), asked.gzip.split(",")):
            measured.append((case, compared(case, in_turns(case, peers, asked.seconds, asked.rounds))))
            show(measured[-1][1], peers)
    except NotHere as why:
        print(f"{asked.peer}: {why}", file=sys.stderr)
        return 2
    print()
    return finish(asked, [document for _, document in measured], list(goals_of(measured, peers)))


if __name__ == "__main__":
    sys.exit(main())
