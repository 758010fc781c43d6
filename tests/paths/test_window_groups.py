"""Batches that come in one table: they are the same to the window as if they had come one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import new_pool, table_of
from spanverdict.paths.window import Window
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import Int64s, SpanTable

RUNS = ("run-1", "run-2", None)


class Nothing:
    def __len__(self) -> int:
        return 0

    def __call__(self, _table: SpanTable) -> list[Int64s]:
        return []


def span(trace: str, number: int, run: str | None) -> dict[str, Any]:
    attributes = {"test.suite.run.id": run} if run else {}
    return {"trace": trace, "id": number, "attributes": attributes}


def ids_of(window: Window, run: str) -> list[int]:
    found = window.spans_of(run)
    return sorted(found[0].span_id.tolist()) if found is not None else []


batches_of_spans = st.lists(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(RUNS)), min_size=1, max_size=4),
    min_size=1,
    max_size=8,
)


def tables(batches: list[list[tuple[str, str | None]]]) -> list[SpanTable]:
    pool, numbers = new_pool(), iter(range(1, 100))
    return [table_of([span(trace, next(numbers), run) for trace, run in batch], pool) for batch in batches]


@settings(max_examples=150)
@given(batches_of_spans, st.data())
def test_batches_together_are_the_same_as_one_by_one(batches, data) -> None:
    """Grouped at will, and then each again alone, as a restart or a late span reads them from the journal."""
    parts = tables(batches)
    alone, together = Window(tally=Nothing()), Window(tally=Nothing())
    for number, table in enumerate(parts, 1):
        alone.add(number, table, 0.0)
    at = 0
    while at < len(parts):
        size = data.draw(st.integers(1, len(parts) - at))
        together.add(at + 1, concat(parts[at : at + size]), 0.0, at + size)
        at += size
    for number in data.draw(st.lists(st.integers(1, len(parts)), max_size=6)):
        together.add(number, parts[number - 1], 0.0)
    for window in (alone, together):
        window.count()
    for run in ("run-1", "run-2"):
        assert ids_of(together, run) == ids_of(alone, run)
        assert together.counts_of(run).tolist() == alone.counts_of(run).tolist()
    assert together.untagged == alone.untagged
    assert together.runs == alone.runs


@settings(max_examples=150)
@given(batches_of_spans, st.data())
def test_what_was_dropped_of_a_group_comes_back_batch_by_batch(batches, data) -> None:
    """One run still holds the part; the other is dropped and read again, and in the end all memory is given back."""
    parts = tables(batches)
    window = Window(tally=Nothing())
    window.add(1, concat(parts), 0.0, len(parts))
    before = {run: ids_of(window, run) for run in ("run-1", "run-2")}
    window.count()
    counted = {run: window.counts_of(run).tolist() for run in before}
    window.forget(1.0, {"run-2"})
    for number in data.draw(st.permutations(range(1, len(parts) + 1))):
        window.add(number, parts[number - 1], 2.0)
    window.count()
    assert {run: ids_of(window, run) for run in before} == before
    assert {run: window.counts_of(run).tolist() for run in before} == counted
    window.forget(np.inf)
    assert window.nbytes == 0
    assert not window.runs
