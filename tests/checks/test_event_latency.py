"""`latency` from and to span events: which of several counts, and what is missing where there is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleruns import EPOCH, HEAD, MS, Row, call, flow_of, judged, measured, only, span, values, without
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.rulefiles.loader import load

FIRST_TOKEN = "latency: {from: {event: sent}, to: {event: token}, in: score}"


def with_events(rows: list[Row], number: int, *events: tuple[str, float]) -> list[Row]:
    """Put events, each a name and milliseconds, on a span."""
    written = [{"name": name, "time": EPOCH + round(at * MS)} for name, at in events]
    return [{**row, "events": written} if row["id"] == number else row for row in rows]


def test_from_one_event_to_another_in_exact_nanoseconds() -> None:
    rows = with_events(call("a"), 2, ("sent", 31), ("token", 42.000001))
    found = measured(rows, FIRST_TOKEN)
    assert found.values.tolist() == [11_000_001]
    assert (found.population, found.row.tolist()) == ("requests", [1])


def test_of_several_the_first_counts_and_then_the_first_that_is_not_before_it() -> None:
    rows = with_events(call("a"), 2, ("token", 30), ("sent", 40), ("token", 47), ("sent", 33), ("token", 35))
    assert values(measured(rows, FIRST_TOKEN)) == [2]
    same = with_events(call("a"), 2, ("token", 33), ("sent", 33))
    assert values(measured(same, FIRST_TOKEN)) == [0]


def test_an_event_may_stand_on_any_span_below_the_stage_and_nowhere_else() -> None:
    rows = [*call("a"), span("a", 8, "model", 35, 60, parent=2), span("a", 9, "gpu", 40, 50, parent=8)]
    rows = with_events(with_events(rows, 9, ("token", 45)), 8, ("sent", 36))
    assert values(measured(rows, FIRST_TOKEN)) == [9]
    outside = with_events(with_events(call("a"), 1, ("token", 45)), 2, ("sent", 36))
    assert measured(outside, FIRST_TOKEN).missing_note == "have no event token in score"


def test_each_request_has_its_own_events() -> None:
    rows = [
        *with_events(call(f"{1:032x}"), 2, ("sent", 31), ("token", 41)),
        *with_events(call(f"{2:032x}", 1000), 2, ("sent", 1031), ("token", 1036)),
        *with_events(call(f"{3:032x}", 2000), 2, ("sent", 2031)),
    ]
    found = measured(rows, FIRST_TOKEN, expected=4)
    assert values(found) == [10, 5]
    assert found.missing_note == "have no value: 1 never arrived, 1 have no event token in score"


@pytest.mark.parametrize(
    ("events", "said", "impossible"),
    [
        ([], "have no event sent in score", False),
        ([("sent", 31)], "have no event token in score", False),
        ([("token", 31)], "have no event sent in score", False),
        ([("sent", 41), ("token", 31)], "have event token in score only before event sent", True),
        ([("sent ", 31), ("token", 41)], "have no event sent in score", False),
    ],
)
def test_what_is_not_there_is_missing_and_never_a_pass(
    events: list[tuple[str, float]], said: str, impossible: bool
) -> None:
    rows = [*with_events(call("a"), 2, *events), *with_events(call("b", 1000), 2, ("sent", 1031), ("token", 1032))]
    found = measured(rows, FIRST_TOKEN)
    assert found.missing_note == said
    assert bool(found.missing.impossible()) is impossible
    assert only(rows, f"- {{id: r, {FIRST_TOKEN}, expect: {{max: '< 1h'}}}}").outcome == "inconclusive"
    assert only(rows[:3], f"- {{id: r, {FIRST_TOKEN}, expect: {{max: '< 1h'}}}}").outcome != "passed"


@pytest.mark.parametrize("time", [0, 2**63, 2**64 - 1])
def test_an_event_at_a_time_that_no_clock_shows_is_none(time: int) -> None:
    rows = with_events(call("a"), 2, ("sent", 31))
    rows[1]["events"].append({"name": "token", "time": min(time, 2**63 - 1)})
    assert measured(rows, FIRST_TOKEN).missing_note == "have no event token in score"


def test_a_request_without_the_stage_is_missing_unless_it_is_optional() -> None:
    rows = [*with_events(call("a"), 2, ("sent", 31), ("token", 41)), *without(call("b", 1000), "score")]
    assert measured(rows, FIRST_TOKEN).missing_note == "have no stage score"
    head = HEAD.replace("{stage: score, select: {name: score}}", '{stage: score, select: {name: score}, count: ">= 0"}')
    assert len(measured(rows, FIRST_TOKEN, head=head).missing) == 0


def test_a_stage_and_an_event_may_be_the_two_ends() -> None:
    rows = with_events(call("a"), 2, ("token", 25), ("token", 42), ("done", 60))
    assert values(measured(rows, "latency: {from: score.start, to: {event: token}, in: score}")) == [12]
    assert values(measured(rows, "latency: {from: {event: done}, to: notify.start, in: score}")) == [60]
    assert values(measured(rows, "latency: {from: ingest.start, to: {event: done}, in: score}")) == [60]


def test_an_event_after_the_stage_that_it_should_come_before_is_suspect() -> None:
    rows = with_events(call("a"), 2, ("done", 130))
    found = measured(rows, "latency: {from: {event: done}, to: notify.start, in: score}")
    assert values(found) == [-10]
    assert "reached notify.start before event done" in found.problem


def test_the_request_that_took_longest_is_shown() -> None:
    rows = [
        row
        for n in range(3)
        for row in with_events(
            call(f"{n + 1:032x}", 1000 * n), 2, ("sent", 1000 * n + 31), ("token", 1000 * n + 32 + n)
        )
    ]
    result = only(rows, f"- {{id: r, {FIRST_TOKEN}, expect: {{max: '< 2ms'}}}}")
    assert (result.outcome, result.exhibits[0].key, result.exhibits[0].value) == ("failed", "r-3", "3ms")


def test_events_across_a_link_are_below_the_stage() -> None:
    """As structure in selectors holds across the traces of a request."""
    rows = [*with_events(call("a"), 2, ("sent", 31)), span("m", 1, "worker", 80, 99, links=[{"trace": "a", "id": 2}])]
    rows[-1]["events"] = [{"name": "token", "time": EPOCH + 90 * MS}]
    assert values(measured(rows, FIRST_TOKEN)) == [59]


EVENTS = st.lists(st.tuples(st.sampled_from(["sent", "token", "other"]), st.integers(0, 40)), max_size=8)


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_the_duration_is_that_of_the_naive_search(requests: list[list[tuple[str, int]]]) -> None:
    rows, expected = [], []
    for n, events in enumerate(requests):
        start = 1000 * n
        rows += with_events(call(f"{n + 1:032x}", start), 2, *((name, start + 30 + at) for name, at in events))
        sent = min((at for name, at in events if name == "sent"), default=None)
        after = [at for name, at in events if name == "token" and sent is not None and at >= sent]
        if sent is not None and after:
            expected.append(min(after) - sent)
    assert values(measured(rows, FIRST_TOKEN)) == expected


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("{from: {event: a}, to: {event: b}}", ["a latency needs the key `in`"]),
        ("{from: {event: a}, to: {event: b}, in: nowhere}", ["there is no stage `nowhere`"]),
        ("{from: {event: a}, in: score}", ["a latency needs the key `to`"]),
        ("{from: {evnt: a}, to: {event: b}, in: score}", ["a moment of an event needs the key `event`", "a moment of an event has no key `evnt`"]),
        ("{from: {event: ''}, to: {event: b}, in: score}", ["event is empty"]),
        ("{from: {event: [a]}, to: {event: b}, in: score}", ["event has to be a text, not a list"]),
        ("{from: {event: a}, to: score, in: score}", ["this is no moment of a request"]),
        ("{from: score.start, to: score.end, in: score}", ["'in' does not go with 'from'"]),
        ("{from: {event: a}, to: {event: b}, in: score, unit: ms}", ["'unit' does not go with 'from'"]),
    ],
)  # fmt: skip
def test_mistakes_are_told(measure: str, said: list[str]) -> None:
    problems = Problems()
    assert (
        load(f"{HEAD}rules:\n  - {{id: r, latency: {measure}, expect: {{max: '< 1s'}}}}\n", "r.yaml", problems) is None
    )
    assert [found.message for found in problems.sorted()] == said


def test_groups_and_populations_work_as_for_any_latency() -> None:
    rows: list[Any] = [
        *with_events(call(f"{1:032x}", score={"model": "a"}), 2, ("sent", 31), ("token", 41)),
        *with_events(call(f"{2:032x}", 1000, score={"model": "b"}), 2, ("sent", 1031), ("token", 1036)),
    ]
    found = judged(rows, flow_of(f"- {{id: r, per: span.model, {FIRST_TOKEN}, expect: {{max: '< 6ms'}}}}"))
    assert {name: str(result.outcome) for name, result in found.items()} == {"r[a]": "failed", "r[b]": "passed"}
