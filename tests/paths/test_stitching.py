"""Request paths against a slow reference that knows one span at a time, and the cases that have a name."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from slow_stitching import Key, SlowPaths
from spantables import new_pool, table_of
from spanverdict.paths.duplicates import settle
from spanverdict.paths.forest import MAX_HOPS, find_parents, grow
from spanverdict.paths.joins import Join
from spanverdict.paths.stitching import Requests, resolve_links, stitch
from spanverdict.telemetry.spantable import Links, Ragged, SpanTable

Row = dict[str, Any]
TRACES = "abcd"


def stitched(rows: list[Row], *keys: str) -> tuple[SpanTable, Requests]:
    """Stitch the requests that begin at spans named `in`."""
    table, _ = settle(table_of(rows))
    starts = np.array([table.pool.string(int(name)) == "in" for name in table.name], np.bool_)
    columns = [table.attribute(key) for key in keys]
    return table, stitch(table, grow(table), starts, links=resolve_links(table), keys=columns)


def named(rows: list[Row], table: SpanTable) -> list[Key]:
    """Return the trace and id of each row of the table."""
    traces = {table_of([row]).pool.trace_hex(0): row["trace"] for row in rows}
    hexes = [table.pool.trace_hex(int(number)) for number in table.trace]
    return [(traces[trace], int(span_id)) for trace, span_id in zip(hexes, table.span_id, strict=True)]


def members(rows: list[Row], *keys: str) -> dict[Key, set[Key]]:
    """Return the spans of each request, known by its ingest span."""
    table, found = stitched(rows, *keys)
    names = named(rows, table)
    requests: dict[Key, set[Key]] = {names[start]: set() for start in found.start_row}
    for request, row in zip(found.request, found.row, strict=True):
        requests[names[found.start_row[request]]].add(names[row])
    assert sum(map(len, requests.values())) == len(found.row), "a span is a member of a request once"
    return requests


def ids(rows: list[Row], *keys: str) -> list[list[int]]:
    """Return the span ids of each request, for rows whose ids differ across traces."""
    return sorted(sorted(span for _, span in request) for request in members(rows, *keys).values())


@st.composite
def spans(draw: st.DrawFn) -> list[Row]:
    """A few spans in a few traces: trees, orphans, ingest spans, links of every kind, messages."""
    count = draw(st.integers(1, 12))
    rows: list[Row] = []
    for number in range(count):
        trace = draw(st.sampled_from(TRACES[: draw(st.integers(1, 4))]))
        own = [row["id"] for row in rows if row["trace"] == trace]
        row: Row = {"trace": trace, "id": number + 1, "start": draw(st.integers(1, 6))}
        row["parent"] = draw(st.sampled_from([0, *own, *own, 99, count]))
        row["name"] = draw(st.sampled_from(["in", "work", "work"]))
        row["kind"] = draw(st.sampled_from(["internal", "producer", "client", "consumer"]))
        targets = [(other["trace"], other["id"]) for other in rows] + [(trace, number + 1), ("a", 77), ("d", count)]
        row["links"] = [{"trace": t, "id": i} for t, i in draw(st.lists(st.sampled_from(targets), max_size=3))]
        if draw(st.booleans()):
            row["attributes"] = {"messaging.message.id": draw(st.sampled_from(["m1", "m2"]))}
            if operation := draw(st.sampled_from(["", "", "send", "receive", "settle", "browse"])):
                row["attributes"]["messaging.operation.type"] = operation
        rows.append(row)
    return rows


@settings(deadline=None, max_examples=250)
@given(spans(), st.randoms(use_true_random=False))
def test_requests_are_those_of_the_slow_reference(rows: list[Row], random: Any) -> None:
    """Fan-in, fan-out, orphans, nested ingest spans, links in any direction but in circles; in any order of rows."""
    slow = SlowPaths(rows)
    assume(slow.order() is not None)
    random.shuffle(rows)
    assert members(rows) == slow.members()


@settings(deadline=None, max_examples=150)
@given(spans())
def test_every_join_is_true(rows: list[Row]) -> None:
    """Whatever runs in a circle, a member stands where its reason says, and nothing comes through a shared parent."""
    table, found = stitched(rows)
    slow, names = SlowPaths(rows), named(rows, table)
    requests = [set[Key]() for _ in range(len(found))]
    for request, row in zip(found.request, found.row, strict=True):
        requests[request].add(names[row])
    held = dict.fromkeys(names, 0)
    for row in found.row[found.join != Join.ANCESTOR]:
        held[names[row]] += 1
    for request, row, join in zip(found.request, found.row, found.join, strict=True):
        key, mine = names[row], requests[request]
        start = names[found.start_row[request]]
        parent = slow.parent[key]
        true = {
            Join.START: key == start,
            Join.ANCESTOR: key in slow.above(start),
            Join.PARENT: parent in mine and not (slow.joins[key] and held[parent] > 1),
            Join.LINK: bool({(link["trace"], link["id"]) for link in slow.by_key[key].get("links", ())} & mine),
            Join.MESSAGE: bool(slow.joins[key] & mine),
            Join.TRACE: key in slow.orphans,
        }
        assert true[Join(join)], (key, Join(join).name)


def request(trace: str, base: int, **more: Any) -> list[Row]:
    """An ingest span and the producer that it calls."""
    return [
        {"trace": trace, "id": base, "name": "in", "kind": "server", "start": base},
        {"trace": trace, "id": base + 1, "parent": base, "kind": "producer", "start": base + 1, **more},
    ]


def link(trace: str, span_id: int) -> Row:
    return {"trace": trace, "id": span_id}


def test_a_batch_belongs_to_all_and_what_follows_one_message_to_one() -> None:
    """A specific link beats the shared parent, for the span that carries it and for all below it."""
    batch = [
        {"trace": "c", "id": 50, "kind": "consumer", "links": [link("a", 11), link("b", 21)]},
        {"trace": "c", "id": 51, "parent": 50, "links": [link("a", 11)]},
        {"trace": "c", "id": 52, "parent": 51},
        {"trace": "c", "id": 53, "parent": 50, "links": [link("b", 21)]},
        {"trace": "c", "id": 54, "parent": 50},
    ]
    assert ids([*request("a", 10), *request("b", 20), *batch]) == [[10, 11, 50, 51, 52, 54], [20, 21, 50, 53, 54]]


def test_a_message_of_nobody_in_a_batch_belongs_to_nobody() -> None:
    """Its own link leads to a span of no request, so the shared parent does not count; a sole parent does."""
    stray = {"trace": "x", "id": 60, "kind": "producer"}
    batch = [
        {"trace": "c", "id": 50, "links": [link("a", 11), link("b", 21)]},
        {"trace": "c", "id": 51, "parent": 50, "links": [link("x", 60)]},
    ]
    assert ids([*request("a", 10), *request("b", 20), stray, *batch]) == [[10, 11, 50], [20, 21, 50]]
    alone = [{**batch[0], "links": [link("a", 11)]}, batch[1]]
    assert ids([*request("a", 10), stray, *alone]) == [[10, 11, 50, 51]]


def test_all_branches_of_a_fan_out_and_every_redelivery_belong_to_the_request() -> None:
    takers = [{"trace": f"t{n}", "id": 50 + n, "kind": "consumer", "links": [link("a", 11)]} for n in range(3)]
    again = {"trace": "t0", "id": 60, "kind": "consumer", "links": [link("a", 11)], "start": 9}
    assert ids([*request("a", 10), *takers, again]) == [[10, 11, 50, 51, 52, 60]]


def test_links_lead_forwards_only() -> None:
    """What the ingest span itself links to is no part of its request."""
    rows = request("a", 10)
    rows[0]["links"] = [link("z", 70)]
    assert ids([*rows, {"trace": "z", "id": 70}, {"trace": "z", "id": 71, "parent": 70}]) == [[10, 11]]


def test_circles_of_links_links_to_oneself_and_links_to_nothing_are_tolerated() -> None:
    rows = [
        *request("a", 10),
        {"trace": "b", "id": 20, "links": [link("a", 11), link("c", 30), link("b", 20)]},
        {"trace": "c", "id": 30, "links": [link("b", 20), link("q", 1), link("b", 999)]},
    ]
    table, _ = stitched(rows)
    links = resolve_links(table)
    assert (links.dangling, links.to_self) == (2, 1)
    assert ids(rows) == [[10, 11, 20, 30]]


def chain(hops: int) -> list[Row]:
    """An ingest span and traces that link each to the one before."""
    rows: list[Row] = [{"trace": "t0", "id": 1, "name": "in"}]
    rows += [{"trace": f"t{n}", "id": n + 1, "links": [link(f"t{n - 1}", n)]} for n in range(1, hops + 1)]
    return [*rows, {"trace": f"t{hops}", "id": 500, "parent": hops + 1}]


@pytest.mark.parametrize(("hops", "spans", "capped"), [(64, 66, 0), (65, 65, 1), (80, 65, 1)])
def test_a_path_goes_so_many_joins_far_and_says_so(hops: int, spans: int, capped: int) -> None:
    """What stands 64 joins away belongs to it with all that hangs below; the next does not, and is reported."""
    assert MAX_HOPS == 64
    _, found = stitched(chain(hops))
    assert (len(found.row), found.hop_cap_reached) == (spans, capped)


def test_a_consumer_without_link_is_joined_by_its_message() -> None:
    """By id, or by its place in the log; a link that leads somewhere counts more."""
    place = {
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
    }
    other = {**place, "messaging.kafka.offset": 8}
    rows = [
        *request("a", 10, attributes={"messaging.message.id": "m1"}),
        *request("b", 20, attributes=place),
        {"trace": "c", "id": 30, "kind": "consumer", "attributes": {"messaging.message.id": "m1"}},
        {"trace": "d", "id": 40, "kind": "consumer", "attributes": place},
        {"trace": "e", "id": 50, "kind": "consumer", "attributes": other},
        {"trace": "f", "id": 60, "kind": "consumer", "attributes": place, "links": [link("a", 11)]},
        {"trace": "g", "id": 70, "kind": "consumer", "attributes": place, "links": [link("a", 12345)]},
    ]
    assert ids(rows) == [[10, 11, 30, 60], [20, 21, 40, 70]]


def test_old_and_new_spellings_of_a_place_in_a_log_are_one() -> None:
    old = {"messaging.destination": "orders", "messaging.kafka.partition": 3, "messaging.kafka.message.offset": 7}
    new = {
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
    }
    taker = {"trace": "c", "id": 30, "kind": "consumer", "attributes": new}
    assert ids([*request("a", 10, attributes=old), taker]) == [[10, 11, 30]]


def test_a_producer_comes_before_the_client_that_sends_for_it() -> None:
    """The creation context is where the path goes on; the send of the whole batch is not."""
    message = {"messaging.message.id": "m1"}
    rows = [
        {"trace": "a", "id": 1, "name": "in"},
        {"trace": "a", "id": 2, "parent": 1, "kind": "producer", "start": 5, "attributes": message},
        {"trace": "b", "id": 3, "kind": "client", "start": 1, "attributes": message},
        {"trace": "c", "id": 4, "kind": "consumer", "attributes": message},
    ]
    assert ids(rows) == [[1, 2, 4]]


@pytest.mark.parametrize(
    ("said", "joined"),
    [
        ({"messaging.operation.type": "receive"}, True),
        ({"messaging.operation.type": "settle", "messaging.operation.name": "ack"}, True),
        ({"messaging.operation.name": "poll"}, True),
        ({"messaging.operation": "process"}, True),
        ({"rpc.system": "aws-api", "rpc.method": "ReceiveMessage"}, True),
        ({"rpc.method": "SQS/ReceiveMessage"}, True),
        ({"messaging.operation.type": "send"}, False),
        ({"messaging.operation": "publish"}, False),
        ({"rpc.method": "SendMessage"}, False),
        ({}, False),
        ({"messaging.operation.type": "send", "messaging.operation.name": "receive"}, False),
    ],
    ids=lambda value: " ".join(value.values()) or "nothing" if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("kind", ["client", "internal", "server"])
def test_what_says_that_it_takes_a_message_is_joined_whatever_its_kind(
    said: dict[str, str], joined: bool, kind: str
) -> None:
    """And what sends one is not joined to another that sends it too, as when it is sent again."""
    message = {"messaging.message.id": "m1"}
    taker = {"trace": "c", "id": 30, "kind": kind, "start": 30, "attributes": {**message, **said}}
    below = {"trace": "c", "id": 31, "parent": 30, "start": 31}
    expected = [[10, 11, 30, 31]] if joined else [[10, 11]]
    assert ids([*request("a", 10, attributes=message), taker, below]) == expected


def test_client_spans_at_both_ends_of_a_queue_are_joined_by_their_message() -> None:
    """Neither kind says which of them sends; a send that says so comes before an earlier call that says nothing."""
    message = {"messaging.message.id": "m1"}
    rows = [
        {"trace": "a", "id": 1, "name": "in"},
        {"trace": "a", "id": 2, "parent": 1, "kind": "client", "start": 5, "attributes": {**message, "rpc.method": "SendMessage"}},
        {"trace": "b", "id": 3, "kind": "client", "start": 1, "attributes": message},
        {"trace": "c", "id": 4, "kind": "client", "start": 9, "attributes": {**message, "rpc.method": "ReceiveMessage"}},
    ]  # fmt: skip
    assert ids(rows) == [[1, 2, 4]]


def talk(**more: Any) -> dict[str, Any]:
    return {"attributes": {"messaging.message.conversation_id": "c-1", **more}}


def test_a_consumer_with_no_more_than_a_conversation_takes_its_last_message_before() -> None:
    """A question and its answer, the first of which another request had before."""
    rows = [
        *request("a", 10, **talk()),
        *request("b", 40, **talk()),
        {"trace": "c", "id": 20, "kind": "consumer", "start": 20, **talk()},
        {"trace": "d", "id": 50, "kind": "consumer", "start": 50, **talk()},
        {"trace": "e", "id": 5, "kind": "consumer", "start": 5, **talk()},
    ]
    assert ids(rows) == [[10, 11, 20], [40, 41, 50]]


def test_the_message_counts_more_than_the_conversation() -> None:
    rows = [
        *request("a", 10, **talk(**{"messaging.message.id": "m1"})),
        *request("b", 20, **talk(**{"messaging.message.id": "m2"})),
        {"trace": "c", "id": 30, "kind": "consumer", "start": 30, **talk(**{"messaging.message.id": "m1"})},
        {"trace": "d", "id": 40, "kind": "consumer", "start": 40, **talk(), "links": [link("a", 11)]},
    ]
    assert ids(rows) == [[10, 11, 30, 40], [20, 21]]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("pc"), st.sampled_from(["x", "y"]), st.integers(1, 9)), max_size=9))
def test_conversations_are_those_of_a_slow_search(spans: list[tuple[str, str, int]]) -> None:
    rows: list[Row] = [
        {
            "trace": str(n),
            "id": n + 1,
            "name": "in" if kind == "p" else "work",
            "kind": {"p": "producer", "c": "consumer"}[kind],
            "start": start,
            "attributes": {"messaging.conversation_id": which},
        }
        for n, (kind, which, start) in enumerate(spans)
    ]
    expected = {row["id"]: [row["id"]] for row in rows if row["kind"] == "producer"}
    for row in rows:
        senders = [
            (sender["start"], sender["id"])
            for sender in rows
            if sender["kind"] == "producer"
            and sender["attributes"] == row["attributes"]
            and sender["start"] <= row["start"]
        ]
        if row["kind"] == "consumer" and senders:
            expected[max(senders)[1]].append(row["id"])
    assert ids(rows) == sorted(sorted(found) for found in expected.values())


def order(value: Any) -> dict[str, Any]:
    return {"attributes": {"order.id": value}}


def test_traces_that_share_a_key_are_one_request_as_a_whole() -> None:
    """A trace with one value joins by all its roots, whatever the type in which services write the value."""
    other = [
        {"trace": "b", "id": 20},
        {"trace": "b", "id": 21, "parent": 20, **order("7")},
        {"trace": "b", "id": 22, "parent": 20},
        {"trace": "b", "id": 23, "parent": 99},
    ]
    assert ids([*request("a", 10, **order(7)), *other], "order.id") == [[10, 11, 20, 21, 22, 23]]
    assert ids([*request("a", 10, **order(7)), *other]) == [[10, 11]]


def test_of_a_trace_with_several_values_only_what_hangs_below_a_carrier_joins() -> None:
    batch = [
        {"trace": "c", "id": 30},
        {"trace": "c", "id": 31, "parent": 30, **order(1)},
        {"trace": "c", "id": 32, "parent": 31},
        {"trace": "c", "id": 33, "parent": 30, **order(2)},
        {"trace": "c", "id": 34, "parent": 30},
    ]
    rows = [*request("a", 10, **order(1)), *request("b", 20, **order(2)), *batch]
    assert ids(rows, "order.id") == [[10, 11, 31, 32], [20, 21, 33]]


def test_an_empty_key_joins_nothing() -> None:
    rows = [*request("a", 10, **order("")), *request("b", 20, **order("")), {"trace": "c", "id": 30, **order("")}]
    assert ids(rows, "order.id") == [[10, 11], [20, 21]]


def test_ingest_spans_that_share_a_value_are_one_request_known_by_the_earliest() -> None:
    """Through a chain of two keys too, and whether the ingest span or a span below it carries the value."""
    rows = [
        {"trace": "a", "id": 1, "name": "in", "start": 30, "attributes": {"k": 1}},
        {"trace": "b", "id": 2, "name": "in", "start": 20, "attributes": {"k": 1}},
        {"trace": "b", "id": 3, "parent": 2, "start": 21, "attributes": {"l": "x"}},
        {"trace": "c", "id": 4, "name": "in", "start": 40, "attributes": {"l": "x"}},
        {"trace": "d", "id": 5, "name": "in", "start": 10, "attributes": {"l": "y"}},
    ]
    table, found = stitched(rows, "k", "l")
    assert ids(rows, "k", "l") == [[1, 2, 3, 4], [5]]
    assert sorted(table.span_id[found.start_row].tolist()) == [2, 5]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_ingest_spans_are_one_request_where_any_chain_of_values_connects_them(values: list[tuple[int, int]]) -> None:
    """0 stands for no value."""
    rows = [
        {"trace": str(n), "id": n + 1, "name": "in", "attributes": {k: v for k, v in (("k", one), ("l", two)) if v}}
        for n, (one, two) in enumerate(values)
    ]
    groups: list[set[int]] = []
    for n, (one, two) in enumerate(values):
        near = {n} | {m for m, (a, b) in enumerate(values) if (one and a == one) or (two and b == two)}
        touching = [group for group in groups if group & near]
        groups = [group for group in groups if not group & near] + [near.union(*touching)]
    assert ids(rows, "k", "l") == sorted(sorted(n + 1 for n in group) for group in groups)


def test_a_trace_with_several_ingest_spans_is_not_joined_as_a_whole() -> None:
    """A test harness that sends two requests in one trace, only one of which has the order's number."""
    harness = [
        {"trace": "h", "id": 1},
        {"trace": "h", "id": 2, "parent": 1, "name": "in", "start": 2},
        {"trace": "h", "id": 3, "parent": 2, "start": 3, **order(7)},
        {"trace": "h", "id": 4, "parent": 1, "name": "in", "start": 4},
    ]
    booking = {"trace": "b", "id": 9, **order(7)}
    assert ids([*harness, booking], "order.id") == [[1, 2, 3, 9], [1, 4]]


