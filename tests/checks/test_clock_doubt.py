"""Times across hosts: whatever their clocks, the true value lies within bounds, which only the calls make narrower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleruns import EPOCH, HEAD, MS, Row, judged, measured, only
from ruleruns import flow_of as read_flow
from slow_clocks import Call, rows_of, span
from spanverdict.checks.bounds import NO_HIGH, NO_LOW
from spanverdict.checks.check import Measurement

TRUSTED = HEAD + "clock: trusted\n"
HOSTS = ("a", "b", "c")
LATENCIES = (
    "latency: request",
    "latency: {from: ingest.end, to: notify.start}",
    "latency: {from: score.start, to: notify.start}",
    "latency: {from: score.end, to: notify.end}",
    "latency: {stage: score}",
    "latency: {stage: score, of: busy}",
    "latency: {stage: ingest, of: self}",
    "latency: {stage: score, of: sum}",
    "latency: {stage: score, of: each}",
)
OFFSETS = st.fixed_dictionaries(dict.fromkeys(HOSTS, st.integers(-500, 500)))
WORK = st.tuples(st.sampled_from(HOSTS), st.integers(0, 100), st.integers(1, 60))


@st.composite
def runs_of_hosts(draw: st.DrawFn) -> tuple[list[Call], list[tuple[str, str, list[Any]]]]:
    """Calls between hosts, and requests as (name of the stage, host, times) in true time."""
    delay = st.integers(0, 30)
    hosts = st.sampled_from(HOSTS)
    calls = draw(st.lists(st.builds(Call, hosts, hosts, st.just(0), delay, delay, delay), max_size=4))
    requests = []
    for number in range(draw(st.integers(1, 3))):
        for stage, most in (("in", 1), ("score", 3), ("notify", 2)):
            requests += [
                (f"r{number}", stage, draw(st.lists(WORK, min_size=1, max_size=most))),
            ]
    return calls, requests


def spans_of(made: tuple[list[Call], list[tuple[str, str, list[Any]]]], offsets: dict[str, int]) -> list[Row]:
    calls, requests = made
    rows = rows_of(calls, offsets)
    for trace, stage, works in requests:
        for place, (host, start, took) in enumerate(works):
            number = {"in": 1, "score": 10, "notify": 20}[stage] + place
            above = {} if stage == "in" else {"parent": 1}
            rows.append({**span(trace, number, host, (start, start + took), offsets), "name": stage, **above})
    return rows


def ends(found: Measurement) -> tuple[list[Any], list[Any]]:
    bounds = found.bounds
    assert not hasattr(found.values, "codes")
    low, high = (found.values, found.values) if bounds is None else (bounds.low, bounds.high)
    return np.sort(np.asarray(low)).tolist(), np.sort(np.asarray(high)).tolist()


@settings(max_examples=200)
@given(runs_of_hosts(), OFFSETS, st.sampled_from(LATENCIES))
def test_the_true_time_lies_within_bounds(made: Any, offsets: dict[str, int], latency: str) -> None:
    """Whatever the clocks of three hosts show, of which only some call each other."""
    true = measured(spans_of(made, dict.fromkeys(HOSTS, 0)), latency, head=TRUSTED)
    low, high = ends(measured(spans_of(made, offsets), latency))
    assert all(least <= value <= most for least, value, most in zip(low, ends(true)[0], high, strict=True))


@settings(max_examples=150)
@given(runs_of_hosts(), OFFSETS, st.integers(-500, 500), st.sampled_from(LATENCIES))
def test_setting_a_clock_anew_changes_no_bounds(made: Any, offsets: dict[str, int], shift: int, latency: str) -> None:
    """Proves that what is judged is invariant under a shift of all times of one host, but where nothing compares it."""
    before = ends(measured(spans_of(made, offsets), latency))
    after = ends(measured(spans_of(made, {**offsets, "c": offsets["c"] + shift}), latency))
    assert before == after


@settings(max_examples=50)
@given(runs_of_hosts(), OFFSETS, st.sampled_from(LATENCIES), st.randoms())
def test_bounds_do_not_depend_on_the_order_of_spans(
    made: Any, offsets: dict[str, int], latency: str, chance: Any
) -> None:
    rows = spans_of(made, offsets)
    before = ends(measured(rows, latency))
    chance.shuffle(rows)
    assert ends(measured(rows, latency)) == before


@settings(max_examples=150)
@given(runs_of_hosts(), OFFSETS, st.sampled_from(LATENCIES))
def test_trusted_clocks_are_taken_at_their_word(made: Any, offsets: dict[str, int], latency: str) -> None:
    rows = spans_of(made, offsets)
    found = measured(rows, latency, head=TRUSTED)
    nameless = [{**row, "resource": {}} for row in rows]
    assert found.bounds is None
    assert found.values.tolist() == measured(nameless, latency).values.tolist()  # type: ignore[union-attr] # durations


@settings(max_examples=150)
@given(runs_of_hosts(), OFFSETS)
def test_an_order_is_only_said_to_hold_or_not_where_it_does(made: Any, offsets: dict[str, int]) -> None:
    rule = "order: [ingest, score, notify]"
    true = measured(spans_of(made, dict.fromkeys(HOSTS, 0)), rule, head=TRUSTED)
    truth = dict(zip(true.request.tolist(), true.values.tolist(), strict=True))  # type: ignore[union-attr] # truths
    found = measured(spans_of(made, offsets), rule)
    said = dict(zip(found.request.tolist(), found.values.tolist(), strict=True))  # type: ignore[union-attr] # truths
    assert said.items() <= truth.items()
    assert set(said) | set(found.missing.request.tolist()) == set(truth)


# one request over two hosts, in ms: the gateway's clock is right, the ledger's is off


def request(trace: str = "r", *, off: float = 0, there: float = 5, calls: bool = True) -> list[Row]:
    """In 100 ms at the gateway; the ledger is notified 20 ms after that and takes 30.

    A call of 30 ms between the hosts takes 5 ms each way, so they can be told apart to within that.
    """
    gateway, ledger = {"host.name": "gateway-1"}, {"host.name": "ledger-2"}

    def at(number: int, name: str, resource: Row, times: tuple[float, float], **more: Any) -> Row:
        shift = off if resource is ledger else 0
        start, end = (EPOCH + round((time + shift) * MS) + 7 for time in times)
        return {"trace": trace, "id": number, "name": name, "resource": resource, "start": start, "end": end, **more}

    compare = [
        at(4, "call", gateway, (40, 70), kind="client", parent=1),
        at(5, "called", ledger, (40 + there, 70 - there), kind="server", parent=4),
    ]
    return [
        at(1, "in", gateway, (0, 100)),
        at(2, "score", gateway, (30, 70), parent=1),
        at(3, "notify", ledger, (120, 150), parent=1),
        *(compare if calls else []),
    ]


@pytest.mark.parametrize("off", [0, 3, -3, 5000, -86_400_000])
@pytest.mark.parametrize(
    ("expect", "outcome"),
    [
        ("p95: '< 156ms'", "passed"),
        ("p95: '< 155ms'", "inconclusive"),
        ("p95: '> 150ms'", "inconclusive"),
        ("p95: '< 145ms'", "failed"),
        ("p95: '140ms..160ms'", "passed"),
        ("mean: '<= 155ms', min: '>= 145ms'", "passed"),
        ("every: '< 150ms'", "inconclusive"),
        ("none: '> 155ms'", "passed"),
        ("p95: '== 150ms'", "inconclusive"),
        ("p95: '!= 100ms'", "passed"),
    ],
)
def test_outcomes_do_not_depend_on_how_far_a_clock_is_off(off: float, expect: str, outcome: str) -> None:
    result = only(request(off=off), f"- {{id: r, latency: request, expect: {{{expect}}}}}")
    assert str(result.outcome) == outcome, result.message


def test_the_message_names_the_interval_and_the_clocks() -> None:
    result = only(request(), "- {id: r, latency: request, expect: {p95: '< 152ms'}}")
    assert result.message == (
        "p95 = 150ms, expected < 152ms (n = 1 requests, between 145ms and 155ms: "
        "the clocks of gateway-1 and ledger-2 differ by -5ms to 5ms)"
    )
    (condition,) = result.conditions
    assert (condition.observed_low, condition.observed_high) == (145 * MS, 155 * MS)
    (exhibit,) = result.exhibits
    assert exhibit.value == "150ms (between 145ms and 155ms)"


def test_what_was_sent_is_named_where_it_cannot_be() -> None:
    result = only(request(off=5000), "- {id: r, latency: request, expect: {p95: '< 100ms'}}")
    assert result.message == (
        "p95 = 155ms, expected < 100ms (n = 1 requests, between 145ms and 155ms: "
        "the clock of ledger-2 is 5s ± 5ms ahead of gateway-1's; 5.15s as sent)"
    )
    (exhibit,) = result.exhibits
    assert exhibit.value == "155ms (between 145ms and 155ms, 5.15s as sent)"
    assert sum(share.duration_ns for share in exhibit.stages) == 155 * MS


def test_a_queue_that_seems_to_run_backwards_is_measured_all_the_same() -> None:
    """Proves that a clock that is known to be off is no impossible value."""
    rule = "- {id: r, latency: {from: ingest.end, to: notify.start}, expect: {p95: '< 50ms', min: '> 0s'}}"
    assert str(only(request(off=-1000), rule).outcome) == "passed"
    result = judged(request(off=-1000), read_flow(rule.replace(", min: '> 0s'", ""), TRUSTED))["r"]
    assert str(result.outcome) == "inconclusive"
    assert "reached notify.start before ingest.end" in result.message


def test_hosts_that_were_never_compared_bound_nothing() -> None:
    result = only(request(calls=False), "- {id: r, latency: request, expect: {p95: '< 1h'}}")
    assert result.message == (
        "p95 = 150ms, expected < 1h (n = 1 requests, the clocks of gateway-1 and ledger-2 were never compared, as no "
        "calls lead from one to the other (`clock` in the flow can bound them))"
    )
    assert str(result.outcome) == "inconclusive"


@pytest.mark.parametrize(
    ("clock", "calls", "low", "high"),
    [
        ("{within: 20ms}", False, 130, 170),
        ("{within: 1ms}", True, 149, 151),
        ("{within: 20ms}", True, 145, 155),
        ("trusted", False, 150, 150),
        ("measured", True, 145, 155),
    ],
)
def test_the_flow_can_say_how_far_clocks_differ(clock: str, calls: bool, low: int, high: int) -> None:
    flow = read_flow("- {id: r, latency: request, expect: {p95: '< 1h'}}", f"{HEAD}clock: {clock}\n")
    (condition,) = judged(request(calls=calls), flow)["r"].conditions
    assert (condition.observed_low, condition.observed_high) == (low * MS, high * MS)


def test_calls_that_show_more_than_was_declared_count() -> None:
    flow = read_flow("- {id: r, latency: request, expect: {p95: '< 1h'}}", HEAD + "clock: {within: 1ms}\n")
    (condition,) = judged(request(off=5000), flow)["r"].conditions
    assert (condition.observed_low, condition.observed_high) == (145 * MS, 155 * MS)


def test_percentiles_of_many_requests_take_the_lows_and_the_highs() -> None:
    """Half of the requests begin and end at the gateway, and only the others are in doubt."""
    here = [{**row, "resource": {"host.name": "gateway-1"}} for n in range(10) for row in request(f"h{n}")]
    there = [row for n in range(10) for row in request(f"t{n}")]
    conditions = only([*here, *there], "- {id: r, latency: request, expect: {p50: '< 1h', p95: '< 1h'}}").conditions
    found = [(condition.observed_low, condition.observed_high) for condition in conditions]
    assert found == [(145 * MS, 150 * MS), (150 * MS, 155 * MS)]


def test_requests_whose_order_the_clocks_leave_open_are_missing() -> None:
    late = [row for n in range(3) for row in request(f"ok{n}")]
    close = [{**row, "start": EPOCH + 32 * MS + 7} if row["name"] == "notify" else row for row in request("close")]
    result = only([*late, *close], "- {id: r, order: all, expect: {ratio: '>= 80%'}}")
    assert str(result.outcome) == "inconclusive"
    assert "1 of 4 requests started two stages of the order so close" in result.message
    assert str(only([*late, *close], "- {id: r, order: all, expect: {ratio: '>= 75%'}}").outcome) == "passed"


def test_a_rate_is_in_doubt_as_far_as_the_run_is() -> None:
    """Five spans in 150 ms, which may be 145 or 155."""
    rule = "- {id: r, throughput: '{ }', expect: {rate: 'CONDITION'}}"
    for condition, outcome in (("> 32", "passed"), ("> 33", "inconclusive"), ("> 35", "failed")):
        assert str(only(request(), rule.replace("CONDITION", condition)).outcome) == outcome
    assert str(only(request(calls=False), rule.replace("CONDITION", "> 1")).outcome) == "inconclusive"


@pytest.mark.parametrize("off", [0, 5000, -5000])
def test_the_critical_path_is_followed_at_both_ends(off: float) -> None:
    """The ledger takes 30 ms of 150 ± 5, the queue 20 ± 5."""
    rule = "- {id: r, latency: {critical_path: NAME}, expect: {p50: 'CONDITION'}}"
    for name, condition, outcome in (
        ("queue", "10%..17%", "passed"),
        ("queue", "< 14%", "inconclusive"),
        ("queue", "> 20%", "failed"),
        ("notify", "19%..21%", "passed"),
    ):
        result = only(request(off=off), rule.replace("NAME", name).replace("CONDITION", condition))
        assert str(result.outcome) == outcome, result.message


def test_the_critical_path_over_clocks_never_compared_is_anybodys_guess() -> None:
    rule = "- {id: r, latency: {critical_path: queue}, expect: {p50: '<= 99%'}}"
    result = only(request(calls=False), rule)
    assert str(result.outcome) == "inconclusive"
    assert "between 0 % and 100 %: the clocks of gateway-1 and ledger-2 were never compared" in result.message


def test_a_synchronous_child_covers_its_parent_wherever_its_clock_stands() -> None:
    """Proves that self time is exact where a call is: the callee took 20 of its caller's 30 ms."""
    head = HEAD.replace("{name: score}", "{name: call}")
    for off in (0, 5000, -5000):
        found = measured(request(off=off), "latency: {stage: score, of: self}", head=head)
        assert found.values.tolist() == [10 * MS]  # type: ignore[union-attr] # durations


