"""`ratio`: what share the matches of one selector are of those of another."""

from __future__ import annotations

from ruleruns import Row, call, flow_of, judged, measured, only, span

HITS = "ratio: {of: '{ span.hit = true }', over: '{ span.hit != nil }'}"


def lookups(*hits: bool) -> list[Row]:
    """One request that looks up as often."""
    return [
        *call("a"),
        *(span("a", 10 + n, "get", 40, 50, parent=1, attributes={"hit": hit}) for n, hit in enumerate(hits)),
    ]


def test_a_share_of_the_spans_that_say_it() -> None:
    result = only(
        lookups(True, True, True, False), f"- {{id: r, {HITS}, expect: {{ratio: '>= 75%', samples: '== 4'}}}}"
    )
    assert (result.outcome, result.conditions[0].observed, result.population) == ("passed", "75 %", "spans")
    assert only(lookups(True, True, False), f"- {{id: r, {HITS}, expect: {{ratio: '>= 75%'}}}}").outcome == "failed"


def test_a_share_just_below_the_limit_shows_its_digits() -> None:
    """Where two digits would look like the limit."""
    result = only(lookups(*[True] * 3, *[False] * 1), f"- {{id: r, {HITS}, expect: {{ratio: '>= 75.001%'}}}}")
    assert (result.outcome, result.conditions[0].observed) == ("failed", "75 %")
    thirds = only(lookups(True, True, False), f"- {{id: r, {HITS}, expect: {{ratio: '>= 66.668%'}}}}")
    assert thirds.conditions[0].observed == "66.66666666666667 %"


def test_a_numerator_beyond_the_whole_counts_too() -> None:
    """Retries a request: more of one than of the other."""
    rows = [*call("a"), *(span("a", 10 + n, "retry", 40, 50, parent=1) for n in range(3))]
    rule = "- {id: r, ratio: {of: '{ span:name = \"retry\" }', over: '{ span:name = \"in\" }'}, expect: {ratio: CONDITION}}"
    result = only(rows, rule.replace("CONDITION", "'<= 100%'"))
    assert (result.outcome, result.conditions[0].observed, result.samples) == ("failed", "300 %", 1)


def test_without_any_of_the_whole_there_is_no_data() -> None:
    found = measured(call("a"), HITS)
    assert (found.samples, len(found.request)) == (0, 0)
    assert only(call("a"), f"- {{id: r, {HITS}, expect: {{ratio: '>= 0%'}}}}").outcome == "failed"
    rows = [*call("a"), span("a", 9, "retry", 40, 50, parent=1)]
    rule = "- {id: r, ratio: {of: '{ span:name = \"retry\" }', over: '{ span:name = \"none\" }'}, expect: {ratio: '<= 100%'}}"
    result = only(rows, rule)
    assert (result.outcome, result.samples) == ("failed", 0)


def test_where_and_per_change_both_sides() -> None:
    rows = [
        *lookups(True, True),
        *call("b", 1000, resource={"zone": "us"}),
        span("b", 20, "get", 1040, 1050, parent=1, attributes={"hit": False}),
    ]
    rule = f"- {{id: r, {HITS}, expect: {{ratio: '>= 50%'}}, MORE}}"
    assert only(rows, rule.replace("MORE", "where: '{ resource.zone = \"us\" }'")).conditions[0].observed == "0 %"
    found = judged(rows, flow_of(rule.replace("MORE", "per: resource.zone")))
    assert {name: str(result.outcome) for name, result in found.items()} == {"r[(none)]": "passed", "r[us]": "failed"}
    retries = "ratio: {of: '{ span:name = \"get\" }', over: '{ span:name = \"in\" }'}"
    beyond = f"- {{id: r, {retries}, expect: {{ratio: '<= 1'}}, per: resource.zone}}"
    observed = {name: result.conditions[0].observed for name, result in judged(rows, flow_of(beyond)).items()}
    assert observed == {"r[(none)]": "200 %", "r[us]": "100 %"}
