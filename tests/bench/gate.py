"""Fails when decoding, association, stitching or judging has become slower than the committed ratios allow.

    python tests/bench/gate.py [--rounds 11] [--update] [--json FILE]

Times mean nothing on another machine, or on this one an hour later. So each stage is measured in turns with a plain
implementation of the same (`plain.py`), both in CPU time, and what is compared is how many times as fast ours is: the
median of several rounds. A ratio 10 % below the one in `gate.json` fails, but only after it was measured anew twice.
`--update` writes the ratios that are measured now.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import plain
from bench_judging import flow_of, fresh, large_run

from bench.load import Load
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.judging import judge_samples
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.otlp.decode import decode_all, new_pool
from spanverdict.paths.association import associate
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable

RATIOS: Final = Path(__file__).with_name("gate.json")
ALLOWED: Final = 0.9
ATTEMPTS: Final = 3
OURS: Final = 10_000
"""Requests of ten spans that ours is measured with …"""
THEIRS: Final = 1_000
"""… and the plain implementation, which takes as long for these."""
RULES: Final = """
  - id: end-to-end
    latency: {from: ingest.start, to: notify.end}
    expect: {p95: "< 400ms"}
  - id: wait
    latency: {from: publish.end, to: notify.start}
    expect: {p99: "< 100ms"}
  - id: calls
    count: {of: '{ span:kind = client }', per: request}
    expect: {max: "<= 9"}
  - id: errors
    count: '{ span:status = error }'
    expect: {count: "<= 999999"}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: ours and the plain one, and how many spans each works on."""

    name: str
    ready: Callable[[], Any]
    """Makes what ours works on, which nothing was read of before."""
    ours: Callable[[Any], object]
    theirs: Callable[[], object]
    n_ours: int
    n_theirs: int

    def ratio(self, rounds: int) -> float:
        """Return how many times as many spans ours does in the same CPU time, the median of several rounds."""
        return median(self._round() for _ in range(rounds))

    def _round(self) -> float:
        given = self.ready()
        return (_cpu(self.theirs) / self.n_theirs) / (_cpu(lambda: self.ours(given)) / self.n_ours)


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def stages() -> Sequence[Stage]:
    """Make everything ready, and see that both do the same."""
    large, small = large_run(OURS), large_run(THEIRS)
    spans = plain.spans_of(small)
    requests = plain.stitch(spans)
    flow = flow_of(OURS, rules=RULES)
    load = Load.build(512, 10, seed=1, run_id="bench")
    payloads = [load.payload(number) for number in range(60)]
    _see_that_both_agree(small, spans, requests)
    sizes = len(large), len(small)
    return (
        Stage("decode", new_pool, lambda pool: decode_all(payloads, pool), lambda: plain.decode(payloads[:6]), 60, 6),
        Stage("association", lambda: fresh(large), associate, lambda: plain.associate(spans), *sizes),
        Stage(
            "stitching", lambda: fresh(large), lambda table: stitched(flow, table), lambda: plain.stitch(spans), *sizes
        ),
        Stage(
            "judging",
            lambda: stitched(flow, fresh(large)),
            lambda view: judged(flow, view),
            lambda: plain.judge(requests),
            *sizes,
        ),
    )


def stitched(flow: Flow, table: SpanTable) -> RunView:
    """Return the requests of a table."""
    return view_of(flow, prepare(table), None)[0]


def judged(flow: Flow, view: RunView) -> list[str]:
    """Return what all rules say."""
    return [result.message for rule in flow.rules for result, _ in judge_samples(rule, flow, view)]


def _see_that_both_agree(
    table: SpanTable, spans: Sequence[plain.PlainSpan], requests: Sequence[Sequence[object]]
) -> None:
    found = associate(table)
    assert {run: len(keys) for run, keys in plain.associate(spans).items()} == {
        run: len(found.rows_of(run)) for run in found.runs
    }
    view = stitched(flow_of(THEIRS, rules=RULES), table)
    assert sorted(map(len, requests)) == np.sort(np.bincount(view.request[view.request >= 0])).tolist()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--update", action="store_true", help="write the ratios measured now")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there")
    asked = parser.parse_args()
    committed = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    found: dict[str, float] = {}
    failed = False
    for stage in stages():
        least = ALLOWED * committed.get(stage.name, 0)
        tries = [stage.ratio(asked.rounds)]
        while tries[-1] < least and len(tries) < ATTEMPTS:
            tries.append(stage.ratio(asked.rounds))
        found[stage.name] = round(max(tries), 2)
        met = found[stage.name] >= least
        failed |= not met
        print(
            f"{stage.name:12} {found[stage.name]:7.2f} x plain   at least {least:6.2f}   {'met' if met else 'SLOWER'}"
        )
    if asked.update:
        RATIOS.write_text(json.dumps(found, indent=1) + "\n")
    if asked.json is not None:
        asked.json.write_text(json.dumps({"ratios": found, "committed": committed}, indent=1))
    return int(failed and not asked.update)


if __name__ == "__main__":
    sys.exit(main())