def test_the_key_of_the_only_request_of_a_trace_may_stand_above_its_ingest_span() -> None:
    rows = [
        {"trace": "a", "id": 1, **order(7)},
        {"trace": "a", "id": 2, "parent": 1, "name": "in", "start": 2},
        {"trace": "b", "id": 9, **order(7)},
    ]
    assert ids(rows, "order.id") == [[1, 2, 9]]


def test_a_match_below_another_match_begins_nothing() -> None:
    """A gateway that calls itself."""
    inner = {"trace": "a", "id": 12, "parent": 11, "name": "in", "start": 15}
    assert ids([*request("a", 10), inner]) == [[10, 11, 12]]


def test_what_stands_above_the_ingest_span_belongs_to_it_and_what_stands_beside_it_does_not() -> None:
    rows = [
        {"trace": "a", "id": 1},
        {"trace": "a", "id": 2, "parent": 1},
        {"trace": "a", "id": 3, "parent": 2, "name": "in", "start": 3},
        {"trace": "a", "id": 4, "parent": 2},
    ]
    assert ids(rows) == [[1, 2, 3]]


def test_callers_of_several_requests_belong_to_each() -> None:
    rows = [{"trace": "a", "id": 1}] + [
        {"trace": "a", "id": n, "parent": 1, "name": "in", "start": n} for n in range(2, 6)
    ]
    assert ids(rows) == [[1, 2], [1, 3], [1, 4], [1, 5]]


