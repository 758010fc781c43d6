"""How long it takes to find the paths of a large run: association, stitching, stage intervals, on one core.

    python tests/bench/bench_paths.py [--requests 100000] [--repeat 3] [--hosts] [--profile] [--json FILE]

Each request has ten spans: eight in the trace that it began in, and a consumer with one below it in a trace of its
own, which only a span link joins to the first. Some of the services tag their spans with the run, the consumer's does
not. The parts are those of judging, called one after the other; the memory is the largest resident set while they
ran, the spans themselves included. The aim is a million spans within two seconds and one gigabyte. With `--hosts` every
service names a host of its own, so that all times between them are intervals.
"""

from __future__ import annotations

import cProfile
import gc
import pstats
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_judging import flow_of, fresh, large_run
from bench.goals import Goal, command, finish
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.paths.association import associate
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable

LATENCIES = ("end-to-end", "queue-wait")
GOAL_S = 2.0
GOAL_MIB = 1024


def forget_peak() -> None:
    """Begin to note the largest resident set anew."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def find_paths(table: SpanTable, flow: Flow, n_requests: int) -> dict[str, float]:
    """Find the paths of a run and return the seconds of each part."""
    seconds: dict[str, float] = {}

    def timed(part: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        done = work()
        seconds[part] = time.perf_counter() - begun
        return done

    found = timed("associate", lambda: associate(table).rows_of("bench-1"))
    assert len(found) == len(table)
    run = timed("settle, grow, links", lambda: prepare(table))
    view, _ = timed("stitch, members", lambda: view_of(flow, run, n_requests))
    times = timed("stage intervals", lambda: [view.stage(name) for name in view.stages])
    timed("latencies", lambda: [rule.check.measure(view) for rule in flow.rules if rule.id in LATENCIES])
    assert view.n_requests == n_requests
    assert all(stage.present.all() for stage in times)
    return seconds


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the fastest counts")
    parser.add_argument("--hosts", action="store_true", help="let every service name a host of its own")
    parser.add_argument("--profile", action="store_true", help="list where the time goes")
    asked = parser.parse_args()
    flow, table = flow_of(asked.requests), large_run(asked.requests, hosts=asked.hosts)
    forget_peak()
    held = peak_mib()
    runs = [find_paths(fresh(table), flow, asked.requests) for _ in range(asked.repeat)]
    best = min(runs, key=lambda seconds: sum(seconds.values()))
    result = {"spans": len(table), "requests": asked.requests}
    result |= {f"{part}_s": round(seconds, 3) for part, seconds in best.items()}
    result |= {"total_s": round(sum(best.values()), 3), "spans_mib": held, "peak_mib": peak_mib()}
    print("\n".join(f"{key:22} {value:>12,}" for key, value in result.items()))
    if asked.profile:
        profile = cProfile.Profile()
        profile.runcall(find_paths, fresh(table), flow, asked.requests)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    goals = [
        Goal(f"paths of {len(table):,} spans", result["total_s"], GOAL_S * len(table) / 1e6, "s", at_most=True),
        Goal("memory at most while they are found", result["peak_mib"], GOAL_MIB, "MiB", at_most=True),
    ]
    return finish(asked, result, goals)


if __name__ == "__main__":
    sys.exit(main())
