"""Runs the benchmarks one after the other and says whether the floors are met.

    python tests/bench/run.py [--only NAME] [--seconds N] [--peer NAME] [--check] [--json FILE]

Each is a process of its own, short by default: all together take two to three minutes. The names are those of
the files: decode, judging, growth, selectors, verdict_latency, paths, ingest; `--peer` adds a comparison with another
receiver, see `peers.py`. With `--check` the exit code is 1 when a
floor is missed. Another program at work on the machine makes every number worse: the load is printed, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Floor:
    """What has to be reached at least; or at most, for a time."""

    what: str
    wanted: float
    unit: str
    measured: Callable[[Any], float]
    """Finds the number in the JSON of a benchmark."""
    at_most: bool = False

    def row(self, document: Any) -> tuple[str, str, str, str]:
        """Return what is measured, the number, the floor and whether it is met."""
        found = self.measured(document)
        met = found <= self.wanted if self.at_most else found >= self.wanted
        relation = "<=" if self.at_most else ">="
        return self.what, _number(found, self.unit), f"{relation} {_number(self.wanted, self.unit)}", _verdict(met)


@dataclass(frozen=True, slots=True)
class Bench:
    """One benchmark. It writes JSON to standard output when asked with `--json`, unless `to_file`."""

    name: str
    arguments: Callable[[float], Sequence[str]]
    """From the seconds of load."""
    floors: tuple[Floor, ...] = ()
    writes_json: bool = True
    to_file: bool = False


def _decoded(document: Any) -> float:
    """Return the best rate over request sizes from 100 spans on, by CPU time: it is one core that is asked for."""
    return max(1e6 / float(r["cpu_us_per_span"]) for r in document["results"] if r["spans_per_request"] >= 100)


def _judged(document: Any) -> float:
    return float(document["associate_s"] + document["evaluate_s"])


def _acknowledged(document: Any) -> float:
    return next(float(r["spans_per_second"]) for r in document["results"] if r["case"] == "grpc/512")


def _exact(document: Any) -> float:
    return float(sum(result["ledger"] == "exact" for result in document["results"]) / len(document["results"]))


def _nothing(_seconds: float) -> Sequence[str]:
    return ()


BENCHES: Final = (
    Bench(
        "decode",
        lambda _: ("--recent", "20000"),
        (Floor("decoded on a core", 300_000, "spans/s", _decoded),),
    ),
    Bench(
        "judging",
        lambda _: ("--rules", "50"),
        (Floor("1,000,000 spans judged by fifty rules", 5, "s", _judged, at_most=True),),
    ),
    Bench("growth", lambda _: ("--check", "--requests", "1000,10000,50000"), writes_json=False),
    Bench("selectors", lambda _: ("--check",), writes_json=False),
    Bench("paths", _nothing, writes_json=False),
    Bench("verdict_latency", lambda _: ("--requests", "200,1000", "--repeat", "1"), writes_json=False),
    Bench(
        "ingest",
        lambda seconds: ("--seconds", str(seconds), "--rounds", "2"),
        (
            Floor("acknowledged, gRPC, 512 spans a request", 150_000, "spans/s", _acknowledged),
            Floor("cases whose ledger is exact", 1, "", _exact),
        ),
        to_file=True,
    ),
)
PEERS: Final = Bench("peers", lambda seconds: ("--seconds", str(seconds)), to_file=True)


def _number(number: float, unit: str) -> str:
    return f"{number:,.0f} {unit}".strip() if number >= 100 else f"{number:,.3g} {unit}".strip()


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def run(bench: Bench, seconds: float, *more: str) -> Any:
    """Run a benchmark, print what it prints, and return its JSON; None when it has none."""
    command = [sys.executable, str(HERE / f"bench_{bench.name}.py"), *bench.arguments(seconds), *more]
    if bench.to_file:
        with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
            path = Path(folder) / "result.json"
            code = subprocess.run([*command, "--json", str(path)], check=False).returncode
            if code:
                sys.exit(f"bench_{bench.name}.py ended with {code}")
            return json.loads(path.read_text())
    if not bench.writes_json:
        code = subprocess.run(command, check=False).returncode
        return {"exit_code": code}
    output = subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
    document = json.loads(output)
    print(json.dumps(document, indent=1))
    return document


def rows_of(bench: Bench, document: Any) -> list[tuple[str, str, str, str]]:
    """Return a table's rows for a benchmark; those without floors have failed when their process has."""
    if not bench.floors:
        return [(bench.name, f"exit code {document['exit_code']}", "0", _verdict(document["exit_code"] == 0))]
    return [floor.row(document) for floor in bench.floors]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=[bench.name for bench in BENCHES], metavar="NAME")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load, each time spans are received")
    parser.add_argument("--peer", choices=("otelcol", "rotel"), help="send the same load to another receiver, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a floor is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    asked = parser.parse_args()
    begun, rows, documents = time.monotonic(), [], {}
    for bench in BENCHES:
        if asked.only is None or bench.name in asked.only:
            print(f"== {bench.name}", flush=True)
            documents[bench.name] = run(bench, asked.seconds)
            rows += rows_of(bench, documents[bench.name])
    if asked.peer is not None:
        print(f"== {asked.peer}", flush=True)
        documents["peers"] = run(PEERS, asked.seconds, asked.peer)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(
        f"\n== floors, after {time.monotonic() - begun:.0f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if asked.json is not None:
        asked.json.write_text(json.dumps(documents, indent=1))
    return int(asked.check and any(row[-1] != "met" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
