"""Simulated lives of a server: whatever happens, its verdicts are those of the same spans sent in order, once.

Every simulation follows from its seed alone. `SPANVERDICT_SEED=196 pytest tests/simulation -k one` tells one again.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import pytest

from silence import quiet
from simulation.checking import check, survey, told
from soaking import Progress, asked

SEEDS = 2000
BLOCK = 100
TROUBLE = ("crashes", "resends", "failed commits", "jumps", "reloads", "decoding ended")


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_happens_the_verdicts_are_those_of_the_spans_sent_in_order_once(first: int) -> None:
    counts = check(range(first, first + BLOCK))
    assert counts["verdicts"] >= BLOCK * 0.8
    assert counts["revisions"] > counts["verdicts"], "late spans bring revisions"
    assert min(counts[what] for what in TROUBLE) > 0, counts


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
@pytest.mark.timeout(6 * 3600)
def test_the_same_of_100_000_simulations(progress: Progress) -> None:
    seeds = asked("SPANVERDICT_SEEDS", 1_000_000, 100_000)
    blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, (block, found) in enumerate(pool.map(survey, blocks), 1):
            counts += block
            wrong += found
            progress.say(f"{number * BLOCK:,} of {len(seeds):,} simulations, {len(wrong)} went wrong")
    print(f"seeds {seeds.start} to {seeds.stop - 1}:", dict(counts))
    shown = "\n\n".join(wrong[:5])
    assert not wrong, f"{len(wrong)} of {len(seeds)} simulations went wrong; the first of them:\n{shown}"
    assert counts["verdicts"] > len(seeds)
