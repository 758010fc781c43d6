"""How far clocks differ: never wrong about simulated hosts, and as narrow as the calls between them allow."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slow_clocks import BEGIN, US, Call, Row, rows_of, slow_chain, slow_meeting
from spantables import table_of
from spanverdict.paths.clockchains import MAX_CALLS
from spanverdict.paths.clocks import Clocks, clocks_of
from spanverdict.paths.forest import find_parents
from spanverdict.paths.overlap import meeting
from spanverdict.telemetry.vocabulary import FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE

HOSTS = ("a", "b", "c", "d")
MS = 1_000_000
SMALL = st.integers(0, 50)
TIMES = st.integers(-10_000, 10_000)
OFFSETS = st.fixed_dictionaries(dict.fromkeys(HOSTS, TIMES))
CALLS = st.lists(
    st.builds(Call, st.sampled_from(HOSTS), st.sampled_from(HOSTS), st.integers(0, 1000), SMALL, SMALL, SMALL),
    min_size=1,
    max_size=12,
)


def clocks_from(rows: list[Row]) -> Clocks:
    table = table_of(rows)
    return clocks_of(table, find_parents(table, table.trace.astype(np.int64)))


def between(clocks: Clocks, first: str, second: str) -> tuple[int, int] | None:
    """Return what is to be added to the second's times, None where that is not known."""
    names = clocks.hosts.names
    if first not in names or second not in names:
        return None
    numbers = (np.array([names.index(name)], np.int64) for name in (first, second))
    low, high, known = (found.item() for found in clocks.between(*numbers))
    return (low, high) if known else None


@given(CALLS, OFFSETS)
def test_the_true_difference_always_lies_between(calls: list[Call], offsets: dict[str, int]) -> None:
    """Whatever the offsets and the delays on the way, of hosts that call each other and over chains of such."""
    clocks = clocks_from(rows_of(calls, offsets))
    for first, second in itertools.product(HOSTS, HOSTS):
        found = between(clocks, first, second)
        assert found is None or found[0] <= (offsets[first] - offsets[second]) * US <= found[1]


@given(CALLS, OFFSETS)
def test_it_is_as_narrow_as_the_calls_allow(calls: list[Call], offsets: dict[str, int]) -> None:
    clocks = clocks_from(rows_of(calls, offsets))
    allowed: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for call in calls:
        low, high = call.allows(offsets)
        if call.client < call.server:
            allowed.setdefault((call.client, call.server), []).append((low, high))
        elif call.client > call.server:
            allowed.setdefault((call.server, call.client), []).append((-high, -low))
    known = {pair: slow_meeting(intervals, 0) for pair, intervals in allowed.items()}
    assert all(between(clocks, *pair) == interval for pair, interval in known.items())
    met = {pair: interval for pair, interval in known.items() if interval is not None}
    for pair in itertools.permutations(HOSTS, 2):
        if pair not in known and pair[::-1] not in known:
            found = between(clocks, *pair)
            assert (None if found is None else found[1] - found[0]) == slow_chain(met, *pair, MAX_CALLS)


@given(CALLS, OFFSETS, TIMES, st.randoms())
def test_it_depends_on_the_clocks_alone(
    calls: list[Call], offsets: dict[str, int], shift: int, chance: random.Random
) -> None:
    """Proves that the order of spans is no matter, and that a clock set anew moves its differences by just as much."""
    rows = rows_of(calls, offsets)
    moved = rows_of(calls, {**offsets, "a": offsets["a"] + shift})
    chance.shuffle(moved)
    for second in HOSTS[1:]:
        before, after = between(clocks_from(rows), "a", second), between(clocks_from(moved), "a", second)
        assert after == (None if before is None else tuple(end + shift * US for end in before))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted).map(tuple), min_size=1, max_size=9),
    st.integers(0, 4),
)
def test_intervals_meet_where_trying_every_place_says(intervals: list[tuple[int, int]], strays: int) -> None:
    strays = min(strays, len(intervals) - 1)
    low, high = (np.array(column, np.int64) for column in zip(*intervals, strict=True))
    assert meeting(low, high, strays) == slow_meeting(intervals, strays)


def call(number: int, client: tuple[float, float], server: tuple[float, float], **more: Any) -> list[Row]:
    """Write a call from host `a` to host `b`; times in ms as sent, not on whole ones."""
    rows = []
    for span_id, host, kind, (start, end) in ((1, "a", "client", client), (2, "b", "server", server)):
        times = {"start": BEGIN + round(start * MS), "end": BEGIN + round(end * MS)}
        rows.append({"trace": f"t{number}", "id": span_id, "kind": kind, "resource": {"host.name": host}, **times})
    return [rows[0], {**rows[1], "parent": 1, **more}]


def found(*calls: list[Row]) -> tuple[float, float] | None:
    ends = between(clocks_from([row for rows in calls for row in rows]), "a", "b")
    return None if ends is None else (ends[0] / MS, ends[1] / MS)


def test_a_call_bounds_the_difference_from_both_sides() -> None:
    assert found(call(1, (0, 10), (5002, 5009))) == (-5002, -4999)
    assert found(call(1, (0, 10), (2, 9)), call(2, (0, 10), (1, 9.5))) == (-1, 0.5)


