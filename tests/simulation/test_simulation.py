"""Simulated lives of a server: whatever happens, its verdicts are those of the same spans sent in order, once.

Every simulation follows from its seed alone. `SPANVERDICT_SEED=196 pytest tests/simulation -k one` tells one again.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import pytest

from simulation.checking import check, quiet, told

SEEDS = 1000
BLOCK = 100
LONG = int(os.environ.get("SPANVERDICT_SEEDS", "100000"))
FIRST_LONG = 1_000_000


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_happens_the_verdicts_are_those_of_the_spans_sent_in_order_once(first: int) -> None:
    counts = check(range(first, first + BLOCK))
    assert counts["verdicts"] >= BLOCK * 0.8
    assert counts["revisions"] > counts["verdicts"], "late spans bring revisions"
    assert min(counts[what] for what in ("crashes", "resends", "failed commits", "jumps", "reloads")) > 0, counts


def test_one_simulation_told_twice_is_the_same() -> None:
    seed = int(os.environ.get("SPANVERDICT_SEED", "7"))
    check([seed])
    with quiet():
        first, second = told(seed), told(seed)
    print("\n".join(first.log))
    assert first.log == second.log
    assert [verdict.document for verdict in first.verdicts.values()] == [
        verdict.document for verdict in second.verdicts.values()
    ]


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_the_same_of_100_000_simulations() -> None:
    blocks = [range(first, first + BLOCK) for first in range(FIRST_LONG, FIRST_LONG + LONG, BLOCK)]
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for block in pool.map(check, blocks):
            counts += block
    print(LONG, "simulations:", dict(counts))
    assert counts["verdicts"] > LONG
