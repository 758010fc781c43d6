"""Which run each span belongs to, and why: all ways of getting there, apart and together, in any order."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import new_pool, table_of, trace_bytes
from spanverdict.paths.association import MAX_INVALID, REASON_TEXT, Association, Reason, associate

Row = dict[str, Any]
RUN = "test.suite.run.id"


def tagged(run: str, key: str = RUN) -> Row:
    return {"attributes": {key: run}}


def link(trace: str, span_id: int) -> Row:
    return {"links": [{"trace": trace, "id": span_id}]}


def found(rows: list[Row], **more: Any) -> Association:
    table = table_of(rows)
    keys = [table.attribute("order.id")]
    return associate(table, keys=keys, **more)


def runs_of(rows: list[Row], **more: Any) -> dict[tuple[str, int], dict[str, Reason]]:
    """Return for each span its runs, with the reasons."""
    association = found(rows, **more)
    runs: dict[tuple[str, int], dict[str, Reason]] = {(row["trace"], row["id"]): {} for row in rows}
    for row, run, reason in zip(association.row, association.run, association.reason, strict=True):
        runs[rows[row]["trace"], rows[row]["id"]][association.runs[run]] = Reason(reason)
    assert [not runs[row["trace"], row["id"]] for row in rows] == np.isin(
        np.arange(len(rows)), association.untagged
    ).tolist()
    return runs


def whose(rows: list[Row], **more: Any) -> dict[int, str]:
    """Return for each span id its runs, joined by `+`, `-` for none."""
    return {span_id: "+".join(sorted(runs)) or "-" for (_, span_id), runs in runs_of(rows, **more).items()}


PRODUCER, CONSUMER = {"kind": "producer"}, {"kind": "consumer"}
MESSAGE = {"messaging.message.id": "m1"}
LOG = {"messaging.destination.name": "orders", "messaging.destination.partition.id": "0", "messaging.kafka.offset": 5}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"trace": "t", "id": 1, **tagged("r")}], Reason.SPAN),
        ([{"trace": "t", "id": 1, "resource": {RUN: "r"}}], Reason.RESOURCE),
        ([{"trace": "t", "id": 1, "scope": {"name": "s", "attributes": {RUN: "r"}}}], Reason.SCOPE),
        ([{"trace": "t", "id": 1, "parent": 9}, {"trace": "t", "id": 9, **tagged("r")}], Reason.TRACE),
        ([{"trace": "t", "id": 1, **link("u", 2)}, {"trace": "u", "id": 2, **tagged("r")}], Reason.LINK),
        ([{"trace": "t", "id": 1}, {"trace": "u", "id": 2, **link("t", 1), **tagged("r")}], Reason.LINK),
        (
            [
                {"trace": "t", "id": 1, **CONSUMER, "attributes": MESSAGE},
                {"trace": "u", "id": 2, **PRODUCER, "attributes": {**MESSAGE, RUN: "r"}},
            ],
            Reason.MESSAGE,
        ),
        (
            [
                {"trace": "t", "id": 1, "kind": "client", "attributes": {**MESSAGE, "rpc.method": "ReceiveMessage"}},
                {"trace": "u", "id": 2, "kind": "client", "attributes": {**MESSAGE, RUN: "r"}},
            ],
            Reason.MESSAGE,
        ),
        (
            [
                {"trace": "t", "id": 1, **PRODUCER, "attributes": LOG},
                {"trace": "u", "id": 2, **CONSUMER, "attributes": {**LOG, RUN: "r"}},
            ],
            Reason.MESSAGE,
        ),
        (
            [
                {"trace": "t", "id": 1, "attributes": {"order.id": "7"}},
                {"trace": "u", "id": 2, "attributes": {"order.id": 7, RUN: "r"}},
            ],
            Reason.KEY,
        ),
    ],
    ids=[
        "span",
        "resource",
        "scope",
        "trace",
        "its link",
        "a link to it",
        "message id",
        "client",
        "place in a log",
        "key",
    ],
)
def test_each_way_into_a_run_is_found_and_named(rows: list[Row], reason: Reason) -> None:
    assert runs_of(rows)[rows[0]["trace"], 1] == {"r": reason}
    assert REASON_TEXT[reason]


def test_registered_traces_and_what_is_downstream_of_them() -> None:
    rows = [{"trace": "t", "id": 1}, {"trace": "u", "id": 2, **link("t", 1)}, {"trace": "v", "id": 3}]
    registered = {trace_bytes("t"): ["r"], trace_bytes("elsewhere"): ["q"]}
    assert runs_of(rows, registered=registered) == {
        ("t", 1): {"r": Reason.REGISTERED},
        ("u", 2): {"r": Reason.LINK},
        ("v", 3): {},
    }


def test_the_window_takes_only_what_belongs_to_no_other_run() -> None:
    rows = [{"trace": "t", "id": 1, **tagged("other")}, {"trace": "u", "id": 2}]
    assert runs_of(rows, window="r") == {("t", 1): {"other": Reason.SPAN}, ("u", 2): {"r": Reason.WINDOW}}


def test_without_a_window_what_is_untagged_stays_so() -> None:
    assert whose([{"trace": "t", "id": 1, **tagged("r")}, {"trace": "u", "id": 2}]) == {1: "r", 2: "-"}


def test_the_stronger_tag_counts() -> None:
    """The span's before the resource's before the scope's, and of one place the first attribute."""
    scope = {"name": "s", "attributes": {RUN: "scope"}}
    both = {"trace": "t", "id": 1, "resource": {RUN: "resource"}, "scope": scope}
    assert whose([both]) == {1: "resource"}
    assert whose([{**both, **tagged("span", "cicd.pipeline.run.id")}]) == {1: "span"}
    assert whose([{"trace": "t", "id": 1, "attributes": {"test.run.id": "second", RUN: "first"}}]) == {1: "first"}


