"""What a message or a key joins hangs together like what a link joins: for selectors, and for whoever looks at it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import span_number, table_of
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.evaluation.requestpath import StitchedRun
from spanverdict.paths.joins import Join
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors import parse

Row = dict[str, Any]
FLOW = """
version: 1
flow: orders
stages:
  - {stage: ingest, select: {name: in}}
  - {stage: notify, select: {name: out}}
request:
  correlate: [span.order.id]
rules:
  - {id: whole, coverage: {stages: all}, expect: {ratio: "== 100%"}}
"""
MESSAGE = {"attributes": {"messaging.message.id": "m-7"}}
KEY = {"attributes": {"order.id": "o-1"}}


def flow() -> Flow:
    problems = Problems()
    found = load(FLOW, "orders.yaml", problems)
    assert found is not None, problems.sorted()
    return found


def view(rows: list[Row]) -> RunView:
    return view_of(flow(), prepare(table_of(rows)), None)[0]


def matched(rows: list[Row], selector: str) -> list[int]:
    """Return the ids of the matched members, one for each request that they are in."""
    seen = view(rows)
    return sorted(seen.spans.table.span_id[parse(selector).mask(seen.spans)].tolist())


def joins(rows: list[Row]) -> list[tuple[int, int, Join]]:
    seen = view(rows)
    ids, found = seen.spans.table.span_id, seen.members.joins
    assert np.array_equal(seen.request[found.source], seen.request[found.target])
    return sorted(
        (int(ids[source]), int(ids[target]), Join(why))
        for source, target, why in zip(found.source, found.target, found.why, strict=True)
    )


def order(trace: str, base: int, **sent: Any) -> list[Row]:
    """An ingest span, and the producer that it calls."""
    return [
        {"trace": trace, "id": base, "name": "in", "kind": "server", "start": base, "end": base + 5},
        {
            "trace": trace,
            "id": base + 1,
            "parent": base,
            "kind": "producer",
            "start": base + 1,
            "end": base + 3,
            **sent,
        },
    ]


def taken(trace: str, base: int, **taking: Any) -> list[Row]:
    """A consumer in a trace of its own, and the user code below it."""
    return [
        {"trace": trace, "id": base, "kind": "consumer", "start": base, "end": base + 9, **taking},
        {"trace": trace, "id": base + 1, "parent": base, "name": "out", "start": base + 1, "end": base + 8},
    ]


WAYS = {
    "link": (order("a", 10), taken("b", 30, links=[{"trace": "a", "id": 11}]), 11, Join.LINK),
    "message": (order("a", 10, **MESSAGE), taken("b", 30, **MESSAGE), 11, Join.MESSAGE),
    "key": (order("a", 10, **KEY), taken("b", 30, **KEY), 10, Join.KEY),
}


@pytest.mark.parametrize("way", WAYS)
def test_selectors_see_what_is_joined_below_what_it_was_joined_to(way: str) -> None:
    sent, received, source, why = WAYS[way]
    rows = [*sent, *received]
    assert joins(rows) == [(source, 30, why)]
    assert matched(rows, '{ span:name = "in" } >> { span:name = "out" }') == [31]
    assert matched(rows, "{ span:kind = producer } > { span:kind = consumer }") == ([30] if source == 11 else [])
    assert matched(rows, '{ span:name = "out" } << { span:name = "in" }') == [10]


def test_a_message_leads_to_its_taker_for_whoever_looks_at_the_request() -> None:
    path = StitchedRun.of(flow(), table_of([*order("a", 10, **MESSAGE), *taken("b", 30, **MESSAGE)])).path(0)
    seen = {span_number(span.span_id): (span.depth, span.wait, span.reason) for span in path.spans}
    assert seen[30] == (2, 17, "message m-7")
    assert seen[31] == (3, 0, "parent")


def test_the_taker_of_a_message_waited_from_the_end_of_its_sender_and_not_of_the_request() -> None:
    """Placed by time alone it would come after what ended last."""
    rows = [*order("a", 10, **MESSAGE), *taken("b", 30, **MESSAGE)]
    rows[0]["end"] = 25
    sections = StitchedRun.of(flow(), table_of(rows)).path(0).sections
    assert [(start, end) for span, start, end in sections if not span] == [(3, 20)]


def test_a_key_leads_from_where_its_value_was_first_seen() -> None:
    """A request's own value is seen where it begins; later traces do not hang below each other."""
    rows = [*order("a", 10, **KEY), *taken("b", 30, **KEY), *taken("c", 50, **KEY)]
    assert joins(rows) == [(10, 30, Join.KEY), (10, 50, Join.KEY)]
    above = [{"trace": "a", "id": 1, "start": 1, **KEY}, {**order("a", 10)[0], "parent": 1}]
    assert joins([*above, *taken("b", 30, **KEY)]) == [(1, 30, Join.KEY)]


