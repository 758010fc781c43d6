"""The gate finds what became slower, measures on before it believes it, and is not misled by rounds that were disturbed."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Iterator, Sequence

import pytest

from bench import bench_growth, gate
from bench.gate import ALLOWED, TURNS, Stage, measured
from bench.stages import cpu_seconds


class Costs(Stage):
    """A stage whose rounds cost what they are told to, again and again; the plain one always 1."""

    def __init__(self, name: str, ours: Sequence[float]) -> None:
        super().__init__(name, object, lambda _: None, lambda: None, 1, 1)
        object.__setattr__(self, "turns", itertools.cycle(ours))

    turns: Iterator[float]

    def round(self, slower: float) -> tuple[float, float]:
        return next(self.turns) * (1 + slower), 1.0


@pytest.mark.parametrize("module", [gate, bench_growth])
def test_the_examples_of_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).attempted > 0  # type: ignore[arg-type]
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_the_least_of_all_rounds_counts_so_disturbed_ones_do_not() -> None:
    assert measured([Costs("decode", [0.9, 0.5, 3.0, 0.7])], {}, rounds=4) == {"decode": 2.0}


def test_it_is_measured_on_while_a_ratio_is_too_low() -> None:
    late = Costs("decode", [*[0.8] * 9, 0.5])
    assert measured([late], {"decode": 2.0}, rounds=2) == {"decode": 2.0}
    assert measured([Costs("decode", [*[0.8] * 9, 0.5])], {"decode": 1.0}, rounds=2) == {"decode": 1.25}


def test_what_is_really_slower_stays_so_however_long_it_is_measured() -> None:
    slow = measured([Costs("decode", [0.5])], {"decode": 2.0 * ALLOWED}, rounds=3, slower=0.1)
    assert slow["decode"] < 2.0 * ALLOWED
    assert TURNS > 1


def test_only_the_stage_that_is_too_slow_is_measured_on() -> None:
    good, bad = Costs("decode", [1.0, 0.5]), Costs("judging", [1.0])
    found = measured([good, bad], {"decode": 1.0, "judging": 2.0}, rounds=1)
    assert found == {"decode": 1.0, "judging": 1.0}


def test_cpu_time_of_work_is_measured() -> None:
    assert cpu_seconds(lambda: sum(range(200_000))) > 0
