"""Fails when decoding (without and with compiled code), association, stitching or judging has become slower than the committed ratios allow.

    python tests/bench/gate.py [--rounds 12] [--slower PERCENT] [--update] [--json FILE]

Times mean nothing on another machine, or on this one an hour later. So each stage is measured in turns with a plain
implementation of the same (`plain.py`), both in CPU time, and what is compared is how many times as fast ours is: the median
of several rounds. Both work on the same spans in the same way, so that other programs, which take away caches and
memory, slow down both; all stages take turns, and no garbage is collected in the middle. Where a ratio is too low it is
measured on, up to eight times as long, before that is believed: the median is then that of all rounds.

It fails below 93 % of what `gate.json` says, so that what is slower by a tenth is found although measuring itself
may be wrong by two or three hundredths: `--slower 10` makes ours slower by so much, to see it found. `--update` writes
the ratios measured now, and shows what has changed, to be committed; to be done on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import plain
from bench.bench_judging import flow_of, fresh, large_run
from bench.load import Load
from bench.machine import machine
from bench.stages import cpu_seconds, judged, stitched
from spanverdict.app.compiling import compile_all
from spanverdict.app.decoding import RECENT_ATTRIBUTES
from spanverdict.app.pages import take_small_pages
from spanverdict.checks.runview import RunView
from spanverdict.otlp.decode import decode_all, new_pool
from spanverdict.paths.association import associate
from spanverdict.telemetry.machinecode import load as load_code
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import SpanTable

RATIOS: Final = Path(__file__).with_name("gate.json")
ALLOWED: Final = 0.93
TURNS: Final = 8
"""In which the rounds are taken at most."""
REQUESTS: Final = 10_000
"""Of ten spans."""
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
    """One stage: ours and the plain one."""

    name: str
    ready: Callable[[], Any]
    """Makes what ours works on, which nothing was read of before."""
    ours: Callable[[Any], object]
    theirs: Callable[[], object]
    n_ours: int = 1
    """How often as much ours does in one go, and …"""
    n_theirs: int = 1
    """… how often the plain one is repeated, so that both take about as long."""

    def ratio(self, slower: float) -> float:
        """Return how many times as fast ours is in one round, made slower by a share."""
        given = self.ready()
        gc.collect()
        ours = cpu_seconds(lambda: self.ours(given)) * (1 + slower) / self.n_ours
        theirs = cpu_seconds(lambda: [self.theirs() for _ in range(self.n_theirs)]) / self.n_theirs
        return theirs / ours


def measured(stages: Sequence[Stage], least: Mapping[str, float], rounds: int, slower: float = 0.0) -> dict[str, float]:
    """Return the ratio of each stage; where it is below the least one, after more rounds."""
    ratios: dict[str, list[float]] = {stage.name: [] for stage in stages}
    todo = list(stages)
    for _ in range(TURNS):
        for _ in range(rounds):
            for stage in todo:
                ratios[stage.name].append(stage.ratio(slower))
        todo = [stage for stage in stages if median(ratios[stage.name]) < least.get(stage.name, 0.0)]
    return {name: round(median(found), 3) for name, found in ratios.items()}


def stages() -> Sequence[Stage]:
    """Make everything ready, and see that both do the same."""
    table = large_run(REQUESTS)
    columns = plain.columns_of(table)
    requests = plain.stitch(columns)
    flow = flow_of(REQUESTS, rules=RULES)
    load = Load.build(512, 10, seed=1, run_id="bench")
    payloads = [load.payload(number) for number in range(40)]
    _see_that_both_agree(table, columns, stitched(flow, table))
    return (
        *(_decoding(payloads, compiled=compiled) for compiled in (False, True) if not compiled or _has_compiled()),
        Stage("association", lambda: fresh(table), associate, lambda: plain.associate(columns), n_theirs=5),
        Stage(
            "stitching",
            lambda: fresh(table),
            lambda new: stitched(flow, new),
            lambda: plain.stitch(columns),
            n_theirs=2,
        ),
        Stage(
            "judging",
            lambda: stitched(flow, fresh(table)),
            lambda view: judged(flow, view),
            lambda: plain.judge(columns, requests),
        ),
    )


def _decoding(payloads: Sequence[bytes], *, compiled: bool) -> Stage:
    def ours(pool: Pool) -> object:
        return decode_all(payloads, pool, compiled=compiled)

    name = "decode, compiled" if compiled else "decode"
    return Stage(name, lambda: new_pool(RECENT_ATTRIBUTES), ours, lambda: plain.decode(payloads[:10]), 4)


def _has_compiled() -> bool:
    """Bring compiled code up where numba is installed; tell whether it is there."""
    if find_spec("numba") is None:
        return False
    from spanverdict.otlp.compiled import ROUTINES

    load_code(ROUTINES, compile_all())
    return True


def _see_that_both_agree(table: SpanTable, columns: plain.PlainColumns, view: RunView) -> None:
    assert associate(table).rows_of("bench-1").tolist() == plain.associate(columns).tolist()
    size_of = np.bincount(view.request[view.request >= 0])
    assert np.sort(np.bincount(plain.stitch(columns))).tolist() == np.sort(size_of).tolist()


def changed(was: Mapping[str, float], now: Mapping[str, float]) -> Iterator[str]:
    """Yield what is to be committed.

    >>> list(changed({"decode": 2.0}, {"decode": 2.5, "judging": 4.0}))
    ['decode              2.000 ->   2.500   (+25 %)', 'judging              none ->   4.000']
    """
    for name, ratio in now.items():
        if name in was:
            yield f"{name:16} {was[name]:8.3f} -> {ratio:7.3f}   ({100 * (ratio / was[name] - 1):+.0f} %)"
        else:
            yield f"{name:16} {'none':>8} -> {ratio:7.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--slower", type=float, default=0.0, metavar="PERCENT", help="to see that it would be found")
    parser.add_argument("--update", action="store_true", help="write the ratios measured now, and say what to commit")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there")
    asked = parser.parse_args()
    committed = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    least = {name: ALLOWED * ratio for name, ratio in committed.items()}
    take_small_pages()  # as every command does that judges
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
        print(f"written; load was {os.getloadavg()[0]:.1f}. If that is near 0: git commit {RATIOS}")
        return 0
    for name, ratio in found.items():
        met = "met" if ratio >= least.get(name, 0) else "SLOWER"
        print(f"{name:16} {ratio:7.3f} x plain   at least {least.get(name, 0):6.3f}   {met}")
    slower = [name for name, ratio in found.items() if ratio < least.get(name, 0)]
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if slower and load > cores + 1:
        print(
            f"the load is {load:.1f} on {cores} cores: caches are shared with others, which may be all; try again later"
        )
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
