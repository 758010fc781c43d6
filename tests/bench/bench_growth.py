"""Whether costs grow as they should: CPU time a span from few spans to many, from one run to thousands, by rules.

    python tests/bench/bench_growth.py [--requests 1000,10000,100000] [--runs 1,100,2000] [--rules 10,50,300] [--json FILE]

Three tables. *Spans*: a run of ten spans a request is associated and judged by ten rules. *Runs*: the same number of
spans, spread over ever more runs, comes in batch by batch, is joined and counted as `serve` does it. *Rules*: one run is
judged by ever more rules; what counts is the time a rule, besides what all rules share. With `--check` the exit code is 1
where a span costs more than twice as much at the end of a table as at its cheapest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_judging import flow_of, fresh, large_run

from bench.goals import Goal, command, finish
from bench.load import Load
from spanverdict.app.decoding import RECENT_ATTRIBUTES
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.paths.association import associate
from spanverdict.paths.window import Window
from spanverdict.telemetry.spantable import SpanTable

ALLOWED: Final = 2.0
SPANS_A_BATCH: Final = 20
BATCHES: Final = 2000
REQUESTS_FOR_RULES: Final = 10_000


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def by_spans(requests: Sequence[int]) -> list[dict[str, float]]:
    """Judge runs of several sizes."""
    rows = []
    for count in requests:
        flow, table = flow_of(count), large_run(count)

        def work(table: SpanTable = table, flow: Any = flow) -> None:
            associate(fresh(table))
            list(evaluate([flow], fresh(table), RunInfo("bench-1")))

        rounds = 3 if count <= REQUESTS_FOR_RULES else 1
        rows.append({"spans": len(table), "us_per_span": 1e6 * min(_cpu(work) for _ in range(rounds)) / len(table)})
    return rows


def by_runs(runs: Sequence[int]) -> list[dict[str, float]]:
    """Take in the same number of spans, of several numbers of runs."""
    rows = []
    for count in runs:
        pool = new_pool(RECENT_ATTRIBUTES)
        loads = [Load.build(SPANS_A_BATCH, 10, seed=1, run_id=f"run-{number}") for number in range(count)]
        batches = [decode(loads[at % count].payload(at), pool).table for at in range(max(BATCHES, count))]
        window = Window()

        def work(window: Window = window, batches: Sequence[SpanTable] = batches) -> None:
            for number, table in enumerate(batches):
                window.add(number, table, float(number))
                window.count()

        rows.append({"runs": count, "us_per_span": 1e6 * _cpu(work) / (SPANS_A_BATCH * len(batches))})
    return rows


def by_rules(rules: Sequence[int]) -> list[dict[str, float]]:
    """Judge one run by several numbers of rules."""
    table = large_run(REQUESTS_FOR_RULES)
    rows = []
    for count in rules:
        flow = flow_of(REQUESTS_FOR_RULES, count, rules="" if count != len(flow_of(1).rules) else _ten())
        spent = min(_cpu(lambda flow=flow: list(evaluate([flow], fresh(table), RunInfo("bench-1")))) for _ in range(2))  # type: ignore[misc]
        rows.append({"rules": count, "us_per_span": 1e6 * spent / len(table) / count})
    return rows


def _ten() -> str:
    from many_rules import rule_lines

    return "\n".join(rule_lines(10))


def grows(rows: Sequence[dict[str, float]]) -> float:
    """Return how many times as much a span costs in the last row as in the cheapest one."""
    return rows[-1]["us_per_span"] / min(row["us_per_span"] for row in rows)


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--requests", default="1000,10000,100000", help="of ten spans each; 500000 takes some GB")
    parser.add_argument("--runs", default="1,100,2000")
    parser.add_argument("--rules", default="10,50,300")
    asked = parser.parse_args()
    tables = {
        "spans": by_spans([int(text) for text in asked.requests.split(",")]),
        "runs": by_runs([int(text) for text in asked.runs.split(",")]),
        "rules": by_rules([int(text) for text in asked.rules.split(",")]),
    }
    for name, rows in tables.items():
        unit = "us a span and rule" if name == "rules" else "us a span"
        for row in rows:
            print(f"{name:8} {row[name]:>10,.0f} {row['us_per_span']:>10.3f} {unit}")
    goals = [
        Goal(f"cost by {name}, last to cheapest", grows(rows), ALLOWED, "x", at_most=True)
        for name, rows in tables.items()
    ]
    return finish(asked, tables, goals)


if __name__ == "__main__":
    sys.exit(main())
