"""`coverage`: stages, attributes, services and parents that every request should have, and requests that never came."""

from __future__ import annotations

from ruleruns import HEAD, Row, call, flow_of, judged, measured, only, span, values, view, without

RULE = "- {id: r, coverage: {stages: all}, expect: {ratio: '>= 99%'}}"


def explained(rows: list[Row], measure: str, **more: int) -> list[str]:
    """Say for every request what it lacks."""
    found = measured(rows, measure, **more)
    assert found.explain is not None
    return [found.explain(number) for number in range(len(values(found)))]


def test_a_request_with_all_its_mandatory_stages_is_covered() -> None:
    rows = [*call("a"), *without(call("b", 1000), "notify"), *without(call("c", 2000), "score")]
    assert sorted(values(measured(rows, "coverage: {stages: all}"))) == [False, False, True]
    assert sorted(explained(rows, "coverage: {stages: all}")) == ["", "missing: notify", "missing: score"]
    assert sorted(values(measured(rows, "coverage: {stages: [ingest, score]}"))) == [False, True, True]
    assert only(call("a"), RULE).outcome == "passed"


def test_a_failure_says_what_is_missing_in_how_many_requests() -> None:
    result = only([*call("a"), *without(call("b", 1000), "notify"), *call("c", 2000)[:1]], RULE)
    assert result.outcome == "failed"
    assert result.message == (
        "ratio = 33.33 %, expected >= 99% (n = 3 requests): missing: score in 1; missing: notify in 2"
    )
    assert {exhibit.key: exhibit.value for exhibit in result.exhibits} == {
        "r-b": "missing: notify", "r-c": "missing: score, missing: notify",
    }  # fmt: skip


def test_requests_that_never_arrived_are_not_covered() -> None:
    result = only([*call("a"), *call("b", 1000)], RULE, expected=4)
    assert (result.outcome, result.samples) == ("failed", 4)
    assert "2 of 4 never arrived" in result.message
    assert [exhibit.value for exhibit in result.exhibits] == ["never arrived", "never arrived"]
    assert only([*call("a"), *call("b", 1000)], RULE, expected=2).outcome == "passed"
    assert only(call("a"), RULE, expected=0).outcome == "passed"


def test_a_stage_that_never_ended_is_not_there() -> None:
    rows = call("a")
    rows[2] = {**rows[2], "end": 0}
    assert explained(rows, "coverage: {stages: all}") == ["missing: notify"]


def test_too_few_and_too_many_spans_of_a_stage_are_told() -> None:
    head = HEAD.replace("select: {name: score}", 'select: {name: score}, count: "2..3"')
    for more, expected in ((0, "too few: score"), (1, ""), (2, ""), (3, "too many: score")):
        rows = [*call("a"), *(span("a", 10 + n, "score", 40, 50, parent=1) for n in range(more))]
        found = measured(rows, "coverage: {stages: all}", head=head)
        assert found.explain is not None
        assert found.explain(0) == expected


def test_attributes_have_to_stand_on_every_span_of_the_stages() -> None:
    rows = [*call("a", score={"version": 1}), span("a", 9, "score", 40, 50, parent=1)]
    measure = "coverage: {stages: [score], attributes: [span.version]}"
    assert explained(rows, measure) == ["missing: span.version at score"]
    rows[-1]["attributes"] = {"version": 2}
    assert explained(rows, measure) == [""]


def test_services_have_to_take_part() -> None:
    rows = [*call("a", resource={"service.name": "gateway"}), *call("b", 1000, resource={"service.name": "other"})]
    assert explained(rows[:3], "coverage: {services: [gateway]}") == [""]
    assert explained(rows[3:], "coverage: {services: [gateway, ledger]}") == [
        "missing: service gateway, missing: service ledger"
    ]


def test_a_lost_parent_leaves_an_orphan() -> None:
    rows = [*call("a"), span("a", 9, "x", 40, 50, parent=77)]
    assert explained(rows, "coverage: {no_orphans: true}") == ["a parent span is missing"]
    assert explained(call("a"), "coverage: {no_orphans: true}") == [""]


def test_a_parent_in_another_request_is_not_lost() -> None:
    """A batch consumer below a poll that belongs to no request: its parent did come."""
    rows = [
        *without(call("a"), "notify"),
        span("poll", 20, "poll", 100, 200),
        span("poll", 21, "notify", 120, 150, parent=20, links=[{"trace": "a", "id": 1}]),
    ]
    assert explained(rows, "coverage: {stages: all, no_orphans: true}") == [""]


def test_what_was_cut_before_it_was_sent_is_told_once_a_span() -> None:
    rows = [*call("a"), *call("b", 1000), *without(call("c", 2000), "score")]
    batch = span("m", 1, "x", 500, 600, dropped_links=3, links=[{"trace": "a", "id": 1}, {"trace": "b", "id": 1}])
    stray = span("n", 1, "x", 500, 600, dropped_attributes=1)
    result = only([*rows, batch, stray], RULE)
    assert result.message.endswith("missing: score in 1; 1 spans lost links before they were sent")


def test_each_group_says_what_its_own_requests_lack() -> None:
    rows = [
        *call("a", resource={"zone": "eu"}),
        *without(call("b", 1000, resource={"zone": "us"}), "notify"),
        *without(call("c", 2000, resource={"zone": "us"}), "score"),
    ]
    found = judged(rows, flow_of(RULE.replace("id: r", "id: r, per: resource.zone")))
    assert found["r[eu]"].outcome == "passed"
    assert found["r[us]"].message.endswith("(n = 2 requests): missing: score in 1; missing: notify in 1")
    assert {exhibit.key for exhibit in found["r[us]"].exhibits} == {"r-b", "r-c"}


def test_without_requests_there_is_nothing_to_cover() -> None:
    assert values(measured([span("a", 1, "other", 0, 1)], "coverage: {stages: all}")) == []
    assert view([span("a", 1, "other", 0, 1)], flow_of(RULE)).n_requests == 0
