"""Whether a full load can be kept up: spans from the socket into judged columns, for a minute, verdicts among them.

    python tests/bench/bench_sustained.py [--seconds 60] [--spans-per-run 1000000] [--protocol grpc] [--rate N] [--json FILE]

Requests of 512 spans with ten attributes come as fast as they are acknowledged. Every million spans a new run begins; the one
before is judged by five rules, once it was quiet for two seconds, while the next comes in. The rate counts from the
first request until the judge has taken in the last. Besides the ledger, every verdict is looked at: it is on all
spans that were acknowledged for its run, and how long it took after the run's last span and the quiet.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish
from bench.ledger import ACKNOWLEDGED, Ledger
from bench.load import run_id
from bench.loading import RULES, Case, Result, measure, traffic_of
from spanverdict.storage.store import Store

GOAL: Final = 200_000
QUIET_S: Final = 2.0
RULES_HERE: Final = f"""{RULES}
  - id: calls
    count: {{of: '{{ span:kind = client }}', per: request}}
    expect: {{max: "<= 10"}}
  - id: errors
    ratio: {{of: '{{ span:status = error }}', over: '{{ span:name != nil }}'}}
    expect: {{ratio: "<= 10%"}}
  - id: score
    attribute: {{stage: score, value: span.score.value}}
    expect: {{p50: "< 1"}}
  - id: cached
    ratio: {{of: '{{ span.cached = true }}', over: '{{ span.cached != nil }}'}}
    expect: {{ratio: ">= 10%"}}
complete:
  idle: {QUIET_S:g}s
"""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of the runs."""

    runs: int
    whole: int
    """Those whose verdict is on all their acknowledged spans."""
    p50_s: float
    most_s: float
    """From the end of a run's quiet to its verdict."""


def verdicts_of(case: Case, ledger: Ledger, path: Path) -> Verdicts:
    """Hold the verdicts in a store against a ledger."""
    traffic = traffic_of(case)
    spans = Counter[str]()
    for number in np.flatnonzero(ledger.outcomes == ACKNOWLEDGED).tolist():
        spans[run_id(traffic.run_of(number)).decode()] += case.size
    with Store.open(path) as store:
        found = [seen for run in spans if (seen := _seen(store, run)) is not None]
    lags = [lag for _, _, lag in found] or [float("inf")]
    whole = sum(spans[run] == judged for run, judged, _ in found)
    return Verdicts(len(spans), whole, round(float(np.median(lags)), 2), round(max(lags), 2))


def _seen(store: Store, run: str) -> tuple[str, int, float] | None:
    """Return a run, the spans of its last verdict, and the seconds to it; None without one."""
    record, verdict = store.runs.get(run), store.runs.verdict(run)
    if record is None or verdict is None:
        return None
    (last,) = store.journal.read(record.last_batch, record.last_batch)
    lag = (verdict.created_unix_nano - last.received_unix_nano) / 1e9 - QUIET_S
    return run, int(json.loads(verdict.document)["run"]["spans"]), lag


def goals_of(result: Result, verdicts: Verdicts, rate: float, seconds: float) -> Iterator[Goal]:
    """Yield what is asked of it."""
    yield Goal(f"socket to judged columns, sustained for {seconds:g} s", rate, GOAL, "spans/s")
    yield Goal("runs whose verdict is on all their spans", verdicts.whole, verdicts.runs)
    yield Goal("cases whose ledger is exact, sustained", result.ledger == "exact", 1)


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--protocol", choices=("grpc", "http"), default="grpc")
    parser.add_argument("--size", type=int, default=512, help="spans a request")
    parser.add_argument("--attributes", type=int, default=10)
    parser.add_argument("--spans-per-run", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=0, help="spans a second; 0: as fast as they are answered")
    asked = parser.parse_args()
    case = Case(
        asked.protocol, asked.size, attributes=asked.attributes, rate=asked.rate, spans_per_run=asked.spans_per_run
    )
    with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
        result = measure(case, asked.seconds, Path(folder), rules=RULES_HERE)
        verdicts = verdicts_of(case, Ledger.read(Path(folder) / "ledger.npz"), Path(folder) / "store.sqlite")
    print(Result.header(), result, sep="\n")
    rate = result.spans_per_second * asked.seconds / (asked.seconds + result.drain_s)
    print(
        f"{result.acknowledged:,} spans in {verdicts.runs} runs, {verdicts.whole} of them with a verdict on all their spans; "
        f"after their quiet it took {verdicts.p50_s} s, {verdicts.most_s} s at most; "
        f"the judge was {result.backlog_mib} MiB of columns behind at most, and {result.drain_s} s at the end"
    )
    found = {"result": asdict(result), "verdicts": asdict(verdicts), "spans_per_second": round(rate)}
    return finish(asked, found, list(goals_of(result, verdicts, rate, asked.seconds)))


if __name__ == "__main__":
    sys.exit(main())
