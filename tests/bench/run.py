"""Runs the benchmarks one after the other, prints all their goals in one table, and writes one JSON.

    python tests/bench/run.py [--quick] [--only NAME] [--peer otelcol|rotel] [--check] [--json FILE]

Each is a process of its own and can be run alone: `python tests/bench/bench_NAME.py --help`. `--quick` takes the short
form of each, for every day. With `--peer` the same load is sent to ours and to another receiver (`bench_peers.py`),
and of the others only what `--only` names runs. With `--check` the
exit code is 1 when a goal is missed; a benchmark that fails ends the others not, and its code is that of
all. Another program at work on the machine makes every number worse: the load is printed, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, table
from bench.machine import machine, one_line

HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Bench:
    """One benchmark: a file `bench_NAME.py` that takes `--json FILE` and ends as `goals.finish` does."""

    name: str
    options: str = ""
    quick: str | None = None
    """Options with `--quick`; by default the same."""

    def command(self, *, quick: bool) -> list[str]:
        """Return how it is started."""
        options = self.options if self.quick is None or not quick else self.quick
        return [sys.executable, str(HERE / f"bench_{self.name}.py"), *options.split()]


BENCHES: Final = (
    Bench("footprint", quick="--repeat 2 --idle 1"),
    Bench("decode"),
    Bench("judging", "--rules 50"),
    Bench("growth", quick="--spans 10000,100000,500000 --runs 1,2000 --rules 10,100"),
    Bench("selectors"),
    Bench("paths"),
    Bench("memory", quick="--spans 100000 --seconds 6"),
    Bench("verdict_latency", "--requests 200,500,1000 --repeat 3", quick="--requests 200,1000 --repeat 1"),
    Bench("rates", quick="--rates 10000 --sizes 512 --seconds 5"),
    Bench("sustained", quick="--seconds 10"),
    Bench("run_to_verdict", quick="--requests 20000"),
    Bench("ingest", quick="--seconds 2 --sizes 100,512 --gzip no --attributes 10"),
)
"""In the order in which they run; each line may be run alone with `--only NAME`."""
PEERS: Final = Bench("peers", quick="--cases 512x10 --modes drop,forward,default,queue --seconds 2 --rounds 1")
"""With `--peer`; some twenty minutes, or three with `--quick`."""


def run(bench: Bench, *more: str, quick: bool) -> dict[str, Any]:
    """Run a benchmark, which prints what it finds, and return its JSON; of one that fails, its exit code."""
    print(f"== {bench.name} {' '.join(more)}".rstrip(), flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
        path = Path(folder) / "result.json"
        code = subprocess.run([*bench.command(quick=quick), *more, "--json", str(path)], check=False).returncode
        failed = code or not path.exists()
        document: dict[str, Any] = {"failed": code or 1, "goals": []} if failed else json.loads(path.read_text())
    document["took_s"] = round(time.monotonic() - begun, 1)
    return document


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="take the short form of each")
    parser.add_argument("--only", action="append", choices=[bench.name for bench in BENCHES], metavar="NAME")
    parser.add_argument("--peer", choices=("otelcol", "rotel"), help="compare with another receiver")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    asked = parser.parse_args()
    about = machine()
    everything = asked.only is None and asked.peer is None
    chosen = [bench for bench in BENCHES if everything or bench.name in (asked.only or ())]
    documents = {bench.name: run(bench, quick=asked.quick) for bench in chosen}
    if asked.peer is not None:
        documents["peers"] = run(PEERS, asked.peer, quick=asked.quick)
    if asked.json is not None:
        whole = {"machine": about, "quick": asked.quick, "benches": documents}
        asked.json.write_text(json.dumps(whole, indent=1) + "\n")
    missed = summed_up(documents)
    print(one_line(about))
    if everything:
        print("not among them: others under the same load (PEER=otelcol, PEER=rotel), and `make bench-gate`")
    failed = [document["failed"] for document in documents.values() if "failed" in document]
    return int(failed[0]) if failed else int(asked.check and missed)


def summed_up(documents: Mapping[str, Mapping[str, Any]]) -> bool:
    """Print all goals in one table, and which benchmarks failed; tell whether a goal is missed."""
    goals = [Goal(**goal) for document in documents.values() for goal in document["goals"]]
    wanted = [goal for goal in goals if goal.wanted is not None]
    met, took = sum(goal.met for goal in wanted), sum(document["took_s"] for document in documents.values())
    print(f"\n== goals, after {took:.0f} s: {met} of {len(wanted)} met")
    for line in table([goal.row() for goal in goals]):
        print(line)
    for name, document in documents.items():
        if "failed" in document:
            print(f"bench_{name}.py FAILED: it ended with {document['failed']}")
    return met < len(wanted)


if __name__ == "__main__":
    sys.exit(main())