def test_open_ends_stand_for_what_nothing_bounds() -> None:
    found = measured(request(calls=False), "latency: request")
    assert found.bounds is not None
    assert (found.bounds.low.tolist(), found.bounds.high.tolist()) == ([NO_LOW], [NO_HIGH])
    assert found.values.tolist() == [150 * MS]  # type: ignore[union-attr] # durations


def test_a_stage_over_several_hosts_is_bounded_by_all_of_them() -> None:
    """The first start may be that of either host, and so may the last end."""
    rows = request()
    both = [*rows, {**rows[2], "id": 9, "name": "score", "start": EPOCH + 32 * MS + 7, "end": EPOCH + 68 * MS + 7}]
    found = measured(both, "latency: {stage: score}")
    assert found.bounds is not None
    assert (found.bounds.low.tolist(), found.bounds.high.tolist()) == ([40 * MS], [43 * MS])


def test_an_age_is_in_doubt_by_the_skew_of_who_made_the_features() -> None:
    rows = request()
    rows[1]["attributes"] = {"made": rows[1]["start"] - 1000 * MS}
    measure = "freshness: {stage: score, updated_at: span.made, unit: ns, skew: 250ms}"
    for condition, outcome in (("<= 1250ms", "passed"), ("<= 1s", "inconclusive"), ("< 750ms", "failed")):
        result = only(rows, f"- {{id: r, {measure}, expect: {{max: '{condition}'}}}}")
        assert str(result.outcome) == outcome
    assert "the clock of who made the features may differ by 250ms (`skew`)" in result.message
    flow = read_flow(f"- {{id: r, {measure}, expect: {{max: '== 1s'}}}}", TRUSTED)
    assert str(judged(rows, flow)["r"].outcome) == "passed"


