"""`throughput`: matches a second, over the time from the first start to the last end of the run."""

from __future__ import annotations

from fractions import Fraction

from ruleruns import MS, call, flow_of, judged, measured, only, span

RATE = "throughput: '{ span:name = \"score\" }'"


def test_matches_a_second_of_active_time() -> None:
    """Ten requests, from the first start at 0 to the last end at 9,150 ms."""
    rows = [row for n in range(10) for row in call(f"t{n}", 1000 * n)]
    found = measured(rows, RATE)
    assert found.active_ns == 9150 * MS
    result = only(rows, f"- {{id: r, {RATE}, expect: {{rate: '> 1.09', samples: '== 10'}}}}")
    assert (result.outcome, result.conditions[0].observed) == ("passed", "1.092896175")
    assert result.conditions[0].observed_value == float(Fraction(10_000, 9150))


def test_spans_of_no_request_count_for_the_time_and_the_matches() -> None:
    rows = [*call("a"), span("z", 1, "score", 1900, 2000)]
    assert only(rows, f"- {{id: r, {RATE}, expect: {{rate: '== 1'}}}}").outcome == "passed"


def test_groups_share_the_time_of_the_run() -> None:
    rows = [
        *call("a", resource={"zone": "eu"}),
        *call("b", 850, resource={"zone": "us"}),
        span("b", 9, "score", 900, 950, parent=1),
    ]
    found = judged(rows, flow_of(f"- {{id: r, {RATE}, per: resource.zone, expect: {{rate: '>= 2'}}}}"))
    assert {name: (str(r.outcome), r.conditions[0].observed) for name, r in found.items()} == {
        "r[eu]": ("failed", "1"), "r[us]": ("passed", "2"),
    }  # fmt: skip


def test_without_matches_there_is_no_data() -> None:
    assert only([span("a", 1, "in", 0, 1)], f"- {{id: r, {RATE}, expect: {{rate: '>= 0'}}}}").outcome == "failed"


def test_a_run_without_time_has_no_rate() -> None:
    """One instant, and spans that never ended."""
    instant = span("a", 1, "score", 0, 0)
    result = only([instant], f"- {{id: r, {RATE}, expect: {{rate: '>= 0'}}}}")
    assert (result.outcome, result.conditions[0].observed) == ("inconclusive", "nothing")
    open_end = {**instant, "end": 0}
    assert only([open_end], f"- {{id: r, {RATE}, expect: {{rate: '>= 0'}}}}").outcome == "inconclusive"