def test_orphans_belong_to_the_only_request_of_their_trace() -> None:
    orphans = [{"trace": "a", "id": 50, "parent": 49}, {"trace": "a", "id": 51, "parent": 50}]
    assert ids([*request("a", 10), *orphans]) == [[10, 11, 50, 51]]
    second = {"trace": "a", "id": 30, "name": "in", "start": 30}
    assert ids([*request("a", 10), *orphans, second]) == [[10, 11], [30]]


def test_orphans_beside_a_consumer_belong_to_its_request_if_there_is_just_one() -> None:
    """Their trace has no ingest span; what reached it decides."""
    orphan = {"trace": "c", "id": 51, "parent": 99}
    later = {"trace": "e", "id": 52, "links": [link("c", 51)]}
    single = [*request("a", 10), {"trace": "c", "id": 50, "links": [link("a", 11)]}, orphan, later]
    assert ids(single) == [[10, 11, 50, 51, 52]]
    shared = [*request("a", 10), *request("b", 20), {"trace": "c", "id": 50, "links": [link("a", 11), link("b", 21)]}]
    assert ids([*shared, orphan, later]) == [[10, 11, 50], [20, 21, 50]]


def test_an_orphaned_ingest_span_keeps_its_siblings_out() -> None:
    """Its parent never came, so what hung beside it cannot be told from other requests' spans."""
    rows = [
        {"trace": "a", "id": 1, "parent": 99},
        {"trace": "a", "id": 2, "parent": 1, "name": "in", "start": 2},
        {"trace": "a", "id": 3, "parent": 1},
    ]
    assert ids(rows) == [[1, 2]]


