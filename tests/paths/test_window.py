"""The live window: whatever comes in whatever order, a run's spans are those that `associate` finds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import new_pool, table_of, trace_bytes
from spanverdict.paths import window as paths_window
from spanverdict.paths.association import associate
from spanverdict.paths.window import Forgotten, Window
from spanverdict.telemetry.spantable import AttributeColumn, Int64s, SpanTable

RUNS = ("run-1", "run-2", "not a run id")
TRACES = "abcde"


def order_id(table: SpanTable) -> AttributeColumn:
    return table.attribute("order.id")


class ServersAndAll:
    """Counts the spans named `server`, once."""

    def __len__(self) -> int:
        return 1

    def __call__(self, table: SpanTable) -> Sequence[Int64s]:
        name = table.pool.strings.find(b"server")
        return [(table.name == name).astype(np.int64)]


tag_keys = st.sampled_from(["test.suite.run.id", "test.run.id", "cicd.pipeline.run.id"])
tags = st.dictionaries(tag_keys, st.sampled_from(RUNS), max_size=2)
rarely_tags = st.one_of(st.just({}), st.just({}), st.just({}), tags)
extras = st.fixed_dictionaries(
    {},
    optional={
        "messaging.message.id": st.sampled_from(["m1", "m2", 7, "7"]),
        "messaging.kafka.offset": st.sampled_from([1, 2]),
        "messaging.destination.name": st.just("topic"),
        "messaging.destination.partition.id": st.sampled_from(["0", "1"]),
        "order.id": st.sampled_from([1, "1", 2, True, ""]),
    },
)


@st.composite
def spans(draw: st.DrawFn) -> list[dict[str, Any]]:
    count = draw(st.integers(1, 12))
    rows = []
    for number in range(1, count + 1):
        links = draw(st.lists(st.tuples(st.sampled_from(TRACES + "z"), st.integers(1, count)), max_size=2))
        rows.append(
            {
                "trace": draw(st.sampled_from(TRACES)),
                "id": number,
                "parent": draw(st.integers(0, count)),
                "name": draw(st.sampled_from(["server", "other"])),
                "attributes": {**draw(rarely_tags), **draw(extras)},
                "resource": draw(rarely_tags),
                "scope": {"attributes": draw(rarely_tags)},
                "links": [{"trace": trace, "id": linked} for trace, linked in links],
            }
        )
    return rows


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[SpanTable]]:
    """Spans, and the same spans in shuffled batches of one or two pools, some of them sent twice."""
    rows = draw(spans())
    shuffled = draw(st.permutations(rows)) + draw(st.lists(st.sampled_from(rows), max_size=3))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    pools = [new_pool(), new_pool()]
    pieces = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    return rows, [table_of(piece, draw(st.sampled_from(pools))) for piece in pieces]


def named(table: SpanTable) -> set[tuple[str, int]]:
    return {(table.pool.trace_hex(int(t)), int(i)) for t, i in zip(table.trace, table.span_id, strict=True)}


def expected_of(rows: list[dict[str, Any]], **how: Any) -> dict[str, set[tuple[str, int]]]:
    table = table_of(rows)
    found = associate(table, keys=[order_id(table)], **how)
    held = {run: named(table.take(found.rows_of(run))) for run in found.runs}
    return {run: spans for run, spans in held.items() if spans}


registrations = st.dictionaries(st.sampled_from(TRACES), st.sampled_from(["run-1", "declared"]), max_size=2)


@settings(max_examples=120)
@given(arrivals(), registrations, st.sampled_from([None, "the-window", "run-1"]), st.booleans())
def test_the_spans_of_a_run_are_those_that_associate_finds_over_everything(came, registered, only, early) -> None:
    rows, batches = came
    window = Window(keys=[order_id], window_run=only)
    if early:
        register(window, registered)
    touched: set[str] = set()
    for number, batch in enumerate(batches, 1):
        touched |= window.add(number, batch, float(number))
    if not early:
        register(window, registered)
    by_trace = {trace_bytes(trace): {run} for trace, run in registered.items()}
    expected = expected_of(rows, registered=by_trace or None, window=only)
    for run in {*expected, *RUNS, "declared"}:
        found = window.spans_of(run)
        assert (named(found[0]) if found is not None else set()) == expected.get(run, set()), run
    assert set(expected) <= touched | set(registered.values())
    assert touched <= {*expected, *registered.values(), *([only] if only else [])}


def register(window: Window, registered: dict[str, str]) -> None:
    for trace, run in registered.items():
        window.register(run, [trace_bytes(trace)], 0.0)


@settings(max_examples=50)
@given(arrivals(), registrations, st.integers(0, 5))
def test_a_window_that_is_counted_anew_is_one_that_counted_so_from_the_start(came, registered, change) -> None:
    _, batches = came
    always, later = Window(keys=[order_id], tally=ServersAndAll()), Window()
    for number, batch in enumerate(batches, 1):
        for window in (always, later):
            register(window, registered)
            window.add(number, batch, 1.0)
        if number == change:
            later = later.counted_anew(2.0, keys=[order_id], tally=ServersAndAll())
    later = later.counted_anew(2.0, keys=[order_id], tally=ServersAndAll())
    always.count()
    later.count()
    assert (later.untagged, later.nbytes, later.runs) == (always.untagged, always.nbytes, always.runs)
    for run in (*RUNS, "declared"):
        assert later.counts_of(run).tolist() == always.counts_of(run).tolist()
        one, other = later.spans_of(run), always.spans_of(run)
        assert (one and named(one[0])) == (other and named(other[0]))


@settings(max_examples=50)
@given(arrivals(), st.data())
def test_batches_that_come_again_change_nothing(came, data) -> None:
    _, batches = came
    once, again = (Window(keys=[order_id], tally=ServersAndAll()) for _ in range(2))
    for number, batch in enumerate(batches, 1):
        once.add(number, batch, 1.0)
        again.add(number, batch, 1.0)
        for repeated in data.draw(st.lists(st.integers(1, number), max_size=2)):
            again.add(repeated, batches[repeated - 1], 1.0)
    once.count()
    again.count()
    assert (again.untagged, again.nbytes, again.runs) == (once.untagged, once.nbytes, once.runs)
    for run in RUNS:
        assert again.counts_of(run).tolist() == once.counts_of(run).tolist()
        assert again.first_batch_of(run) == once.first_batch_of(run)


@settings(max_examples=50)
@given(arrivals(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_counts_are_those_of_all_spans_that_may_be_the_runs(came, counting) -> None:
    """However often it is counted in between, nothing is counted twice or forgotten."""
    _, batches = came
    window = Window(keys=[order_id], tally=ServersAndAll())
    for number, (batch, count) in enumerate(zip(batches, counting, strict=False), 1):
        window.add(number, batch, 1.0)
        if count:
            window.count()
    window.count()
    everything = sum(len(batch) for batch in batches[: len(counting)])
    clusters = {id(c): c for c in window._clusters.values()}.values()
    assert sum(int(cluster.counts[0]) for cluster in clusters) == everything
    assert window.untagged == sum(int(cluster.counts[0]) for cluster in clusters if not cluster.runs)
    for cluster in clusters:
        for run in cluster.runs:
            assert window.counts_of(run).tolist() == cluster.counts.tolist()


def row(trace: str, number: int, run: str | None = None, **more: Any) -> dict[str, Any]:
    attributes = {"test.suite.run.id": run} if run else {}
    return {"trace": trace, "id": number, "attributes": attributes, **more}


def test_a_late_tag_adopts_what_waited_and_what_is_linked() -> None:
    window = Window(tally=ServersAndAll())
    assert window.add(1, table_of([row("a", 1, name="server")]), 1.0) == frozenset()
    assert window.add(2, table_of([row("b", 2, links=[{"trace": "a", "id": 1}])]), 2.0) == frozenset()
    window.count()
    assert window.untagged == 2
    assert window.add(3, table_of([row("a", 3, "r")]), 3.0) == {"r"}
    window.count()
    assert (window.untagged, window.counts_of("r").tolist(), window.first_batch_of("r")) == (0, [3, 1], 1)
    found = window.spans_of("r")
    assert found is not None
    assert sorted(found[0].span_id.tolist()) == [1, 2, 3]


def test_not_many_spans_wait_to_be_counted_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths_window, "_UNCOUNTED_SPANS", 10)
    window = Window(tally=ServersAndAll())
    for batch in range(1, 24):
        window.add(batch, table_of([row("a", batch, name="server")]), 1.0)
        assert window.untagged == batch // 10 * 10
    window.count()
    assert window.untagged == 23


def test_what_was_quiet_is_forgotten_and_what_is_still_needed_is_not() -> None:
    window = Window(tally=ServersAndAll())
    window.add(1, table_of([row("a", 1, "old"), row("b", 2, "kept"), row("c", 3)]), 1.0)
    window.add(2, table_of([row("d", 4, "new")]), 5.0)
    assert window.forget(2.0, {"kept"}) == Forgotten(frozenset({"old"}), untagged=1)
    assert window.spans_of("old") is None
    assert window.runs == {"kept", "new"}
    assert [len(found[0]) for run in ("kept", "new") if (found := window.spans_of(run))] == [1, 1]
    assert window.untagged == 0


def test_what_was_forgotten_can_come_back_from_the_journal() -> None:
    """A part that another run still holds brings back the traces that were dropped."""
    table = table_of([row("a", 1, "old"), row("b", 2, "kept")])
    window = Window(tally=ServersAndAll())
    window.add(1, table, 1.0)
    window.forget(2.0, {"kept"})
    assert window.add(1, table, 3.0) == {"old", "kept"}
    window.count()
    assert [window.counts_of(run)[0] for run in ("old", "kept")] == [1, 1]
    assert all(found is not None and len(found[0]) == 1 for found in map(window.spans_of, ("old", "kept")))


def test_memory_is_given_back_with_the_last_cluster_that_holds_a_part() -> None:
    window = Window()
    window.add(1, table_of([row("a", 1, "x"), row("b", 2, "y")]), 1.0)
    full = window.nbytes
    assert full > 0
    window.forget(9.0, {"y"})
    alone = Window()
    alone.add(1, table_of([row("b", 2, "y")]), 1.0)
    assert alone.nbytes < window.nbytes < full, "the part is held as a whole, what was known of the trace is not"
    window.forget(9.0)
    assert (window.nbytes, window.runs) == (0, frozenset())


def test_shrinking_drops_what_was_quiet_longest_first_but_not_what_is_needed() -> None:
    window = Window()
    for number, run in enumerate(("first", "needed", "third", "fourth"), 1):
        window.add(number, table_of([row(run, number, run)] * 10), float(number))
    one = window.nbytes // 4
    gone = window.shrink(2 * one, {"needed"})
    assert (gone.runs, window.runs) == ({"first", "third"}, {"needed", "fourth"})
    assert window.nbytes <= 2 * one


def test_shrinking_to_fewer_runs_leaves_spans_of_no_run() -> None:
    window = Window()
    for number in range(6):
        window.add(
            number + 1,
            table_of([{"trace": f"t{number}", "id": 1, "attributes": {"test.run.id": f"r{number}"}}]),
            number,
        )
    window.add(7, table_of([{"trace": "nobody's", "id": 1}]), 0.0)
    gone = window.shrink(window.nbytes, keep={"r0"}, n_runs=3)
    assert gone == Forgotten(frozenset({"r1", "r2", "r3"}), 0)
    assert window.runs == {"r0", "r4", "r5"}
    assert window.untagged == 1


def test_a_registered_trace_waits_for_its_spans() -> None:
    window = Window()
    window.register("r", [trace_bytes("a")], 100.0)
    assert window.forget(50.0) == Forgotten()
    assert window.add(1, table_of([row("a", 1)]), 101.0) == {"r"}
    assert window.forget(1000.0).runs == {"r"}
    assert window.add(2, table_of([row("a", 1)]), 1001.0) == frozenset()


def test_a_weaker_tag_of_the_same_span_names_no_run() -> None:
    """A pipeline's id stands on every span besides the run's: it is no second run."""
    resource = {"cicd.pipeline.run.id": "987", "test.suite.run.id": "gh-1"}
    window = Window()
    assert window.add(1, table_of([{"trace": "a", "id": 1, "resource": resource}]), 1.0) == {"gh-1"}
    assert window.runs == {"gh-1"}
    assert window.spans_of("987") is None


def test_a_trace_of_a_hundred_thousand_spans_and_twenty_thousand_traces_take_moments() -> None:
    window = Window(tally=ServersAndAll())
    one = table_of([row("one", 1, "r")]).take(np.zeros(100_000, np.intp))
    small = [table_of([row(f"t{part}-{i}", 1, "r") for i in range(1000)]) for part in range(20)]
    begun = time.process_time()
    for number, table in enumerate((one, *small), 1):
        window.add(number, table, 1.0)
    window.count()
    found = window.spans_of("r")
    assert time.process_time() - begun < 5
    assert found is not None
    assert len(found[0]) == 120_000


def test_runs_are_known_by_the_attributes_that_are_asked_for() -> None:
    rows = [
        {"trace": "a", "id": 1, "attributes": {"acme.run": "r"}},
        {"trace": "a", "id": 2, "resource": {"acme.run": "q"}},
    ]
    named, plain = Window(tags=("acme.run",)), Window()
    assert named.add(1, table_of(rows), 1.0) == {"r", "q"}
    assert plain.add(1, table_of(rows), 1.0) == frozenset()
    found = named.spans_of("r")
    assert found is not None
    assert found[1].tags == ("acme.run",)


def test_spans_that_were_let_go_are_not_seen_beside_those_of_a_run_that_came_with_them() -> None:
    rows = [
        {"trace": "a", "id": 1, "attributes": {"test.suite.run.id": "kept"}},
        {"trace": "b", "id": 2},
    ]
    window = Window()
    window.add(1, table_of(rows), 1.0)
    found = window.spans_of("kept")
    assert found is not None
    assert found[1].untagged_spans == 1 or len(found[0]) == 1
    assert window.forget(2.0, {"kept"}).untagged == 1
    found = window.spans_of("kept")
    assert found is not None
    assert (len(found[0]), found[1].untagged_spans) == (1, 0)
