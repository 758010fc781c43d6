"""Whether costs grow as they should: with the number of spans, of runs at the same time, and of rules.

    python tests/bench/bench_growth.py [--spans 10000,100000,1000000,5000000] [--runs 1,100,10000] [--rules 10,50,300] [--json FILE]

CPU time of each stage, every row in a process of its own. *Spans*: that many are decoded in requests of 512 and kept; and
a run of as many, ten a request, is associated, stitched, and judged by ten rules. *Runs*: the same number of spans, spread over
ever more runs, is taken in batch by batch as `serve` does it, until all of them may be judged. *Rules*: one run is judged by ever
more rules; what counts is the time a rule. Beside each column stands its slope, the `k` of cost ~ n^k through the last two
rows: 0 where a span costs the same however many there are. The goal is that at the end of a column nothing
costs more than twice of what it costs at its cheapest. 5,000,000 spans take some 5 GB and two minutes.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_judging import flow_of, fresh, large_run
from bench.goals import Goal, command, finish
from bench.load import Traffic
from bench.loading import RULES
from bench.many_rules import rule_lines
from bench.stages import cpu_seconds, judged, stitched
from spanverdict.app.decoding import Decoder
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.pages import take_small_pages
from spanverdict.app.recollection import Recalled
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.paths.association import associate
from spanverdict.rulefiles.loader import load
from spanverdict.telemetry.spantable import SpanTable

Row = Mapping[str, float]

ALLOWED: Final = 2.0
SPANS_A_REQUEST: Final = 512
TOGETHER: Final = 16
"""Requests that are decoded at a time."""
SPANS_A_BATCH: Final = 20
BATCHES: Final = 20_000
REQUESTS_FOR_RULES: Final = 10_000
SMALL: Final = 200_000
"""Spans up to which the fastest of several rounds counts."""
QUIET_S: Final = 60.0
MEMORY: Final = "bytes a span"
ENOUGH: Final = 100_000
"""Spans from which on memory a span can be told from what the process takes and gives back by itself."""


class NoArchive:
    """An archive in which nothing was before."""

    def recall(self, run_id: str) -> Recalled | None:
        return None

    def batches(self, first: int, last: int) -> Iterator[tuple[int, SpanTable]]:
        return iter(())

    def first_batch(self) -> int:
        return 1

    def keep_verdict(self, run_id: str, through: int) -> None: ...


def by_spans(count: int) -> Row:
    """Decode, associate, stitch and judge that many; microseconds a span, and bytes of memory a span."""
    decoding, kept = decoded(count)
    flow, table = flow_of(count // 10), large_run(count // 10)
    rounds = 3 if count <= SMALL else 2

    def us(work: Callable[[], object]) -> float:
        return min(cpu_seconds(work) for _ in range(rounds)) / count * 1e6

    associating = us(lambda: associate(fresh(table)))
    stitching = us(lambda: stitched(flow, fresh(table)))
    view = stitched(flow, fresh(table))
    return {
        "decode": decoding,
        "associate": associating,
        "stitch": stitching,
        "judge": us(lambda: judged(flow, view)),
        MEMORY: kept,
    }


def decoded(count: int) -> tuple[float, float]:
    """Decode that many spans and keep them; return microseconds and bytes a span. What any number takes is there before."""
    traffic, decoder = Traffic.build(SPANS_A_REQUEST, 10), Decoder()
    kept = [decoder.decode_all([traffic.payload(number) for number in range(100)])]
    before, spent = resident(), 0.0
    requests = range(100, 100 + max(count // SPANS_A_REQUEST, 1))
    for first in range(requests.start, requests.stop, TOGETHER):
        payloads = [traffic.payload(number) for number in range(first, min(first + TOGETHER, requests.stop))]
        spent += cpu_seconds(lambda payloads=payloads: kept.append(decoder.decode_all(payloads)))  # type: ignore[misc]
    spans = len(requests) * SPANS_A_REQUEST
    return spent / spans * 1e6, (resident() - before) / spans


def resident() -> int:
    """Return the bytes of memory that are really held: garbage is collected, and free memory given back."""
    gc.collect()
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def by_runs(count: int) -> Row:
    """Take in the same number of spans, of so many runs in turns, until all of them are due; microseconds a span."""
    flow = load(RULES, "scoring.yaml", Problems())
    assert flow is not None
    traffic, decoder = Traffic.build(SPANS_A_BATCH, 10), Decoder()
    docket = Docket(DocketConfig(flows=(flow,)), NoArchive(), stopwatch=lambda: 0.0)
    taking = 0.0
    for number in range(max(BATCHES, count)):
        payload = traffic.loads[number % 8].payload(number, b"bench-%05d" % (number % count))
        table = decoder.decode(payload).table
        taking += cpu_seconds(lambda table=table, number=number: take_in(docket, number + 1, table))  # type: ignore[misc]
    due = sum(1 for _ in docket.due(BATCHES + QUIET_S))
    assert due == count, (due, count)
    return {"take in": taking / max(BATCHES, count) / SPANS_A_BATCH * 1e6}


def take_in(docket: Docket, number: int, table: SpanTable) -> None:
    """Take in a batch, and look what is due, as the judge does after each."""
    now = number * QUIET_S / 1e6
    docket.take_in((number,), table, now)
    docket.noted(docket.unnoted())
    list(docket.due(now))


def by_rules(count: int) -> Row:
    """Judge one run by so many rules; microseconds a span and rule."""
    table = large_run(REQUESTS_FOR_RULES)
    flow = flow_of(REQUESTS_FOR_RULES, count, rules="\n".join(rule_lines(count)))
    spent = min(
        cpu_seconds(lambda: list(evaluate([flow], fresh(table), RunInfo("bench-1"))))
        for _ in range(2 if count < 100 else 1)
    )
    return {"judge": 1e6 * spent / len(table) / count}


TABLES: Final[Mapping[str, Callable[[int], Row]]] = {"spans": by_spans, "runs": by_runs, "rules": by_rules}


def apart(name: str, count: int) -> Row:
    """Measure a row in a process of its own."""
    words = [sys.executable, __file__, "--one", f"{name}={count}"]
    row: Row = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout)
    return row


def grows(costs: Sequence[float]) -> float:
    """Return how many times as much it costs in the last row as in the cheapest one.

    >>> grows([4, 2, 3])
    1.5
    """
    return costs[-1] / min(costs)


def slope(counts: Sequence[int], costs: Sequence[float]) -> float:
    """Return the k of cost ~ n^k between the last two rows; costs are those of one of n.

    >>> slope([10, 100, 1000], [9, 1, 10])
    1.0
    """
    if len(counts) < 2 or min(costs[-2:]) <= 0:
        return 0.0
    return math.log(costs[-1] / costs[-2]) / math.log(counts[-1] / counts[-2])


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--spans", default="10000,100000,1000000,5000000")
    parser.add_argument("--runs", default="1,100,10000")
    parser.add_argument("--rules", default="10,50,300")
    parser.add_argument("--one", metavar="TABLE=N", help="measure one row only, and print it as JSON")
    asked = parser.parse_args()
    if asked.one:
        take_small_pages()  # as every command does that judges
        name, _, count = asked.one.partition("=")
        print(json.dumps(TABLES[name](int(count))))
        return 0
    found, goals = {}, []
    for name in TABLES:
        counts = [int(text) for text in getattr(asked, name).split(",")]
        rows = [shown(name, count) for count in counts]
        found[name] = [{name: count, **row} for count, row in zip(counts, rows, strict=True)]
        for column in rows[0]:
            least = ENOUGH if column == MEMORY else 0
            seen = [(count, row[column]) for count, row in zip(counts, rows, strict=True) if count >= least]
            if seen:
                some, costs = zip(*seen, strict=True)
                print(f"{name:6} slope of {column}: {slope(some, costs):+.2f}")
                goals.append(Goal(f"{column} by {name}, last to cheapest", grows(costs), ALLOWED, "x", at_most=True))
    return finish(asked, found, goals)


def shown(name: str, count: int) -> Row:
    """Measure a row and print it."""
    row = apart(name, count)
    print(f"{name:6} {count:>10,}  " + "  ".join(f"{column} {cost:8.3f}" for column, cost in row.items()), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