def test_no_spans_and_no_ingest_spans_are_no_requests() -> None:
    assert ids([]) == []
    assert ids([{"trace": "a", "id": 1}]) == []


def test_three_levels_of_batches_keep_their_messages_apart() -> None:
    """Each level takes what both requests sent on, and sends each message on from a span of its own."""
    rows = [*request("a", 10), *request("b", 20)]
    sources = [("a", 11), ("b", 21)]
    for level in range(3):
        trace, base = f"batch{level}", 100 * (level + 1)
        rows.append({"trace": trace, "id": base, "links": [link(*source) for source in sources]})
        for at, source in enumerate(sources):
            rows.append({"trace": trace, "id": base + 1 + at, "parent": base, "links": [link(*source)]})
            rows.append({"trace": trace, "id": base + 11 + at, "parent": base + 1 + at, "kind": "producer"})
        sources = [(trace, base + 11), (trace, base + 12)]
    one = [10, 11, 100, 101, 111, 200, 201, 211, 300, 301, 311]
    two = [20, 21, 100, 102, 112, 200, 202, 212, 300, 302, 312]
    assert ids(rows) == [one, two]


# extremes: each has to end, and soon; a step of Python code a span, or one that looks at all spans again, would not


def bare(parent: np.ndarray[Any, Any], links: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> SpanTable:
    """One trace, rows in order of their ids from 1; `links` are (carrier, linked) rows, by carrier."""
    count = len(parent)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(links[0], minlength=count))]).astype(np.int64)
    zeros, no_flags = np.zeros(len(links[0]), np.int32), np.zeros(len(links[0]), np.uint32)
    pool = new_pool()
    trace, name = pool.traces[bytes(15) + b"\1"], pool.strings[b""]
    return replace(
        SpanTable.empty(pool),
        trace=np.full(count, trace, np.int32),
        name=np.full(count, name, np.int32),
        kind=np.zeros(count, np.int8),
        span_id=np.arange(1, count + 1, dtype=np.uint64),
        parent_span_id=(parent + 1).astype(np.uint64),
        start_time_unix_nano=np.arange(1, count + 1),
        end_time_unix_nano=np.arange(2, count + 2),
        attributes=Ragged.empty(count),
        links=Links(offsets, zeros, (links[1] + 1).astype(np.uint64), zeros, no_flags, Ragged.empty(len(links[0]))),
    )


