"""The gate finds what became slower, measures on before it believes it, and is not misled by rounds that were disturbed."""

from __future__ import annotations

import doctest
import gc
import itertools
import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench import bench_growth, gate, goals, published
from bench.gate import ALLOWED, TURNS, Stage, measured
from bench.stages import cpu_seconds


class Rounds(Stage):
    """A stage whose rounds have the ratios that they are told to, again and again."""

    turns: Iterator[float]

    def __init__(self, name: str, ratios: Sequence[float]) -> None:
        super().__init__(name, object, lambda _: None, lambda: None)
        object.__setattr__(self, "turns", itertools.cycle(ratios))

    def ratio(self, slower: float) -> float:
        return next(self.turns) / (1 + slower)


@pytest.mark.parametrize("module", [gate, bench_growth, goals, published])
def test_the_examples_of_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).attempted > 0  # type: ignore[arg-type]
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_the_median_of_all_rounds_counts_so_disturbed_ones_do_not() -> None:
    assert measured([Rounds("decode", [2.0, 0.1, 2.1, 9.0, 1.9])], {}, rounds=5) == {"decode": 2.0}


def test_it_is_measured_on_while_a_ratio_is_too_low() -> None:
    disturbed_first = [*[1.0] * 5, *[2.0] * 20]
    assert measured([Rounds("decode", disturbed_first)], {"decode": 1.9}, rounds=5) == {"decode": 2.0}
    assert measured([Rounds("decode", disturbed_first)], {"decode": 0.9}, rounds=5) == {"decode": 1.0}


def test_what_is_slower_by_a_tenth_stays_so_however_long_it_is_measured() -> None:
    least = {"decode": 2.0 * ALLOWED}
    noisy = [2.0, 1.95, 2.05, 1.98, 2.02]
    assert measured([Rounds("decode", noisy)], least, rounds=5, slower=0.0)["decode"] >= least["decode"]
    assert measured([Rounds("decode", noisy)], least, rounds=5, slower=0.1)["decode"] < least["decode"]


def test_only_the_stage_that_is_too_slow_is_measured_on() -> None:
    taken = []

    class Counted(Rounds):
        def ratio(self, slower: float) -> float:
            taken.append(self.name)
            return super().ratio(slower)

    found = measured([Counted("decode", [2.0]), Counted("judging", [1.0])], {"decode": 1.0, "judging": 2.0}, rounds=1)
    assert found == {"decode": 2.0, "judging": 1.0}
    assert (taken.count("decode"), taken.count("judging")) == (1, TURNS)


def test_the_plain_implementations_do_what_ours_do() -> None:
    compiled = ["decode, compiled"] if find_spec("numba") else []
    assert [stage.name for stage in gate.stages()] == ["decode", *compiled, "association", "stitching", "judging"]
    assert set(json.loads(gate.RATIOS.read_text())) == {
        "decode",
        "decode, compiled",
        "association",
        "stitching",
        "judging",
    }


@pytest.mark.parametrize(("slower", "code"), [("0", 0), ("3", 0), ("10", 1), ("50", 1)])
def test_the_whole_gate_fails_where_a_stage_is_slower_by_a_tenth(
    slower: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    committed = tmp_path / "gate.json"
    committed.write_text('{"decode": 2.0, "judging": 1.5, "of another machine": 9.0}')
    noisy = [2.0, 1.95, 2.05, 1.98, 2.02]
    monkeypatch.setattr(gate, "RATIOS", committed)
    monkeypatch.setattr(gate, "stages", lambda: [Rounds("decode", noisy), Rounds("judging", [1.8])])
    monkeypatch.setattr(gate, "take_small_pages", lambda: None)
    monkeypatch.setattr("sys.argv", ["gate.py", "--slower", slower, "--json", str(tmp_path / "found.json")])
    monkeypatch.setattr(gc, "disable", lambda: None)
    assert gate.main() == code
    assert ("SLOWER" in capsys.readouterr().out) == bool(code)
    assert json.loads((tmp_path / "found.json").read_text())["committed"]["judging"] == 1.5


def test_cpu_time_of_work_is_measured() -> None:
    assert cpu_seconds(lambda: sum(range(200_000))) > 0
