"""Trace ids that are told apart are the ids that there were, and each of them is looked up about once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp.messages import good_span, table_rows
from otlp.test_scanning import wrap
from spanverdict.otlp import tracing
from spanverdict.otlp.decode import decode_all, new_pool
from spanverdict.telemetry.recall import FACTORS

WORDS = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))


@pytest.fixture(autouse=True)
def as_written() -> Iterator[None]:
    """Numpy holds every index against the bounds."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):  # as hashes do
        patch.setattr(tracing.tell_apart, "machine", None)
        yield


def told_apart(ids: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[int]]:
    words = np.ascontiguousarray(np.array(ids, np.uint64).reshape(-1, 2).T)
    n = len(ids)
    told = tracing.Told(np.zeros(n, np.int32), np.zeros((n, 2), np.uint64), np.zeros(tracing.N_SLOTS, np.int32))
    n_firsts = tracing.tell_apart(tracing.Ids(words, FACTORS[:2]), told)
    return [(int(one), int(other)) for one, other in told.firsts[:n_firsts]], told.which.tolist()


@given(st.lists(st.tuples(WORDS, WORDS), max_size=60))
def test_each_id_is_where_it_is_said_to_be(ids: list[tuple[int, int]]) -> None:
    firsts, which = told_apart(ids)
    assert [firsts[place] for place in which] == ids


def test_ids_in_turns_are_looked_up_once_each() -> None:
    ids = [(number * 7919 + 1, number) for number in range(20)] * 30
    assert len(told_apart(ids)[0]) < 40


def test_spans_of_traces_in_turns_are_decoded_as_they_were_sent() -> None:
    spans = [good_span(trace_id=b"%016d" % (n % 7), span_id=b"%08d" % n).SerializeToString() for n in range(60)]
    compiled, _ = decode_all([wrap(*spans)], new_pool(10), compiled=True)
    plain, _ = decode_all([wrap(*spans)], new_pool(10))
    assert table_rows(compiled) == table_rows(plain)
    assert compiled.trace.tolist() == [n % 7 for n in range(60)]
