"""The same load for `spanverdict serve` and for another receiver, in turns, and how the two compare.

    python tests/bench/bench_peers.py otelcol|rotel [--modes forward,queue] [--cases 1000x16,512x10] [--protocol grpc,http]
                                      [--gzip no,yes] [--seconds 3] [--warm-up 4] [--rounds 2] [--json FILE]

The number that counts is spans for a second of the server's CPU, all its processes together: it does not depend
on what else the machine does, or on how many cores there are. In each of several rounds everybody gets the same
load, one after the other, every other round in the opposite order; ours is compared with a peer round by round, and the
ratio is the median, with the lowest and the highest beside it. Everybody is warmed up for the same time, and whether
ours had its compiled decoding by then is said. Ours makes every request durable, decodes it into columns
and hands it to the judge. Beside each peer stands what it does: *durable* is what is alike in what it promises (a queue
on disk, flushed, before the acknowledgement); all others promise less than ours. `published.py` says which of the ratios
have goals, and why these.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish, table
from bench.loading import WARM_UP_S, Case, Result, Start, measure
from bench.machine import machine, one_line
from bench.peers import OURS_DOES, PEERS, Peer
from bench.published import asked_of
from bench.server import serving
from otelcollector import NotHere

OURS: Final = "spanverdict"
HEAD: Final = (
    "spans/s",
    "CPU us/span",
    "p50 ms",
    "p99 ms",
    "peak MiB",
    "rss kB/s",
    "ours : peer",
    "lowest-highest",
    "goal",
)
"""Above the table of a case, whose name comes first; what is compared is spans a CPU second."""


def cases(text: str, protocols: Sequence[str], gzips: Sequence[str], warm_up: float = WARM_UP_S) -> Iterator[Case]:
    """Yield all combinations; a size is written `1000x16`: spans a request, attributes a span."""
    for protocol, gzip, size in product(protocols, gzips, text.split(",")):
        spans, _, attributes = size.partition("x")
        yield Case(protocol, int(spans), gzip=gzip == "yes", attributes=int(attributes or 10), warm_up=warm_up)


def in_turns(case: Case, peers: Sequence[Peer], seconds: float, rounds: int) -> dict[str, list[Result]]:
    """Measure ours and each peer, round by round, every other one in the opposite order."""
    starts: dict[str, Start] = {OURS: serving, **{peer.name: peer.serving(case) for peer in peers}}
    found: dict[str, list[Result]] = {name: [] for name in starts}
    for number in range(rounds):
        for name in list(starts)[:: -1 if number % 2 else 1]:
            found[name].append(_measured(case, seconds, name, starts[name]))
    return found


def _measured(case: Case, seconds: float, name: str, start: Start) -> Result:
    with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
        try:
            result = measure(case, seconds, Path(folder), start)
        except psutil.NoSuchProcess:
            raise NotHere(f"{name} ended while it got {case.name}") from None
    if not result.acknowledged:
        raise NotHere(f"{name} acknowledged nothing of {case.name}")
    return result


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


def _ratio(over: Sequence[Result], under: Sequence[Result], what: str) -> dict[str, Any]:
    """Divide one's number by another's, round by round."""
    pairs = zip(over, under, strict=True)
    ratios = [round(float(getattr(one, what)) / float(getattr(other, what)), 3) for one, other in pairs]
    return {"median": round(median(ratios), 3), "least": min(ratios), "most": max(ratios), "rounds": ratios}


def introduce(peers: Sequence[Peer], version: str, asked: Namespace) -> None:
    """Print who is compared, on what, and how."""
    print(one_line(machine()), f"beside {version}", sep="\n")
    does = [(OURS, OURS_DOES), *((peer.name, peer.does + " (durable, too)" * peer.durable) for peer in peers)]
    print(*table(does), sep="\n")
    rounds = f"{asked.rounds} rounds" if asked.rounds > 1 else "one round"
    print(
        f"{rounds}: {asked.warm_up:g} s of load to warm up, then {asked.seconds:g} s that are measured, the same for all",
        flush=True,
    )


def show(case: Case, document: dict[str, Any], peers: Sequence[Peer]) -> None:
    """Print one case as a table; numbers are medians over its rounds."""
    rows = [(case.name, *HEAD), (OURS, *_medians(document, OURS), "", "", "")]
    for peer in peers:
        ratio, asked = document["ours_to_peer"][peer.name]["spans_per_cpu_second"], asked_of(case, peer.name)
        spread = f"{ratio['least']:.2f}-{ratio['most']:.2f}" if len(ratio["rounds"]) > 1 else "one round"
        goal = f">= {asked.times:g} x ({asked.of})" if asked is not None else "none"
        rows.append((peer.name, *_medians(document, peer.name), f"{ratio['median']:.2f} x", spread, goal))
    ours = document["results"][OURS]
    said = f"ledger: {_each(ours, 'ledger')}; decoding: {_each(ours, 'decoding')}"
    print("", *table(rows), said, *_refusals(document), sep="\n", flush=True)


def _medians(document: dict[str, Any], name: str) -> Iterator[str]:
    numbers = {"spans_per_second": ",.0f", "cpu_us_per_span": ".2f", "p50_ms": ".1f", "p99_ms": ".1f"}
    for what, form in {**numbers, "peak_rss_mib": ",.0f"}.items():
        yield format(median(result[what] for result in document["results"][name]), form)
    yield format(median(result["slope_bytes_per_second"] for result in document["results"][name]) / 1000, ",.0f")


def _refusals(document: dict[str, Any]) -> Iterator[str]:
    """Yield who refused spans: of these it has the cost and not the merit, and the sender rests behind each refusal."""
    for name, results in document["results"].items():
        refused, sent = (sum(result[what] for result in results) for what in ("refused", "acknowledged"))
        if refused:
            yield f"{name} refused {refused:,} of {refused + sent:,} spans"


def _each(results: Sequence[dict[str, Any]], what: str) -> str:
    """Return what the rounds say, once where all say the same."""
    return ", ".join(dict.fromkeys(str(result[what]) for result in results))


def goals_of(measured: Sequence[tuple[Case, dict[str, Any]]], peers: Sequence[Peer]) -> Iterator[Goal]:
    """Yield every ratio, those that nothing is asked of among them, and whether the measuring itself was right."""
    for case, document in measured:
        for peer in peers:
            ratio = document["ours_to_peer"][peer.name]["spans_per_cpu_second"]["median"]
            asked = asked_of(case, peer.name)
            what = f"spans a CPU second, {case.name}, ours to {peer.name}"
            yield Goal(what, ratio, asked.times if asked is not None else None, "x")
    ours = [result for _, document in measured for result in document["results"][OURS]]
    yield Goal("rounds whose ledger is exact", sum(result["ledger"] == "exact" for result in ours), len(ours))
    steady = sum(result["steady"] for result in ours)
    yield Goal("rounds in which ours was warm from their beginning", steady, len(ours))


def parser() -> ArgumentParser:
    """Return what reads the command line."""
    line = command(__doc__)
    line.add_argument("peer", choices=tuple(PEERS))
    line.add_argument(
        "--modes", help="which of a peer's modes: nop,forward,default,file,queue or drop,forward; default: all"
    )
    line.add_argument("--cases", default="1000x16,512x10", help="spans a request x attributes a span")
    line.add_argument("--protocol", default="grpc,http")
    line.add_argument("--gzip", default="no,yes", help="requests plain, compressed, or both")
    line.add_argument("--seconds", type=float, default=3.0, help="of load in each round that are measured")
    line.add_argument("--warm-up", type=float, default=WARM_UP_S, help="seconds of load before that, for everybody")
    line.add_argument("--rounds", type=int, default=2)
    return line


def chosen(peer: str, modes: str | None) -> list[Peer]:
    """Return a peer in those of the modes that it has; in all of them where none are asked for.

    Raises:
        NotHere: no peer has such a mode, or this one has none of them.
    """
    wanted = modes.split(",") if modes else [mode_of(each) for each in PEERS[peer]]
    known = {mode_of(each) for peers in PEERS.values() for each in peers}
    found = [each for each in PEERS[peer] if mode_of(each) in wanted]
    if not (found and known.issuperset(wanted)):
        raise NotHere(f"it has no mode {modes}; it has {', '.join(map(mode_of, PEERS[peer]))}")
    return found


def mode_of(peer: Peer) -> str:
    """Return what a peer's mode is called."""
    return peer.name.rpartition("/")[2]


def main() -> int:
    asked = parser().parse_args()
    measured = []
    try:
        peers = chosen(asked.peer, asked.modes)
        version = PEERS[asked.peer][0].version()
        introduce(peers, version, asked)
        for case in cases(asked.cases, asked.protocol.split(","), asked.gzip.split(","), asked.warm_up):
            measured.append((case, compared(case, in_turns(case, peers, asked.seconds, asked.rounds))))
            show(*measured[-1], peers)
    except NotHere as why:
        print(f"{asked.peer}: {why}", file=sys.stderr)
        return 2
    print()
    about = {"peer": version, "warm_up_s": asked.warm_up, "seconds": asked.seconds, "rounds": asked.rounds}
    found = {**about, "cases": [document for _, document in measured]}
    return finish(asked, found, list(goals_of(measured, peers)))


if __name__ == "__main__":
    sys.exit(main())