def test_attributes_of_ones_own_name_runs_in_their_order() -> None:
    tags = ("acme.run", RUN)
    both = {"trace": "t", "id": 1, "attributes": {"acme.run": "a", RUN: "b"}}
    rows = [
        both,
        {"trace": "u", "id": 2, "resource": {"acme.run": "c"}},
        {"trace": "v", "id": 3, **tagged("d", "test.run.id")},
    ]
    assert whose(rows, tags=tags) == {1: "a", 2: "c", 3: "-"}
    assert whose(rows) == {1: "b", 2: "-", 3: "d"}
    assert found(rows, tags=tags).tags == tags


def test_values_that_cannot_name_a_run_are_told_and_name_none() -> None:
    """And a weaker tag that can counts in their place."""
    wrong = ["no spaces", "x" * 129, 7, "", "naïve", True]
    rows = [{"trace": str(n), "id": n + 1, "attributes": {RUN: value}} for n, value in enumerate(wrong)]
    association = found([*rows, {"trace": "z", "id": 99, "attributes": {RUN: "a b"}, "resource": {RUN: "ok"}}])
    assert association.runs == ("ok",)
    assert len(association.untagged) == len(wrong)
    assert association.invalid == tuple(sorted(map(repr, [*wrong, "a b"]))[:MAX_INVALID])


def test_two_runs_on_one_path_share_it_and_are_counted() -> None:
    rows = [{"trace": "t", "id": 1, **tagged("a")}, {"trace": "t", "id": 2, "parent": 1, **tagged("b")}]
    assert runs_of(rows) == {
        ("t", 1): {"a": Reason.SPAN, "b": Reason.TRACE},
        ("t", 2): {"a": Reason.TRACE, "b": Reason.SPAN},
    }
    assert found(rows).conflicts == 1


def produced(run: str, span_id: int, **more: Any) -> list[Row]:
    """A tagged request that sends a message: a root and, with the next id, its producer."""
    return [
        {"trace": run, "id": span_id, **tagged(run)},
        {"trace": run, "id": span_id + 1, "parent": span_id, **PRODUCER, **more},
    ]


BATCH = {"trace": "batch", "id": 30, "links": [{"trace": "a", "id": 11}, {"trace": "b", "id": 21}]}


def test_concurrent_runs_are_kept_apart_by_a_shared_consumer() -> None:
    """The batch is held by both, nothing else is."""
    rows = [*produced("a", 10), *produced("b", 20), BATCH]
    assert whose(rows) == {10: "a", 11: "a", 20: "b", 21: "b", 30: "a+b"}
    assert found(rows).conflicts == 1


def test_a_longer_way_into_the_batch_counts_as_much() -> None:
    """One run's message was delivered again from a retry queue first."""
    retried = {"trace": "retry", "id": 25, **link("b", 21)}
    batch = {**BATCH, "links": [{"trace": "a", "id": 11}, {"trace": "retry", "id": 25}]}
    assert whose([*produced("a", 10), *produced("b", 20), retried, batch])[30] == "a+b"


