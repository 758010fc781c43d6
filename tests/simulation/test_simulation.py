"""Simulated lives of a server: whatever happens, its verdicts are those of the same spans sent in order, once.

Every simulation follows from its seed alone. `SPANVERDICT_SEED=196 pytest tests/simulation -k one` tells one again.
"""

from __future__ import annotations

import difflib
import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache

import pytest

from simulation.story import Ended, Story, essence
from simulation.traffic import traffic

SHARING = 20
"""So many seeds share their traffic, as what is expected has to be found once for each."""
SEEDS = 1000
BLOCK = 100
LONG = int(os.environ.get("SPANVERDICT_SEEDS", "100000"))
FIRST_LONG = 1_000_000


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the many errors that are meant to happen out of the report."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def told(seed: int) -> Ended:
    return Story(traffic(seed // SHARING), seed).told()


@cache
def expected(of_traffic: int) -> Ended:
    return Story(traffic(of_traffic), 0, calm=True).told()


def mistakes(seed: int, found: Ended) -> Iterator[str]:
    right = expected(seed // SHARING).verdicts
    for run in sorted(right.keys() | found.verdicts.keys()):
        if run not in found.verdicts or run not in right:
            yield f"{run} has {'no verdict' if run in right else 'a verdict'}"
        elif (wanted := essence(right[run])) != (got := essence(found.verdicts[run])):
            lines = difflib.unified_diff(wanted.splitlines(), got.splitlines(), "in order, once", run, lineterm="", n=2)
            yield "\n".join(list(lines)[:60])


def check(seeds: Sequence[int]) -> Counter[str]:
    """Tell simulations and return what happened in them; raises what was wrong, with the seed."""
    counts: Counter[str] = Counter()
    with quiet():
        for seed in seeds:
            try:
                found = told(seed)
            except Exception as error:
                raise AssertionError(f"SPANVERDICT_SEED={seed}: {error!r}") from error
            wrong = "\n".join(mistakes(seed, found))
            assert not wrong, f"SPANVERDICT_SEED={seed}\n{wrong}\n" + "\n".join(found.log)
            counts += found.counts
    expected.cache_clear()
    return counts


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_happens_the_verdicts_are_those_of_the_spans_sent_in_order_once(first: int) -> None:
    counts = check(range(first, first + BLOCK))
    assert counts["verdicts"] >= BLOCK * 0.8
    assert counts["revisions"] > counts["verdicts"], "late spans bring revisions"
    assert min(counts[what] for what in ("crashes", "resends", "failed commits", "jumps")) > 0, counts


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
@pytest.mark.skipif(not os.environ.get("SPANVERDICT_SOAK"), reason="set SPANVERDICT_SOAK=1 for the long version")
@pytest.mark.timeout(4 * 3600)
def test_the_same_of_100_000_simulations() -> None:
    blocks = [range(first, first + BLOCK) for first in range(FIRST_LONG, FIRST_LONG + LONG, BLOCK)]
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for block in pool.map(check, blocks):
            counts += block
    print(LONG, "simulations:", dict(counts))
    assert counts["verdicts"] > LONG
