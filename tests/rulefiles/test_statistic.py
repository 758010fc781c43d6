"""Statistics are named as the language says, and each knows what its conditions are about."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spanverdict.rulefiles
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.statistic import OF_UNIT, Kind, Quantity, Statistic, parse_statistic

NAMES = [kind.value for kind in Kind if kind is not Kind.PERCENTILE]


@given(st.integers(101, 9999))
def test_every_hundredth_percentile_above_one_is_read_exactly(permyriad: int) -> None:
    name = f"p{permyriad // 100}.{permyriad % 100:02}".rstrip("0").rstrip(".")
    assert parse_statistic(name) == Statistic(name, Kind.PERCENTILE, permyriad)


@pytest.mark.parametrize(
    ("name", "permyriad"), [("p0.1", 10), ("p1", 100), ("p50", 5000), ("p99.99", 9999), ("p95.0", 9500)]
)
def test_percentiles_at_the_ends(name: str, permyriad: int) -> None:
    assert parse_statistic(name).permyriad == permyriad


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("p0.95", "SV042", "did you mean `p95`?"),
        ("p0.5", "SV042", "did you mean `p50`?"),
        ("p.95", "SV041", "did you mean `p95`?"),
        ("p0.999", "SV042", "did you mean `p99.9`?"),
        ("p1.0", "SV042", "did you mean `max`?"),
        ("p100", "SV042", "did you mean `max`?"),
        ("p0", "SV042", "did you mean `min`?"),
        ("p99.999", "SV042", "the highest percentile is p99.99"),
        ("p101", "SV042", ""),
        ("median", "SV041", "did you mean `p50`?"),
        ("percentile", "SV041", None),
        ("", "SV041", None),
        ("p", "SV041", None),
        ("p\u0665", "SV041", None),
    ],
)
def test_what_is_no_statistic_is_refused(name: str, code: str, hint: str | None) -> None:
    with pytest.raises(Mistake) as caught:
        parse_statistic(name)
    assert caught.value.code == code
    assert hint is None or caught.value.hint == hint


@pytest.mark.parametrize("name", NAMES)
def test_names_are_read(name: str) -> None:
    assert parse_statistic(name) == Statistic(name, Kind(name))


@pytest.mark.parametrize(
    ("name", "unit", "quantity"),
    [
        ("p95", "duration", Quantity.DURATION), ("mean", "number", Quantity.NUMBER), ("max", "any", Quantity.NUMBER),
        ("every", "any", Quantity.ANY), ("every", "truth", Quantity.TRUTH), ("none", "duration", Quantity.DURATION),
        ("ratio", "truth", Quantity.SHARE), ("samples", "duration", Quantity.COUNT), ("rate", "number", Quantity.NUMBER),
        ("count", "truth", Quantity.COUNT),
    ],
)  # fmt: skip
def test_a_condition_is_about_what_the_statistic_gives(name: str, unit: str, quantity: Quantity) -> None:
    assert parse_statistic(name).quantity(unit) is quantity


@pytest.mark.parametrize("unit", list(OF_UNIT))
def test_samples_and_quantifiers_can_be_asked_of_everything(unit: str) -> None:
    assert all(parse_statistic(name).asked_of(unit, None) for name in ("samples", "every", "any", "none"))
    assert not parse_statistic("rate").asked_of(unit, None)


def test_a_measure_may_list_its_statistics() -> None:
    listed = ("percentile", "samples")
    assert parse_statistic("p95").asked_of("number", listed)
    assert parse_statistic("samples").asked_of("number", listed)
    assert not parse_statistic("mean").asked_of("number", listed)
    assert parse_statistic("p95").asked_of("number", ("p95",))


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(spanverdict.rulefiles.__path__)])
def test_the_examples_in_the_source_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"spanverdict.rulefiles.{name}")).failed == 0