def test_other_producers_of_a_batch_stay_out() -> None:
    """Background traffic in the same batches would else bring all of the system into the run."""
    stray = [{"trace": "x", "id": 40, **PRODUCER}, {"trace": "y", "id": 41, **link("x", 40)}]
    batch = {**BATCH, "links": [{"trace": "a", "id": 11}, {"trace": "x", "id": 40}]}
    assert whose([*produced("a", 10), *stray, batch]) == {10: "a", 11: "a", 40: "-", 41: "-", 30: "a"}


def test_what_a_tagged_consumer_stems_from_is_adopted_with_all_that_it_led_to() -> None:
    rows = [
        {"trace": "origin", "id": 1},
        {"trace": "made", "id": 2, **link("origin", 1)},
        {"trace": "taken", "id": 3, **link("made", 2), **tagged("r")},
        {"trace": "beside", "id": 4, **link("origin", 1)},
        {"trace": "after", "id": 5, **link("taken", 3)},
    ]
    assert set(whose(rows).values()) == {"r"}


def test_upstream_the_nearest_run_wins_and_equally_near_ones_share() -> None:
    rows = [
        {"trace": "far", "id": 1},
        {"trace": "mid", "id": 2, **link("far", 1)},
        {"trace": "near", "id": 3, **link("mid", 2), **tagged("a")},
        {"trace": "also", "id": 4, **link("far", 1), **tagged("b")},
    ]
    assert whose(rows) == {1: "b", 2: "a", 3: "a", 4: "b"}
    rows[1] = {"trace": "mid", "id": 2, **tagged("a"), **link("far", 1)}
    assert whose(rows)[1] == "a+b"


def test_a_trace_with_a_tag_is_never_adopted_by_another_run() -> None:
    rows = [*produced("a", 10), {"trace": "b", "id": 20, **tagged("b"), **link("a", 11)}]
    assert whose(rows) == {10: "a", 11: "a", 20: "b"}


def test_links_come_before_messages_and_messages_before_keys() -> None:
    """Two runs of one test send the same orders at the same time."""
    one, two = {"order.id": "1"}, {"order.id": "2"}
    rows = [
        {"trace": "a", "id": 10, "attributes": {RUN: "a", **one}},
        {"trace": "b", "id": 20, "attributes": {RUN: "b", **one}},
        {"trace": "c", "id": 30, "attributes": one, **link("a", 10)},
        {"trace": "d", "id": 40, **PRODUCER, "attributes": {RUN: "a", **MESSAGE, **two}},
        {"trace": "e", "id": 50, "attributes": {RUN: "b", **two}},
        {"trace": "f", "id": 60, **CONSUMER, "attributes": {**MESSAGE, **two}},
        {"trace": "g", "id": 70, "attributes": two},
    ]
    assert whose(rows) == {10: "a", 20: "b", 30: "a", 40: "a", 50: "b", 60: "a", 70: "a+b"}
    assert runs_of(rows)["f", 60] == {"a": Reason.MESSAGE}


def test_the_consumers_of_a_message_do_not_bring_in_what_else_they_took() -> None:
    rows = [
        {"trace": "a", "id": 1, **PRODUCER, "attributes": {RUN: "r", **MESSAGE}},
        {"trace": "c", "id": 2, **CONSUMER, "attributes": MESSAGE},
        {"trace": "c", "id": 3, **CONSUMER, "attributes": {"messaging.message.id": "m2"}},
        {"trace": "x", "id": 4, **PRODUCER, "attributes": {"messaging.message.id": "m2"}},
    ]
    assert whose(rows) == {1: "r", 2: "r", 3: "r", 4: "-"}


def test_two_that_say_they_send_a_message_are_not_of_one_run_by_that() -> None:
    """Nor two that say they take it; ids are given by senders, who may repeat themselves."""
    said = {**MESSAGE, "messaging.operation.type": "send"}
    one = {"trace": "t", "id": 1, "kind": "client", "attributes": {**said, RUN: "r"}}
    other = {"trace": "u", "id": 2, "kind": "client", "attributes": said}
    assert whose([one, other]) == {1: "r", 2: "-"}
    assert whose([{**one, "attributes": {**MESSAGE, RUN: "r"}}, {**other, "attributes": MESSAGE}]) == {1: "r", 2: "r"}


def test_a_consumer_about_several_keys_does_not_join_them() -> None:
    rows = [
        {"trace": "a", "id": 1, "attributes": {RUN: "r", "order.id": 1}},
        {"trace": "c", "id": 2, "attributes": {"order.id": 1}},
        {"trace": "c", "id": 3, "attributes": {"order.id": 2}},
        {"trace": "x", "id": 4, "attributes": {"order.id": 2}},
    ]
    assert whose(rows) == {1: "r", 2: "r", 3: "r", 4: "-"}


