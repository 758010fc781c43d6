"""Fails when decoding, association, stitching or judging has become slower than the committed ratios allow.

    python tests/bench/gate.py [--rounds 12] [--slower PERCENT] [--update] [--json FILE]

Times mean nothing on another machine, or on this one an hour later. So each stage is measured in turns with a plain
implementation of the same (`plain.py`), and what is compared is how many times as fast ours is. Both are CPU times, and of
both the least of many short rounds: another program at work makes a round slower and never faster, so the
least of them come closer and closer to what the code itself costs. All stages take turns, too, and no garbage is collected
in the middle. Where a ratio is too low it is measured on, up to eight times as long, before that is believed.

It fails below 93 % of what `gate.json` says, so that what is slower by a tenth is found although measuring itself
may be wrong by two or three hundredths: `--slower 10` makes ours slower by so much, to see it found. `--update` writes
the ratios measured now, and shows what has changed, to be committed; to be done on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import plain
from bench.bench_judging import flow_of, fresh, large_run
from bench.load import Load
from bench.machine import machine
from bench.stages import cpu_seconds, judged, stitched
from spanverdict.otlp.decode import decode_all, new_pool
from spanverdict.paths.association import associate
from spanverdict.telemetry.spantable import SpanTable

RATIOS: Final = Path(__file__).with_name("gate.json")
ALLOWED: Final = 0.93
TURNS: Final = 8
"""In which the rounds are taken at most."""
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

    def round(self, slower: float) -> tuple[float, float]:
        """Return the CPU seconds a span of ours, made slower by a share, and of the plain one."""
        given = self.ready()
        gc.collect()
        ours = cpu_seconds(lambda: self.ours(given)) * (1 + slower)
        return ours / self.n_ours, cpu_seconds(self.theirs) / self.n_theirs


@dataclass(slots=True)
class Best:
    """The least that ours and the plain one took, of all rounds so far."""

    ours: float = math.inf
    theirs: float = math.inf

    def take(self, ours: float, theirs: float) -> None:
        """Take in a round."""
        self.ours, self.theirs = min(self.ours, ours), min(self.theirs, theirs)

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.theirs / self.ours


def measured(stages: Sequence[Stage], least: Mapping[str, float], rounds: int, slower: float = 0.0) -> dict[str, float]:
    """Return the ratio of each stage; where it is below the least one, after more rounds."""
    best = {stage.name: Best() for stage in stages}
    todo = list(stages)
    for _ in range(TURNS):
        for _ in range(rounds):
            for stage in todo:
                best[stage.name].take(*stage.round(slower))
        todo = [stage for stage in stages if best[stage.name].ratio < least.get(stage.name, 0.0)]
    return {name: round(found.ratio, 3) for name, found in best.items()}


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


def _see_that_both_agree(
    table: SpanTable, spans: Sequence[plain.PlainSpan], requests: Sequence[Sequence[object]]
) -> None:
    found = associate(table)
    assert {run: len(keys) for run, keys in plain.associate(spans).items()} == {
        run: len(found.rows_of(run)) for run in found.runs
    }
    view = stitched(flow_of(THEIRS, rules=RULES), table)
    assert sorted(map(len, requests)) == np.sort(np.bincount(view.request[view.request >= 0])).tolist()


def changed(was: Mapping[str, float], now: Mapping[str, float]) -> Iterator[str]:
    """Yield what is to be committed.

    >>> list(changed({"decode": 2.0}, {"decode": 2.5, "judging": 4.0}))
    ['decode           2.00 ->   2.50   (+25 %)', 'judging          none ->   4.00']
    """
    for name, ratio in now.items():
        if name in was:
            yield f"{name:12} {was[name]:8.2f} -> {ratio:6.2f}   ({100 * (ratio / was[name] - 1):+.0f} %)"
        else:
            yield f"{name:12} {'none':>8} -> {ratio:6.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--slower", type=float, default=0.0, metavar="PERCENT", help="to see that it would be found")
    parser.add_argument("--update", action="store_true", help="write the ratios measured now, and say what to commit")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there")
    asked = parser.parse_args()
    committed = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    least = {name: ALLOWED * ratio for name, ratio in committed.items()}
    gc.disable()
    found = measured(
        stages(), {} if asked.update else least, asked.rounds * (2 if asked.update else 1), asked.slower / 100
    )
    if asked.json is not None:
        document = {"machine": machine(), "ratios": found, "committed": committed}
        asked.json.write_text(json.dumps(document, indent=1) + "\n")
    if asked.update:
        RATIOS.write_text(json.dumps(found, indent=1) + "\n")
        print("\n".join(changed(committed, found)))
        print(
            f"written; load was {os.getloadavg()[0]:.1f}. If that is near 0: git commit {RATIOS.relative_to(Path.cwd())}"
        )
        return 0
    for name, ratio in found.items():
        met = "met" if ratio >= least.get(name, 0) else "SLOWER"
        print(f"{name:12} {ratio:7.2f} x plain   at least {least.get(name, 0):6.2f}   {met}")
    return int(any(ratio < least.get(name, 0) for name, ratio in found.items()))


if __name__ == "__main__":
    sys.exit(main())
