"""`count`: matching spans of the run, or of each request."""

from __future__ import annotations

from ruleruns import call, measured, only, span, values

ERRORS = "count: '{ span:status = error }'"
TRIES = "count: {of: '{ span:name = \"score\" }', per: request}"


def test_of_the_run_every_span_is_true_or_false() -> None:
    rows = [*call("a"), span("z", 1, "stray", 0, 1, status="error")]
    assert sorted(values(measured(rows, ERRORS))) == [False, False, False, True]


def test_what_belongs_to_no_request_counts_for_the_run() -> None:
    rule = f"- {{id: r, {ERRORS}, expect: {{count: '== 0'}}}}"
    assert only(call("a"), rule).outcome == "passed"
    result = only([*call("a"), span("z", 1, "stray", 0, 1, status="error")], rule)
    assert (result.outcome, result.message) == ("failed", "count = 1, expected == 0 (n = 4 spans)")
    assert result.exhibits[0].value == "stray"


def test_a_span_that_requests_share_counts_once() -> None:
    links = [{"trace": trace, "id": 1} for trace in "ab"]
    rows = [*call("a"), *call("b", 1000), span("m", 1, "batch", 500, 600, status="error", links=links)]
    result = only(rows, f"- {{id: r, {ERRORS}, expect: {{count: '== 1', ratio: '<= 15%'}}}}")
    assert (result.outcome, result.samples) == ("passed", 7)


def test_a_request_gives_the_number_of_its_matches() -> None:
    rows = [*call("a"), *call("b", 1000), span("b", 9, "score", 1040, 1050, parent=1), span("z", 1, "score", 0, 1)]
    assert sorted(values(measured(rows, TRIES))) == [1, 2]
    result = only(rows, f"- {{id: r, {TRIES}, expect: {{max: '<= 1'}}}}")
    assert (result.outcome, result.exhibits[0].key, result.exhibits[0].value) == ("failed", "r-b", "2")


def test_requests_that_never_arrived_might_have_had_any_number() -> None:
    assert only(call("a"), f"- {{id: r, {TRIES}, expect: {{max: '<= 2'}}}}", expected=2).outcome == "inconclusive"
    assert only(call("a"), f"- {{id: r, {TRIES}, expect: {{min: '>= 2'}}}}", expected=2).outcome == "failed"


def test_a_shared_span_counts_in_each_of_its_requests() -> None:
    links = [{"trace": trace, "id": 1} for trace in "ab"]
    rows = [*call("a"), *call("b", 1000), span("m", 1, "score", 500, 600, links=links)]
    assert values(measured(rows, TRIES)) == [2, 2]