def test_what_a_key_brings_in_is_followed_further() -> None:
    rows = [
        {"trace": "a", "id": 1, "attributes": {RUN: "r", "order.id": 1}},
        {"trace": "b", "id": 2, "attributes": {"order.id": 1}},
        {"trace": "c", "id": 3, **link("b", 2)},
    ]
    assert {span: runs.popitem() for (_, span), runs in runs_of(rows).items()} == {
        1: ("r", Reason.SPAN),
        2: ("r", Reason.KEY),
        3: ("r", Reason.LINK),
    }


def test_an_empty_key_joins_nothing() -> None:
    rows = [
        {"trace": "a", "id": 1, "attributes": {RUN: "r", "order.id": ""}},
        {"trace": "b", "id": 2, "attributes": {"order.id": ""}},
    ]
    assert whose(rows) == {1: "r", 2: "-"}


# a specific link beats the shared parent


def test_in_a_shared_trace_a_link_of_its_own_decides_for_a_span_and_all_below_it() -> None:
    rows = [
        *produced("a", 10),
        *produced("b", 20),
        BATCH,
        {"trace": "batch", "id": 31, "parent": 30, **link("a", 11)},
        {"trace": "batch", "id": 32, "parent": 31},
        {"trace": "batch", "id": 33, "parent": 30, **link("b", 21)},
        {"trace": "batch", "id": 34, "parent": 30},
    ]
    assert whose(rows) == {10: "a", 11: "a", 20: "b", 21: "b", 30: "a+b", 31: "a", 32: "a", 33: "b", 34: "a+b"}
    assert found(rows).conflicts == 1


def test_a_message_or_key_of_its_own_decides_likewise() -> None:
    rows = [
        *produced("a", 10, attributes=MESSAGE),
        *produced("b", 20, attributes={"order.id": 2}),
        BATCH,
        {"trace": "batch", "id": 31, "parent": 30, **CONSUMER, "attributes": MESSAGE},
        {"trace": "batch", "id": 32, "parent": 30, "attributes": {"order.id": 2}},
    ]
    assert whose(rows) == {10: "a", 11: "a", 20: "b", 21: "b", 30: "a+b", 31: "a", 32: "b"}


def test_through_two_batches_spans_stay_apart() -> None:
    """The second batch links spans of the first, of which each is in one run only."""
    rows = [
        *produced("a", 10),
        *produced("b", 20),
        BATCH,
        {"trace": "batch", "id": 31, "parent": 30, **link("a", 11)},
        {"trace": "batch", "id": 32, "parent": 30, **link("b", 21)},
        {"trace": "next", "id": 40, "links": [{"trace": "batch", "id": 31}, {"trace": "batch", "id": 32}]},
        {"trace": "next", "id": 41, "parent": 40, **link("batch", 31)},
        {"trace": "next", "id": 42, "parent": 41},
        {"trace": "next", "id": 43, "parent": 40, **link("batch", 32)},
    ]
    assert {span: runs for span, runs in whose(rows).items() if span >= 30} == {
        30: "a+b", 31: "a", 32: "b", 40: "a+b", 41: "a", 42: "a", 43: "b",
    }  # fmt: skip


def test_below_a_span_of_one_run_another_link_adds_its_run() -> None:
    """The parent is not shared, so it counts as well."""
    rows = [
        *produced("a", 10),
        *produced("b", 20),
        BATCH,
        {"trace": "batch", "id": 31, "parent": 30, **link("a", 11)},
        {"trace": "batch", "id": 32, "parent": 31, **link("b", 21)},
    ]
    assert whose(rows)[32] == "a+b"


def test_a_tag_of_its_own_is_never_taken_from_a_span() -> None:
    rows = [
        *produced("a", 10),
        {"trace": "t", "id": 1, **tagged("a")},
        {"trace": "t", "id": 2, "parent": 1, **tagged("b"), **link("a", 11)},
    ]
    assert whose(rows)[2] == "a+b"


def test_links_inside_the_shared_trace_decide_nothing() -> None:
    rows = [
        *produced("a", 10),
        *produced("b", 20),
        BATCH,
        {"trace": "batch", "id": 31, "parent": 30, **link("batch", 30)},
    ]
    assert whose(rows)[31] == "a+b"


# the same whatever came first


