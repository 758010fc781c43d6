"""A sample that is kept comes back as it was, bit by bit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.checks.check import Unit
from spanverdict.evaluation.baselinesample import BaselineSample, Truths
from spanverdict.evaluation.sample import Interval
from spanverdict.evaluation.samplecodec import UnreadableSample, from_bytes, to_bytes

WHOLE = st.lists(st.integers(-(2**63), 2**63 - 1)).map(lambda values: np.sort(np.array(values, np.int64)))
FLOATS = st.lists(st.floats(allow_nan=False)).map(lambda values: np.sort(np.array(values, np.float64)))
NUMBER = st.integers() | st.fractions() | st.floats(allow_nan=False)
SAMPLE = st.builds(
    BaselineSample,
    st.text(max_size=5),
    st.sampled_from(Unit),
    st.integers(0, 10**9),
    WHOLE | FLOATS,
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    truths=st.none() | st.builds(Truths, st.fractions(), st.fractions(), st.fractions()),
    categories=st.dictionaries(st.text(max_size=5), st.integers(1, 9)),
    problem=st.text(max_size=5),
    settled=st.dictionaries(st.text(max_size=5), st.builds(Interval, NUMBER, st.none() | NUMBER, st.none() | NUMBER)),
)


def parts(sample: BaselineSample) -> tuple[object, ...]:
    arrays = [(array.dtype, array.tobytes()) for array in (sample.numbers, *(sample.ends or ()))]
    told = (sample.definition, sample.unit, sample.samples, sample.counted, sample.missing, sample.problem)
    return (*told, sample.truths, dict(sample.categories), dict(sample.settled), arrays)


@given(SAMPLE)
def test_a_sample_comes_back_as_it_was(sample: BaselineSample) -> None:
    again = from_bytes(to_bytes(sample))
    assert parts(again) == parts(sample)
    assert to_bytes(again) == to_bytes(sample)
    with_ends = replace(sample, ends=(sample.numbers, sample.numbers))
    assert parts(from_bytes(to_bytes(with_ends))) == parts(with_ends)


def test_numbers_keep_their_kind() -> None:
    sample = BaselineSample("d", Unit.NUMBER, 1, np.array([7]), 1, settled={"mean": Interval(Fraction(1, 3), 1.0, 1)})
    mean = from_bytes(to_bytes(sample)).settled["mean"]
    assert [type(value) for value in (mean.observed, mean.low, mean.high)] == [Fraction, float, int]


def test_ten_thousand_latencies_take_a_few_bytes_each() -> None:
    latencies = np.sort(np.random.default_rng(1).lognormal(18, 0.5, 10_000).astype(np.int64))
    assert len(to_bytes(BaselineSample("d", Unit.DURATION, 10_000, latencies, 10_000))) < 40_000


@pytest.mark.parametrize("data", [b"", b"{}", b"[]\n", b"x" * 50, b'{"version": 2}\n'])
def test_other_bytes_are_no_sample(data: bytes) -> None:
    with pytest.raises(UnreadableSample):
        from_bytes(data)


@given(SAMPLE, st.integers(0, 200))
def test_what_is_cut_is_no_sample(sample: BaselineSample, kept: int) -> None:
    data = to_bytes(sample)
    with pytest.raises(UnreadableSample):
        from_bytes(data[: min(kept, len(data) - 5)])