@pytest.mark.parametrize("off", [0, 5000, -5000])
@pytest.mark.parametrize(
    ("sides", "low", "high"),
    [
        ("from: ingest.start, to: {event: booked}", 125, 135),
        ("from: {event: booked}, to: notify.end", 20, 20),
        ("from: {event: sent}, to: {event: booked}", 33, 43),
        ("from: {event: sent}, to: notify.start", 23, 33),
    ],
)
def test_events_go_by_the_clock_of_their_span(off: float, sides: str, low: float, high: float) -> None:
    """The gateway sends after 92 ms, the ledger books at 130, which its clock leaves open by 5 ms."""
    rows = request(off=off)
    rows[0]["events"] = [{"name": "sent", "time": EPOCH + 92 * MS + 7}]
    rows[2]["events"] = [{"name": "booked", "time": EPOCH + round((130 + off) * MS) + 7}]
    found = measured(rows, f"latency: {{{sides}, in: ingest}}")
    assert ends(found) == ([low * MS], [high * MS])
    assert found.problem == ""


def test_sampled_values_count_as_often_at_both_ends() -> None:
    """Of one request that stands for eight and three whole ones in doubt, the first makes the median."""
    kept = [{**row, "resource": {"host.name": "gateway-1"}} for row in request("k")]
    whole = [row for number in range(3) for row in request(f"w{number}")]
    for rows, threshold in ((kept, "e"), (whole, "0")):
        for row in rows:
            row["trace_state"] = f"ot=th:{threshold};rv:ffffffffffffff"
    result = only([*kept, *whole], "- {id: r, latency: request, expect: {p15: '< 1h', p50: '< 1h', p95: '< 1h'}}")
    found = [(condition.observed_low, condition.observed_high) for condition in result.conditions]
    assert found == [(145 * MS, 150 * MS), (150 * MS, 150 * MS), (150 * MS, 155 * MS)]
    assert "4 kept stand for 11" in result.message