def timed_stitch(table: SpanTable, starts: np.ndarray[Any, Any]) -> tuple[Requests, float]:
    begun = time.perf_counter()
    parents = find_parents(table, table.trace.astype(np.int64))
    found = stitch(table, parents, starts, links=resolve_links(table))
    return found, time.perf_counter() - begun


NO_LINKS = (np.zeros(0, np.int64), np.zeros(0, np.int64))
N = 100_000
DEEP = np.where(np.arange(N) % 10_000, np.arange(N) - 1, np.minimum(np.arange(N), 1) - 1)
WIDE = np.where(np.arange(N) <= 50_000, 0, 1)
ROOTS = np.full(N, -1)
SHAPES = {
    "10,000 deep": (DEEP, NO_LINKS, 100_000),
    "50,000 wide": (np.where(np.arange(N) == 0, -1, WIDE), NO_LINKS, 100_000),
    "10,000 deep, each linking the root": (DEEP, (np.arange(1, N), np.zeros(N - 1, np.int64)), 100_000),
    "10,000 deep, each linking what nobody reached": (
        np.where(np.arange(N) == N - 1, -1, DEEP), (np.arange(1, N - 1), np.full(N - 2, N - 1)), N - 1,
    ),
    "a star of links": (ROOTS, (np.arange(1, N), np.zeros(N - 1, np.int64)), 100_000),
    "a circle of links": (ROOTS, (np.arange(N), np.roll(np.arange(N), 1)), 65),
    "50,000 links on one span": (
        np.where(np.arange(N) == N - 1, -1, np.arange(N) - np.maximum(np.arange(N), 1)),
        (np.full(50_000, N - 1), np.arange(50_000)), N,
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_extreme_traces_end_soon(shape: str) -> None:
    """100,000 spans in one trace and one request; the bound is generous, a quadratic step would miss it by far."""
    parent, links, expected = SHAPES[shape]
    found, took = timed_stitch(bare(parent, links), np.arange(N) == 0)
    assert len(found.row) == expected
    assert took < 2


def test_a_batch_of_fifty_thousand_messages_ends_soon() -> None:
    """50,000 requests in one trace, a consumer that all of them share, a span of its own for each message."""
    half = 49_999
    parent = np.full(2 * half + 1, half)
    parent[: half + 1] = -1
    carriers = np.concatenate([np.full(half, half), np.arange(half + 1, 2 * half + 1)])
    table = bare(parent, (carriers, np.concatenate([np.arange(half), np.arange(half)])))
    found, took = timed_stitch(table, np.arange(len(parent)) < half)
    assert len(found) == half
    assert len(found.row) == 3 * half
    assert np.array_equal(np.bincount(found.request), np.full(half, 3))
    assert took < 2