def test_what_began_before_its_value_was_seen_is_joined_and_hangs_below_nothing() -> None:
    rows = [*order("a", 10, **KEY), *taken("b", 2, **KEY)]
    assert joins(rows) == []
    assert view(rows).n_requests == 1
    assert (view(rows).request == 0).all()


def test_of_a_batch_each_span_hangs_below_the_order_that_it_is_about() -> None:
    batch = [
        {"trace": "c", "id": 50, "start": 50},
        {"trace": "c", "id": 51, "parent": 50, "start": 51, "attributes": {"order.id": 1}},
        {"trace": "c", "id": 52, "parent": 50, "start": 52, "attributes": {"order.id": 2}},
    ]
    rows = [
        *order("a", 10, attributes={"order.id": "1"}),
        *order("b", 20, attributes={"order.id": "2"}),
        *batch,
    ]
    assert joins(rows) == [(10, 51, Join.KEY), (20, 52, Join.KEY)]


@st.composite
def traffic(draw: st.DrawFn) -> list[Row]:
    """Spans in a few traces, with keys, messages and links."""
    rows: list[Row] = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        trace = draw(st.sampled_from("abcd"))
        above = [row["id"] for row in rows if row["trace"] == trace]
        linked = (
            draw(st.lists(st.sampled_from([(row["trace"], row["id"]) for row in rows]), max_size=2)) if rows else []
        )
        rows.append(
            {
                "trace": trace,
                "id": number,
                "parent": draw(st.sampled_from([0, *above])),
                "name": draw(st.sampled_from(["in", "out", "work"])),
                "kind": draw(st.sampled_from(["internal", "producer", "consumer"])),
                "start": draw(st.integers(1, 9)),
                "attributes": draw(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "order.id": st.sampled_from([1, "1", 2]),
                            "messaging.message.id": st.sampled_from(["m", "n"]),
                        },
                    )
                ),
                "links": [{"trace": to, "id": span} for to, span in linked],
            }
        )
    return rows


@settings(deadline=None, max_examples=150)
@given(traffic(), st.randoms(use_true_random=False))
def test_every_join_is_between_spans_of_one_request_that_it_is_true_of(rows: list[Row], random: Any) -> None:
    """And the order of spans makes no difference."""
    found = joins(rows)
    by_id = {row["id"]: row for row in rows}
    for source, target, why in found:
        one, other = by_id[source], by_id[target]
        if why is Join.KEY:
            assert one["trace"] != other["trace"]
            assert one["start"] <= other["start"]
        if why is Join.MESSAGE:
            assert one["attributes"]["messaging.message.id"] == other["attributes"]["messaging.message.id"]
            assert (one["kind"], other["kind"]) == ("producer", "consumer")
        if why is Join.LINK:
            assert {"trace": one["trace"], "id": source} in other["links"]
    random.shuffle(rows)
    assert joins(rows) == found


@settings(deadline=None, max_examples=100)
@given(traffic())
def test_the_view_of_some_requests_has_their_joins(rows: list[Row]) -> None:
    seen = view(rows)
    for number in range(seen.n_requests):
        part, whole = seen.members.part([number]).joins, seen.members.joins
        assert len(part.source) == int((seen.request[whole.target] == number).sum())
