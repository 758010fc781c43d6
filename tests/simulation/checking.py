"""Whether simulations end as they should; apart from the tests, so that other processes can be asked."""

from __future__ import annotations

import difflib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from simulation.story import Ended, Story, essence
from simulation.traffic import traffic

SHARING = 20
"""So many seeds share their traffic, as what is expected has to be found once for each."""


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
