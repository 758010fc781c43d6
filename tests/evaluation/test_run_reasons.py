"""Why each span belongs to its run, told for each way into a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spantables import table_of, trace_bytes
from spanverdict.evaluation.preparing import prepare
from spanverdict.evaluation.runreasons import RunReasons
from spanverdict.paths.association import associate
from spanverdict.paths.membership import membership_of, whole_input

Row = dict[str, Any]
RUN = "test.suite.run.id"
KEYS = ("span.order.id",)
TAGGED: Row = {
    "trace": "t",
    "id": 1,
    "kind": "producer",
    "attributes": {RUN: "r", "messaging.message.id": "m-7", "order.id": 7},
}


def reasons(rows: list[Row], **more: Any) -> dict[int, str]:
    """Return what is said of each span of the run `r`, by id."""
    table = table_of(rows)
    found = associate(table, keys=[table.attribute("order.id")], **more)
    taken = table.take(found.rows_of("r"))
    run = prepare(taken, membership_of("r", found))
    said = RunReasons(run, KEYS).of_rows(np.arange(len(run.spans.table)))
    return dict(zip(run.spans.table.span_id.tolist(), said, strict=True))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"trace": "u", "attributes": {"test.run.id": "r"}}, "span attribute test.run.id"),
        ({"trace": "u", "resource": {"cicd.pipeline.run.id": "r"}}, "resource attribute cicd.pipeline.run.id"),
        ({"trace": "u", "scope": {"name": "s", "attributes": {RUN: "r"}}}, f"scope attribute {RUN}"),
        ({"trace": "t"}, "same trace as a tagged span"),
        ({"trace": "u", "links": [{"trace": "t", "id": 1}]}, "span link to {t}…/0000000000000001"),
        ({"trace": "u", "kind": "consumer", "attributes": {"messaging.message.id": "m-7"}}, "same message m-7"),
        ({"trace": "u", "attributes": {"order.id": "7"}}, "shared correlation key span.order.id = 7"),
    ],
    ids=["span", "resource", "scope", "trace", "link", "message", "key"],
)
def test_each_way_into_a_run_is_told(row: Row, said: str) -> None:
    found = reasons([TAGGED, {"id": 2, **row}])
    assert found == {1: f"span attribute {RUN}", 2: said.replace("{t}", trace_bytes("t").hex()[:8])}


def test_what_a_tagged_span_links_to_says_from_where() -> None:
    found = reasons([{**TAGGED, "links": [{"trace": "u", "id": 2}]}, {"trace": "u", "id": 2}])
    assert found[2] == f"span link from {trace_bytes('t').hex()[:8]}…/0000000000000001"


def test_registered_traces_and_what_the_window_took_say_so() -> None:
    rows = [{"trace": "u", "id": 2}, {"trace": "v", "id": 3}]
    assert reasons(rows, registered={trace_bytes("u"): ["r"]}, window="r") == {
        2: "trace registered for the run",
        3: "arrived in the run's time window",
    }


def test_an_input_of_one_run_says_nothing_of_spans_that_name_none() -> None:
    table = table_of([TAGGED, {"trace": "u", "id": 2}])
    found = associate(table)
    run = prepare(table, whole_input("r", found, 2))
    assert sorted(RunReasons(run, ()).of_rows(np.arange(2))) == ["", f"span attribute {RUN}"]
    assert run.membership is not None
    assert run.membership.counts() == {"span": 1, "input": 1}
    assert run.membership.untagged == 1


def test_resends_count_once_and_in_any_order_for_the_same() -> None:
    rows = [TAGGED, {"trace": "t", "id": 2, "parent": 1}, {"trace": "x", "id": 3}]
    for sent in (rows, [*rows[::-1], *rows]):
        table = table_of(sent)
        found = associate(table)
        run = prepare(table.take(found.rows_of("r")), membership_of("r", found))
        assert run.membership is not None
        assert run.membership.counts() == {"span": 1, "trace": 1}
        assert run.membership.untagged == 1


def test_where_nobody_asked_nothing_is_said() -> None:
    run = prepare(table_of([TAGGED]))
    assert RunReasons(run, ()).of_rows(np.arange(1)) == [""]
