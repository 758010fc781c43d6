"""Drift from a baseline or golden values: against scipy, how often chance exceeds the floor, and what is judged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ruleruns import HEAD, Row, call, flow_of, judged
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.evaluation.baselinesample import BaselineSample, kept_sample, live_sample
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.drift import (
    Drift,
    chi_square,
    kolmogorov_smirnov,
    pooled_rare,
    scatter_to_find,
    shift,
    stability_index,
    total_variation,
)
from spanverdict.evaluation.outcomes import ConditionResult, Outcome
from spanverdict.evaluation.ranking import Ladder, ranking_of
from spanverdict.evaluation.sample import Sample
from spanverdict.rulefiles.conditions import parse_condition
from spanverdict.rulefiles.drift import MEASURES
from spanverdict.rulefiles.loader import load, load_files
from spanverdict.rulefiles.models import Expectation, Flow
from spanverdict.rulefiles.statistic import Kind, Quantity, Statistic
from spanverdict.telemetry.spantable import AttributeColumn

PLACE = Position("rules.yaml", 1, 1)
VALUES = st.lists(st.integers(-20, 20), min_size=1, max_size=60)
COUNTS = st.lists(st.integers(0, 60), min_size=2, max_size=6)


def ladder(values: Any) -> Ladder:
    ordered = np.sort(np.asarray(values, np.float64))
    return Ladder(ordered, np.arange(1, len(ordered) + 1) / len(ordered))


def scatter(*sizes: int) -> float:
    return sum(1 / size for size in sizes)


# numbers


def test_the_largest_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    """Proves it for samples of any size, with and without equal values."""
    rng = np.random.default_rng(13)
    for _ in range(1000):
        n, m = rng.integers(2, 60, 2)
        run, baseline = (rng.normal(size=size).round(rng.integers(0, 5)) for size in (n, m))
        found = kolmogorov_smirnov(ladder(run), ladder(baseline), scatter(n, m))
        assert found.value == pytest.approx(stats.ks_2samp(run, baseline, method="asymp").statistic)


@given(VALUES, VALUES)
def test_a_shift_is_mann_whitneys_u_as_a_share(run: list[int], baseline: list[int]) -> None:
    u = stats.mannwhitneyu(run, baseline).statistic
    found = shift(ladder(run), ladder(baseline), scatter(len(run), len(baseline)))
    assert found.value == pytest.approx(abs(2 * u / (len(run) * len(baseline)) - 1))


def test_the_stability_index_is_that_of_counting_in_bins_by_hand() -> None:
    """Ten values a bin of a baseline of 1..100; the run has twice as many in the last and none in the first."""
    baseline, run = np.arange(1, 101), np.concatenate([np.arange(11, 101), np.arange(91, 101)])
    there = np.array([0, 1, 9, *[10] * 9, 0]) + 0.5
    here = np.array([0, 0, 0, *[10] * 8, 20, 0]) + 0.5
    here, there = here / here.sum(), there / there.sum()
    found = stability_index(ladder(run), ladder(baseline), (100, 100))
    assert found.value == pytest.approx(float(((here - there) * np.log(here / there)).sum()))
    assert found.most == "0 % are above 1 up to 10, of the baseline 9 %"


def test_the_stability_index_sees_what_leaves_the_baselines_range_and_what_was_constant() -> None:
    constant = ladder(np.ones(500))
    assert stability_index(constant, constant, (500, 500)).value == pytest.approx(0)
    for value in (0.9, 1.1):
        assert stability_index(ladder(np.full(500, value)), constant, (500, 500)).value > 10
    assert stability_index(ladder(np.arange(600, 700)), ladder(np.arange(500)), (100, 500)).value > 1


DISTANCES: dict[str, Callable[[Ladder, Ladder], Drift]] = {
    "ks": lambda x, y: kolmogorov_smirnov(x, y, scatter(len(x.values), len(y.values))),
    "psi": lambda x, y: stability_index(x, y, (len(x.values), len(y.values))),
    "shift": lambda x, y: shift(x, y, scatter(len(x.values), len(y.values))),
}


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize(("n", "m"), [(50, 80), (300, 1000)])
def test_unchanged_numbers_exceed_the_floor_in_one_of_twenty_comparisons(name: str, n: int, m: int) -> None:
    rng, runs = np.random.default_rng(n), 500
    found = [DISTANCES[name](ladder(rng.lognormal(size=n)), ladder(rng.lognormal(size=m))) for _ in range(runs)]
    assert 0.01 <= np.mean([each.value > each.floor for each in found]) <= 0.06 + 3 * (0.05 * 0.95 / runs) ** 0.5


@given(VALUES, VALUES, st.integers(1, 1000), st.integers(-100, 100))
def test_distances_of_order_do_not_depend_on_the_scale(
    run: list[int], baseline: list[int], times: int, by: int
) -> None:
    """And equal samples have none."""
    moved = [[value * times + by for value in values] for values in (run, baseline)]
    for name in ("ks", "shift"):
        value = DISTANCES[name](ladder(run), ladder(baseline)).value
        assert DISTANCES[name](ladder(moved[0]), ladder(moved[1])).value == pytest.approx(value)
        assert DISTANCES[name](ladder(run), ladder(run)).value == pytest.approx(0)
        assert 0 <= value <= 1


# categories


def names(counts: Any) -> tuple[str, ...]:
    return tuple(f'"{number}"' for number in range(len(counts)))


@given(COUNTS, st.data())
def test_chi_square_is_scipys(run: list[int], data: st.DataObject) -> None:
    baseline = data.draw(st.lists(st.integers(0, 60), min_size=len(run), max_size=len(run)))
    if not sum(run) or not sum(baseline):
        return
    here, there = np.array(run), np.array(baseline)
    table = pooled_rare(here, there)
    assert table.sum(axis=1).tolist() == [sum(run), sum(baseline)]
    expected = 1.0 if table.shape[1] < 2 else stats.chi2_contingency(table, correction=False).pvalue
    assert chi_square(here, there, names(run)).value == pytest.approx(expected, abs=1e-9)


def test_rare_categories_are_taken_together() -> None:
    run, baseline = np.array([50, 40, 4, 3, 3, 0]), np.array([55, 35, 2, 4, 3, 1])
    assert pooled_rare(run, baseline).tolist() == [[50, 40, 10], [55, 35, 10]]
    run, baseline = np.array([50, 48, 1, 1]), np.array([50, 49, 1, 0])
    assert pooled_rare(run, baseline).tolist() == [[50, 50], [50, 50]]
    assert chi_square(np.array([3]), np.array([4]), names([3])).value == 1


@given(COUNTS, st.data())
def test_total_variation_is_half_of_all_that_differs(run: list[int], data: st.DataObject) -> None:
    baseline = data.draw(st.lists(st.integers(0, 60), min_size=len(run), max_size=len(run)))
    if not sum(run) or not sum(baseline):
        return
    found = total_variation(np.array(run), np.array(baseline), names(run)).value
    assert found == pytest.approx(
        sum(abs(x / sum(run) - y / sum(baseline)) for x, y in zip(run, baseline, strict=True)) / 2
    )
    assert 0 <= found <= 1


def test_unchanged_categories_exceed_the_floor_in_one_of_twenty_comparisons() -> None:
    rng, runs, shares = np.random.default_rng(8), 300, [0.5, 0.3, 0.1, 0.06, 0.04]
    found = [
        total_variation(rng.multinomial(200, shares), rng.multinomial(400, shares), names(shares)) for _ in range(runs)
    ]
    assert 0.01 <= np.mean([each.value > each.floor for each in found]) <= 0.06 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_samples_that_are_called_enough_find_a_noteworthy_change_in_most_runs() -> None:
    rng, n = np.random.default_rng(9), int(2 / scatter_to_find(0.01, 1))
    found = [
        chi_square(rng.multinomial(n, [0.45, 0.55]), rng.multinomial(n, [0.55, 0.45]), ("a", "b")).value < 0.01
        for _ in range(500)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)


# conditions


def sample(values: Any, missing: int = 0) -> Sample:
    lacking = Missing.of_requests(np.full(missing, -1), "never arrived")
    texts = isinstance(values[0], str)
    made: Any = np.array(values)
    if texts:
        distinct, codes = np.unique(made, return_inverse=True)
        made = AttributeColumn(codes.astype(np.int32), tuple(distinct.tolist()))
    places = np.arange(len(values))
    return Sample(Measurement(Unit.ANY if texts else Unit.NUMBER, made, "requests", places, places, lacking))


def expectation(text: str) -> Expectation:
    name, _, limit = text.partition(" ")
    return Expectation(
        Statistic("drift", Kind.DRIFT, drift=name), replace(parse_condition(limit, Quantity.NUMBER), text=text), PLACE
    )


def judge(run: Sample, baseline: Sample | BaselineSample, text: str) -> ConditionResult:
    there = baseline if isinstance(baseline, BaselineSample) else live_sample(baseline, "any")
    return Judge(run, there).judge(expectation(text))


RNG = np.random.default_rng(10)
SAME, ALIKE, MOVED = RNG.normal(0, 1, 1000), RNG.normal(0, 1, 1000), RNG.normal(0.5, 1, 1000)
LABELS, MORE, OTHERS = (
    RNG.choice(["a", "b", "c"], 2000, p=p).tolist() for p in ([0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.3, 0.4, 0.3])
)


@pytest.mark.parametrize(
    ("run", "text", "outcome"),
    [
        (ALIKE, "ks <= 0.1", "passed"),
        (MOVED, "ks <= 0.1", "failed"),
        (ALIKE, "psi <= 0.2", "passed"),
        (MOVED, "psi <= 0.2", "failed"),
        (ALIKE, "shift < 0.1", "passed"),
        (MOVED, "shift < 0.1", "failed"),
        (ALIKE[:50], "ks <= 0.1", "inconclusive"),
        (MOVED[:50], "ks <= 0.1", "failed"),
        (SAME[::130] + 0.3, "ks <= 0.1", "inconclusive"),
        (ALIKE[:20], "psi <= 0.2", "inconclusive"),
        (ALIKE[:50], "shift <= 0.1", "inconclusive"),
        (MORE, "tv <= 0.1", "passed"),
        (OTHERS, "tv <= 0.1", "failed"),
        (MORE[:40], "tv <= 0.1", "inconclusive"),
        (MORE, "chi2 >= 0.01", "passed"),
        (OTHERS, "chi2 >= 0.01", "failed"),
        (MORE[:100], "chi2 >= 0.01", "inconclusive"),
        (OTHERS[:100], "chi2 >= 0.01", "failed"),
        (["d"] * 2000, "chi2 >= 0.01", "failed"),
        (["d"] * 2000, "tv <= 0.9", "failed"),
    ],
)
def test_drift_is_judged_where_there_are_enough_values(run: Any, text: str, outcome: str) -> None:
    """Proves it with a baseline at hand and with what is kept of one; too few never pass, and fail only by much."""
    there = sample(LABELS if isinstance(run[0], str) else SAME)
    kept = kept_sample(there, "any")
    assert kept is not None
    found = judge(sample(run), there, text)
    assert found.outcome.value == outcome
    assert judge(sample(run), kept, text) == found


def test_doubt_says_how_many_values_would_do() -> None:
    found = judge(sample(ALIKE[:50]), sample(SAME), "ks <= 0.1")
    assert (
        "unchanged values come to 0.197 by chance, about 230 requests would do against this baseline of 1,000"
        in found.note
    )
    found = judge(sample(ALIKE[:50]), sample(SAME[:100]), "ks <= 0.1")
    assert found.note.endswith("about 370 values in both would do")
    needed = int(found.note.split("about ")[1].split()[0])
    enough = kolmogorov_smirnov(ladder(np.arange(needed)), ladder(np.arange(needed)), scatter(needed, needed))
    assert enough.floor <= 0.1


@pytest.mark.parametrize(
    ("text", "outcome"), [("ks <= 0.1", "passed"), ("psi <= 0.2", "inconclusive"), ("shift <= 0.1", "passed")]
)
def test_missing_values_may_be_any(text: str, outcome: str) -> None:
    """Two of a thousand change distances that are bounded by little, and others by who knows how much."""
    found = judge(sample(ALIKE, missing=2), sample(SAME), text)
    assert found.outcome.value == outcome
    assert judge(sample(ALIKE, missing=500), sample(SAME), text).outcome is Outcome.INCONCLUSIVE
    assert judge(sample(ALIKE), sample(SAME, missing=500), text).outcome is Outcome.INCONCLUSIVE


def test_a_shift_says_how_likely_it_is_without_any() -> None:
    found = judge(sample(MOVED), sample(SAME), "shift <= 0.1")
    p = stats.mannwhitneyu(MOVED, SAME).pvalue
    assert f"of the baseline in 63.25 % (Mann-Whitney: p = {p:.2g})" in found.note


def test_missing_categories_may_be_any() -> None:
    assert judge(sample(MORE, missing=10), sample(LABELS), "tv <= 0.1").outcome is Outcome.PASSED
    assert judge(sample(MORE, missing=500), sample(LABELS), "tv <= 0.1").outcome is Outcome.INCONCLUSIVE
    assert judge(sample(MORE, missing=1), sample(LABELS), "chi2 >= 0.01").outcome is Outcome.INCONCLUSIVE


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=30),
    st.randoms(use_true_random=False),
    st.sampled_from(["ks", "psi", "shift"]),
)
def test_the_order_of_values_changes_not_a_digit(values: list[int], random: Any, name: str) -> None:
    mixed = list(values)
    random.shuffle(mixed)
    text = MEASURES[name].example
    assert judge(sample(values), sample(SAME), text) == judge(sample(mixed), sample(SAME[::-1]), text)


def test_without_values_to_compare_with_nothing_passes() -> None:
    nothing = BaselineSample("any", Unit.ANY, 300, np.zeros(0, np.int64), 0)
    assert judge(sample(ALIKE), nothing, "ks <= 0.1").note == "the baseline has no numbers"
    assert judge(sample(LABELS), nothing, "tv <= 0.1").note.startswith("the baseline has no categories")
    assert judge(sample(LABELS), sample(LABELS), "ks <= 0.1").note == "no value is a number"
    many = sample([str(number) for number in range(1001)])
    assert judge(many, sample(LABELS), "tv <= 0.1").note.startswith("there are no categories, or more of them")
    found = Judge(sample(ALIKE)).judge(expectation("ks <= 0.1"))
    assert (found.outcome, found.note) == (Outcome.INCONCLUSIVE, "there is no baseline")


def test_a_thinned_baseline_drifts_as_all_of_its_values_do() -> None:
    whole = sample(RNG.normal(0, 1, 60_000))
    kept = kept_sample(whole, "any")
    assert kept is not None
    assert kept.thinned
    for text in ("ks <= 0.1", "psi <= 0.2", "shift <= 0.1"):
        found, expected = (judge(sample(MOVED), each, text).observed_value for each in (kept, whole))
        assert found == pytest.approx(expected, abs=0.002)


def test_the_cost_at_a_hundred_thousand_values_is_bounded() -> None:
    made = sample(RNG.normal(0, 1, 100_000))
    assert ranking_of(made) is not None
    began = time.process_time()
    for text in ("ks <= 0.1", "psi <= 0.2", "shift <= 0.1"):
        judge(made, made, text)
    assert time.process_time() - began < 1


# rules

CANARY = HEAD + "baseline: {where: '{ span.v = \"old\" }'}\n"


def outputs(n: int, new: Callable[[], Any], old: Callable[[], Any]) -> list[Row]:
    return [
        row
        for i in range(n)
        for row in call(
            f"{i + 1:032x}", 1000 * i, score={"score": (new if i % 2 else old)(), "v": "new" if i % 2 else "old"}
        )
    ]


def flow(text: str, head: str = CANARY) -> Flow:
    problems = Problems()
    found = load(f"{head}rules:\n  - {text}\n", "f.yaml", problems)
    assert found is not None, [str(each) for each in problems.sorted()]
    return found


def test_a_canary_drifts_from_the_rest_of_the_run() -> None:
    rng = np.random.default_rng(11)
    rows = outputs(2000, lambda: rng.normal(0.6, 0.1), lambda: rng.normal(0.5, 0.1))
    rule = "{id: r, output: {stage: score, value: span.score}, expect: {drift: 'ks <= 0.1'}}"
    (found,) = judged(rows, flow(rule)).values()
    assert (found.outcome.value, found.samples, found.exhibits) == ("failed", 1000, ())
    assert "unchanged values come to 0.0607 by chance" in found.message
    rule = "{id: r, attribute: {stage: score, value: span.score}, expect: {drift: 'psi <= 0.2', samples: '>= 100'}}"
    (found,) = judged(outputs(2000, rng.random, rng.random), flow(rule)).values()
    assert found.outcome is Outcome.PASSED
    (found,) = judged(rows, flow(rule, HEAD)).values()
    assert (found.outcome, "there is no baseline" in found.message) == (Outcome.INCONCLUSIVE, True)


def test_labels_drift_from_golden_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    labels = rng.choice(["approve", "decline"], 3000, p=[0.7, 0.3]).tolist()
    records = "".join(json.dumps({"key": f"k{n}", "value": label}) + "\n" for n, label in enumerate(labels))
    (tmp_path / "golden.jsonl").write_text(records)
    rule = (
        "{id: r, output: {stage: score, value: span.score}, golden: {file: golden.jsonl}, expect: {drift: 'tv <= 0.1'}}"
    )
    (tmp_path / "f.yaml").write_text(f"{HEAD}rules:\n  - {rule}\n")
    flows, problems = load_files([str(tmp_path / "f.yaml")])
    assert not problems.sorted()
    for share, outcome in ((0.7, "passed"), (0.4, "failed")):
        drawn = iter(rng.choice(["approve", "decline"], 800, p=[share, 1 - share]).tolist())
        rows = outputs(800, lambda: next(drawn), lambda: next(drawn))  # noqa: B023 - taken at once
        (found,) = judged(rows, *flows).values()
        assert found.outcome.value == outcome
        assert found.golden is not None
        assert found.golden.sha256


def test_the_order_of_spans_changes_not_a_byte_of_what_is_resampled_or_simulated() -> None:
    rng = np.random.default_rng(14)
    rows = outputs(300, lambda: rng.normal(0.6, 0.1), lambda: rng.normal(0.5, 0.1))
    for row in rows:
        row["end"] += int(rng.integers(0, 10**8))
    head = HEAD + "baseline: {where: '{ span.v = \"old\" }'}\n"
    rules = """
- {id: drift, output: {stage: score, value: span.v}, expect: {drift: 'tv <= 0.1'}}
- {id: slower, latency: request, confidence: 95%, expect: {p90: '<= +5% of baseline', p50: '<= +20% of baseline'}}
- {id: sure, latency: request, confidence: 90%, expect: {p90: '< 200ms', mean: '< 200ms'}}
"""
    mixed = [rows[place] for place in rng.permutation(len(rows)).tolist()]
    assert repr(judged(rows, flow_of(rules, head))) == repr(judged(mixed, flow_of(rules, head)))
