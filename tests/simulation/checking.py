"""Whether simulations end as they should; apart from the tests, so that other processes can be asked."""

from __future__ import annotations

import difflib
import json
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from silence import quiet
from simulation.story import Ended, Story, essence
from simulation.traffic import traffic

SHARING = 20
"""So many seeds share their traffic, as what is expected has to be found once for each."""


def told(seed: int) -> Ended:
    return Story(traffic(seed // SHARING), seed).told()


@cache
def expected(of_traffic: int) -> dict[str, Any]:
    ended = Story(traffic(of_traffic), 0, calm=True).told()
    return {run: essence(verdict) for run, verdict in ended.verdicts.items()}


def mistakes(seed: int, found: Ended) -> Iterator[str]:
    right = expected(seed // SHARING)
    flows = traffic(seed // SHARING).flows
    for run in sorted(right.keys() | found.verdicts.keys()):
        if run not in found.verdicts or run not in right:
            yield f"{run} has {'no verdict' if run in right else 'a verdict'}"
        # A verdict stays when the rules change, and what comes later need not concern its run by the new ones.
        elif found.judged_by.get(run, flows) != flows:
            continue
        elif (wanted := right[run]) != (got := essence(found.verdicts[run])):
            lines = difflib.unified_diff(_lines(wanted), _lines(got), "in order, once", run, lineterm="", n=2)
            yield "\n".join(list(lines)[:60])


def _lines(document: Any) -> list[str]:
    return json.dumps(document, indent=1, sort_keys=True).splitlines()


def survey(seeds: Sequence[int]) -> tuple[Counter[str], list[str]]:
    """Tell simulations; return what happened in them and, of each that went wrong, its seed and what was wrong."""
    counts: Counter[str] = Counter()
    wrong = []
    with quiet():
        for seed in seeds:
            try:
                found = told(seed)
                about = "\n".join(mistakes(seed, found))
            except Exception as error:  # noqa: BLE001 - whatever it is, its seed has to be known
                wrong.append(f"{replay(seed)}\n{''.join(traceback.format_exception(error))}")
                continue
            if about:
                wrong.append(f"{replay(seed)}\n{about}\n" + "\n".join(found.log))
            counts += found.counts
    expected.cache_clear()
    return counts, wrong


def check(seeds: Sequence[int]) -> Counter[str]:
    """Tell simulations and return what happened in them; raises what was wrong, with the command that tells it again."""
    counts, wrong = survey(seeds)
    assert not wrong, "\n\n".join(wrong)
    return counts


def replay(seed: int) -> str:
    """Return the command that tells one simulation again."""
    return f"SPANVERDICT_SEED={seed} .venv/bin/python -m pytest tests/simulation -k one"