@st.composite
def traffic(draw: st.DrawFn) -> list[Row]:
    """Spans of a few traces and runs with links, messages and keys, some of them sent twice."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 10))):
        trace = draw(st.sampled_from("tuvw"))
        attributes: dict[str, Any] = {}
        if draw(st.integers(0, 3)) == 0:
            attributes[RUN] = draw(st.sampled_from(["a", "b", "not a run"]))
        if draw(st.booleans()):
            attributes["order.id"] = draw(st.sampled_from([1, "1", 2, ""]))
        if draw(st.booleans()):
            attributes["messaging.message.id"] = draw(st.sampled_from(["m", "n"]))
        targets = [
            {"trace": t, "id": draw(st.integers(1, 10))} for t in draw(st.lists(st.sampled_from("tuvw"), max_size=2))
        ]
        own = [row["id"] for row in rows if row["trace"] == trace]
        rows.append(
            {
                "trace": trace, "id": number + 1, "parent": draw(st.sampled_from([0, 99, *own])), "links": targets,
                "attributes": attributes, "kind": draw(st.sampled_from(["internal", "producer", "consumer", "client"])),
            }
        )  # fmt: skip
    return rows


@settings(deadline=None, max_examples=200)
@given(traffic(), st.data())
def test_neither_order_nor_repetition_of_spans_makes_a_difference(rows: list[Row], data: st.DataObject) -> None:
    """A late tag adopts what came before it; a resend changes nothing."""
    registered = {trace_bytes("w"): ["c"]} if data.draw(st.booleans()) else None
    shuffled = data.draw(st.permutations(rows))
    again = data.draw(st.lists(st.sampled_from(rows), max_size=4))
    first, other = found(rows, registered=registered), found([*shuffled, *again], registered=registered)
    assert runs_of(rows, registered=registered) == runs_of([*shuffled, *again], registered=registered)
    assert (first.runs, first.conflicts, first.invalid) == (other.runs, other.conflicts, other.invalid)


@settings(deadline=None, max_examples=100)
@given(traffic())
def test_the_rows_of_a_run_are_those_that_name_it(rows: list[Row]) -> None:
    association = found(rows)
    for run in association.runs:
        chosen = association.row[association.run == association.runs.index(run)]
        assert association.rows_of(run).tolist() == sorted(set(chosen.tolist()))
    assert len(association.rows_of("unknown")) == 0


@settings(deadline=None, max_examples=100)
@given(traffic())
def test_with_one_run_about_everything_is_whole_or_absent(rows: list[Row]) -> None:
    """Narrowing and nearness are about several runs; with one, a trace is in it as a whole or not at all."""
    for row in rows:
        if RUN in row["attributes"]:
            row["attributes"][RUN] = "a"
    by_trace: dict[str, set[str]] = {}
    for (trace, _), runs in runs_of(rows).items():
        by_trace.setdefault(trace, set()).add("+".join(runs))
    assert all(len(runs) == 1 for runs in by_trace.values())


def test_no_spans_have_no_runs() -> None:
    association = associate(table_of([]), window="r")
    assert (association.runs, len(association.row), len(association.untagged)) == (("r",), 0, 0)


def test_runs_of_another_pool_mates_do_not_matter() -> None:
    """A pool that has seen other traces and values gives the same answer."""
    rows = [*produced("a", 10), *produced("b", 20), BATCH]
    pool = new_pool()
    table_of([{"trace": f"other{n}", "id": 1, **tagged(f"r{n}")} for n in range(5)], pool)
    table = table_of(rows, pool)
    alone = associate(table_of(rows))
    shared = associate(table)
    assert (alone.runs, alone.row.tolist(), alone.reason.tolist()) == (
        shared.runs,
        shared.row.tolist(),
        shared.reason.tolist(),
    )


def line(count: int, apart: int) -> list[Row]:
    """A tagged trace, and traces of which each links the one that came `apart` before it."""
    ids = [n.to_bytes(16, "big") for n in range(count + 1)]
    linking = [{"trace": ids[n], "id": n, **link("", 0)} for n in range(2, count + 1)]
    for row in linking:
        target = max(1, row["id"] - apart)
        row["links"] = [{"trace": ids[target], "id": target}]
    return [{"trace": ids[1], "id": 1, **tagged("r")}, *linking]


@pytest.mark.parametrize(("apart", "expected"), [(1, 65), (1000, 20_000), (10**6, 20_000)])
def test_many_traces_in_a_line_or_a_star_end_soon(apart: int, expected: int) -> None:
    """No run goes on for ever: a poll that links the poll before it. The bound is generous."""
    table = table_of(line(20_000, apart))
    begun = time.perf_counter()
    association = associate(table)
    assert time.perf_counter() - begun < 2
    assert len(association.rows_of("r")) == expected