def test_a_server_that_outlasts_its_client_only_began_while_that_waited() -> None:
    """Proves it of streams and of work after the answer."""
    assert found(call(1, (0, 10), (2, 90))) == (-2, 8)


def test_one_stray_call_in_a_hundred_counts_for_nothing() -> None:
    good = [call(number, (0, 10), (2, 9)) for number in range(100)]
    assert found(*good, call(500, (0, 10), (702, 709))) == (-2, 1)


def test_when_more_calls_disagree_all_but_strays_count_and_the_drift_is_reported() -> None:
    drifting = [call(number, (0, 10), (2 + number, 9 + number)) for number in range(50)]
    assert found(*drifting) == (-51, 1)
    clocks = clocks_from([row for rows in drifting for row in rows])
    (defect,) = clocks.defects()
    assert (defect.name, defect.count) == ("clock_drift", 1)
    assert defect.detail.startswith("the clocks of a and b ran apart")


def test_servers_that_close_their_spans_late_are_no_drift() -> None:
    """A server may end its span just after its client has the answer; then single calls bound the difference."""
    late = [call(number, (0, 10), (0.1 + number % 3, 10.2 + number % 3)) for number in range(50)]
    clocks = clocks_from([row for rows in late for row in rows])
    assert not list(clocks.defects())
    assert found(*late) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "consumer"},
        {"kind": "internal"},
        {"end": 0},
        {"end": 1, "start": 2},
        {"flags": FLAG_HAS_IS_REMOTE},
        {"attributes": {"messaging.system": "aws_sqs"}},
        {"parent": 77},
    ],
)
def test_these_are_no_calls_that_compare_clocks(more: dict[str, Any]) -> None:
    assert found(call(1, (0, 10), (2, 9), **more)) is None


def test_a_parent_that_is_said_to_be_remote_is_a_call() -> None:
    assert found(call(1, (0, 10), (2, 9), flags=FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE)) == (-2, 1)


def test_what_a_coarse_clock_hides_is_left_in_doubt() -> None:
    """A clock of whole milliseconds does not show that a call of one millisecond began three earlier."""
    rows = call(1, (0, 10), (2, 9))
    for row in rows:
        row["start"] -= 7
        row["end"] -= 7
    assert found(rows) == (-3, 2)


def test_hosts_between_which_nobody_called_are_not_compared() -> None:
    rows = [*call(1, (0, 10), (2, 9)), {"trace": "x", "id": 9, "resource": {"host.name": "c"}, "start": BEGIN}]
    clocks = clocks_from(rows)
    assert between(clocks, "a", "c") is None
    assert clocks.several


def unnamed(rows: list[Row]) -> list[Row]:
    """Let the spans say only of which service they are."""
    return [{**row, "resource": {"service.name": row["resource"]["host.name"]}} for row in rows]


def test_processes_that_do_not_name_their_hosts_share_a_clock() -> None:
    """Proves that a run on one machine, whose SDKs do not name it, is not doubted."""
    clocks = clocks_from(unnamed(call(1, (0, 10), (2, 9))))
    assert not clocks.several
    assert between(clocks, "a", "b") == (0, 0)


def test_until_calls_show_that_they_do_not() -> None:
    clocks = clocks_from(unnamed(call(1, (0, 10), (5002, 5009))))
    assert clocks.several
    assert between(clocks, "a", "b") == (-5002 * MS, -4999 * MS)


def test_a_server_that_ends_late_does_not_show_it() -> None:
    clocks = clocks_from(unnamed([row for n in range(9) for row in call(n, (0, 10), (2, 10.5))]))
    assert not clocks.several


def test_a_process_without_host_is_not_doubted_beside_one_that_has_one() -> None:
    rows = call(1, (0, 10), (2, 9))
    rows[1]["resource"] = {"service.name": "scorer"}
    assert between(clocks_from(rows), "a", "scorer") == (0, 0)


def test_chains_lead_over_processes_that_do_not_name_their_hosts() -> None:
    """Proves that what calls show is used, though the process itself is not doubted."""
    calls = rows_of([Call("a", "m", 0, 1, 5, 1), Call("m", "b", 0, 2, 5, 2)], {"a": 0, "m": 0, "b": 40})
    rows = [{**row, "resource": {"service.name": "m"}} if row["resource"]["host.name"] == "m" else row for row in calls]
    assert between(clocks_from(rows), "a", "b") == (-43 * US, -37 * US)


def test_many_clocks_in_a_row_are_compared_only_so_far() -> None:
    names = [f"h{number:03}" for number in range(300)]
    calls = [Call(one, other, 0, 1, 5, 1) for one, other in itertools.pairwise(names)]
    clocks = clocks_from(rows_of(calls, dict.fromkeys(names, 0)))
    assert between(clocks, "h000", "h008") == (-8 * US, 8 * US)
    assert between(clocks, "h000", "h009") is None


def test_without_spans_there_are_no_clocks() -> None:
    assert not clocks_from([]).several
