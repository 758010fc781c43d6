"""Counting what came, together or apart: every span counts once for what its node hangs together with."""

from __future__ import annotations

import numpy as np
import pytest

from spantables import new_pool, table_of
from spanverdict.paths.bonds import bonds
from spanverdict.paths.counting import NoTally, Uncounted, put_together
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Bools, Int64s, SpanTable


class Weights:
    """Counts spans by their id, and those of an even one."""

    def __len__(self) -> int:
        return 2

    def __call__(self, table: SpanTable) -> list[Int64s | Bools]:
        ids = table.span_id.astype(np.int64)
        return [ids, ids % 2 == 0]


def piece(pool: Pool, *spans: tuple[str, int, str]) -> Uncounted:
    table = table_of([{"trace": trace, "id": i, "resource": {"test.run.id": run}} for trace, i, run in spans], pool)
    groups, of_row = bonds(table, ())
    return Uncounted(table, [group.nodes[0] for group in groups], of_row)


def test_spans_count_for_the_run_that_their_trace_names() -> None:
    found = piece(new_pool(), ("a", 1, "r"), ("b", 2, "s"), ("a", 4, "r"))
    assert dict(zip(found.nodes, found.counted(Weights()).tolist(), strict=True)) == {
        ("run", "r"): [2, 5, 1],
        ("run", "s"): [1, 2, 1],
    }
    assert found.counted(NoTally()).tolist() == [[2], [1]]


@pytest.mark.parametrize("runs", ["rr", "rs"], ids=["one-run", "two-runs"])
def test_small_tables_of_a_pool_are_counted_as_one(runs: str) -> None:
    pool = new_pool()
    parts = [piece(pool, ("a", 1, runs[0]), ("b", 2, runs[1])), piece(pool, ("c", 3, runs[1]))]
    (joined,) = put_together(parts)
    found = dict(zip(joined.nodes, joined.counted(Weights()).tolist(), strict=True))
    assert found == ({("run", "r"): [3, 6, 1]} if runs == "rr" else {("run", "r"): [1, 1, 0], ("run", "s"): [2, 5, 1]})


def test_tables_of_other_pools_and_large_ones_stay_as_they_are() -> None:
    pool = new_pool()
    large = piece(pool, *[("a", number, "r") for number in range(1, 1025)])
    pieces = [piece(pool, ("a", 1, "r")), large, piece(new_pool(), ("a", 2, "r"))]
    assert sorted(len(found.table) for found in put_together(pieces)) == [1, 1, 1024]


def test_spans_of_traces_alone_count_for_their_traces() -> None:
    table = table_of([{"trace": trace, "id": number} for number, trace in enumerate("aba", 1)], new_pool())
    found = Uncounted.of_traces(table)
    assert [*found.nodes] == [table.pool.traces.items_by_id[number] for number in (0, 1)]
    assert found.counted(Weights()).tolist() == [[2, 4, 0], [1, 2, 1]]
