"""What is said of parents that never came, against a count by hand."""

from __future__ import annotations

import random as randoms
import time
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import new_pool, table_of, trace_bytes
from spanverdict.paths.duplicates import settle
from spanverdict.paths.forest import grow
from spanverdict.paths.orphans import MissingParents, Remote, missing_parent_defect, missing_parents
from spanverdict.telemetry.vocabulary import FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE

REMOTE = FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE
LOCAL = FLAG_HAS_IS_REMOTE


def span(trace: str, number: int, parent: int = 0, service: str = "", **more: Any) -> dict[str, Any]:
    resource = {"service.name": service} if service else {}
    return {"trace": trace, "id": number, "parent": parent, "start": number, "resource": resource, **more}


def found_in(rows: list[dict[str, Any]]) -> MissingParents:
    table = table_of(rows)
    return missing_parents(table, grow(table))


def said_of(rows: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    table, _ = settle(table_of(rows))
    return [(defect.name, defect.count, defect.detail) for defect in missing_parent_defect(table, grow(table))]


def known_call(service: str = "scorer", caller: str = "gateway") -> list[dict[str, Any]]:
    """A whole trace in which `caller` calls `service`."""
    return [
        span("whole", 1, service=caller, kind="client"),
        span("whole", 2, 1, service, name="predict", kind="server"),
    ]


def test_the_summary_names_service_cause_and_sender() -> None:
    """Remote orphans of one service in two traces are one kind; what calls it elsewhere should have sent them."""
    lost = [
        span("a", 11, 10, "scorer", name="predict", kind="server", flags=REMOTE),
        span("a", 12, 11, "scorer"),
        span("b", 21, 20, "scorer", name="predict", kind="server", flags=REMOTE),
    ]
    first = min("a", "b", key=trace_bytes)
    number = {"a": 10, "b": 20}[first]
    said = (
        "3 spans of scorer in 2 traces hang below 2 spans that never came, probably of gateway, "
        "remote: lost or not sampled on the way"
    )
    assert said_of(known_call() + lost) == [
        (
            "missing_parent",
            2,
            f"{said} (trace {trace_bytes(first).hex()}/parent {number:016x})",
        )
    ]


def test_a_run_without_orphans_has_no_defect() -> None:
    assert said_of(known_call()) == []
    assert said_of([]) == []
    assert len(found_in(known_call())) == 0


def test_a_local_parent_belongs_to_the_process_of_its_child() -> None:
    """The same process means the same service, whoever usually calls such spans."""
    ((_, count, detail),) = said_of(
        [*known_call(), span("a", 11, 10, "scorer", name="predict", kind="server", flags=LOCAL)]
    )
    assert count == 1
    assert detail.startswith(
        "1 span of scorer in 1 trace hangs below a span that never came, probably of scorer, in the same process:"
    )


def test_one_local_child_tells_where_the_parent_was() -> None:
    """A client span that never came has a local child and a remote one: it belongs to the local one's service."""
    found = found_in(
        [span("a", 11, 10, "gateway", flags=LOCAL), span("a", 12, 10, "scorer", kind="server", flags=REMOTE)]
    )
    assert (found.orphans.tolist(), found.spans.tolist(), found.remote.tolist()) == ([2], [2], [Remote.NO])
    assert found.service.tolist() == [-1]
    assert [found.services[number] for number in found.sender.tolist()] == ["gateway"]


def test_without_flags_and_without_example_nothing_is_guessed() -> None:
    ((_, _, detail),) = said_of([span("a", 11, 10)])
    assert detail.startswith(
        "1 span in 1 trace hangs below a span that never came, lost, not sampled or never made (trace "
    )


def test_a_resource_that_names_no_service_is_no_service() -> None:
    """Numbers and empty texts are no names, and no reason to break."""
    rows = [span("a", 2, 1) | {"resource": {"service.name": value}} for value in (7, "", True, "x")]
    assert found_in([row | {"id": number} for number, row in enumerate(rows, 2)]).services == ("x",)


def test_few_kinds_are_described_and_the_rest_counted() -> None:
    """The detail stays short however many services lose parents, the largest first."""
    rows = [span(f"t{n}", 100 + n + m, 1, f"s{n}", flags=REMOTE) for n in range(6) for m in range(n + 1)]
    ((_, count, detail),) = said_of(rows)
    assert count == 21
    assert [part.split(" in ")[0] for part in detail.split("; ")] == [
        "6 spans of s5",
        "5 spans of s4",
        "4 spans of s3",
        "6 more spans of 3 other kinds",
    ]


@st.composite
def broken_runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Spans whose parents are often missing, of few services, names and flags."""
    return [
        span(
            draw(st.sampled_from("ab")),
            number,
            draw(st.integers(0, 30)),
            draw(st.sampled_from(["", "x", "y"])),
            name=draw(st.sampled_from(["n", "m"])),
            kind=draw(st.sampled_from(["server", "internal"])),
            flags=draw(st.sampled_from([0, LOCAL, REMOTE, FLAG_IS_REMOTE])),
        )
        for number in range(1, draw(st.integers(0, 12)) + 1)
    ]


def counted(rows: list[dict[str, Any]]) -> dict[tuple[str, int], tuple[int, int, int, str]]:
    """For each missing parent its orphans, the spans below, whether it was remote and the service of its orphans."""
    here = {(row["trace"], row["id"]): row for row in rows}

    def top(row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        seen = set()
        while (row["trace"], row["parent"]) in here:
            if row["id"] in seen:
                return row, True
            seen.add(row["id"])
            row = here[row["trace"], row["parent"]]
        return row, False

    made: dict[tuple[str, int], list[dict[str, Any]]] = {}
    below: dict[tuple[str, int], int] = {}
    for row in rows:
        root, cyclic = top(row)
        if cyclic or not root["parent"]:
            continue
        missing = (root["trace"], root["parent"])
        below[missing] = below.get(missing, 0) + 1
        if row is root:
            made.setdefault(missing, []).append(row)
    return {missing: (len(some), below[missing], _remote(some), _service(some)) for missing, some in made.items()}


def _remote(rows: list[dict[str, Any]]) -> int:
    said = [bool(row["flags"] & FLAG_IS_REMOTE) for row in rows if row["flags"] & FLAG_HAS_IS_REMOTE]
    return Remote.UNKNOWN if not said else Remote.YES if all(said) else Remote.NO


def _service(rows: list[dict[str, Any]]) -> str:
    names = {row["resource"].get("service.name", "") for row in rows}
    return names.pop() if len(names) == 1 else ""


@settings(deadline=None)
@given(broken_runs())
def test_counts_are_those_of_a_walk(rows: list[dict[str, Any]]) -> None:
    """Every missing parent once, with all that hangs below it."""
    table = table_of(rows)
    found = missing_parents(table, grow(table))
    ids = {trace_bytes(name): name for name in "ab"}
    names = [ids[table.pool.traces.items_by_id[number]] for number in found.trace.tolist()]
    services = [found.services[number] if number >= 0 else "" for number in found.service.tolist()]
    columns = (found.orphans.tolist(), found.spans.tolist(), found.remote.tolist(), services)
    got = dict(zip(zip(names, found.span_id.tolist(), strict=True), zip(*columns, strict=True), strict=True))
    assert got == counted(rows)
    assert found.first.tolist() == sorted(found.first.tolist())


@settings(deadline=None)
@given(broken_runs(), st.randoms(use_true_random=False))
def test_the_summary_does_not_depend_on_the_order_of_arrival(
    rows: list[dict[str, Any]], random: randoms.Random
) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert said_of(shuffled) == said_of(rows)


def test_many_orphans_are_counted_fast() -> None:
    """200,000 orphans, each below a parent of its own."""
    pool, count = new_pool(), 200_000
    table = table_of([span("a", 1, 2, "s", name="n", flags=REMOTE)], pool).take(np.zeros(count, np.intp))
    ids = np.arange(1, 2 * count + 1, dtype=np.uint64)
    table = replace(table, span_id=ids[:count], parent_span_id=ids[count:])
    forest = grow(table)
    begun = time.process_time()
    (defect,) = missing_parent_defect(table, forest)
    assert time.process_time() - begun < 1
    assert defect.count == count
    assert defect.detail.startswith("200000 spans of s in 1 trace hang below 200000 spans that never came")
