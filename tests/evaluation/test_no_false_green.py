"""Ways in which other tools have passed what they should not have. Each is tried here, and none may be green."""

from __future__ import annotations

import pytest

from goldenruns import flow_with, lines
from ruleruns import EPOCH, HEAD, MS, Row, call, events, flow_of, run_outcome, scores, span, without
from spanverdict.checks import matches
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.rulefiles.loader import load

GREEN = {Outcome.PASSED, Outcome.SKIPPED}


def refused(rules: str) -> list[str]:
    """Return what is said of a rule file that must not load."""
    problems = Problems()
    assert load(f"{HEAD}rules:\n{rules}\n", "rules.yaml", problems) is None
    return [problem.message for problem in problems.sorted()]


def is_green(rows: list[Row], rule: str, **more: object) -> bool:
    found = events(rows, flow_of(rule), **more)
    return run_outcome(found) in GREEN


LATENCY = "- {id: r, latency: {stage: STAGE}, expect: {p95: '< 1s'}}"
SCORE = "- {id: r, output: {stage: score, value: span.score}, expect: {EXPECT}}"


# 1: no matching span


@pytest.mark.parametrize(
    "rule",
    [
        LATENCY.replace("STAGE", "extra"),
        "- {id: r, latency: {stage: extra, of: each}, expect: {max: '< 1s'}}",
        "- {id: r, latency: {attribute: span.took, unit: ms, in: score}, expect: {max: '< 1s'}}",
        "- {id: r, freshness: {stage: score, age: span.age, unit: s}, expect: {max: '< 1h'}}",
        SCORE.replace("EXPECT", "every: '0..1'"),
        SCORE.replace("EXPECT", "none: '> 1'"),
        "- {id: r, attribute: {stage: score, value: span.tokens}, expect: {max: '< 9'}}",
        "- {id: r, ratio: {of: '{ span.hit = true }', over: '{ span.hit != nil }'}, expect: {ratio: '>= 0%'}}",
        "- {id: r, throughput: '{ span:name = \"nothing\" }', expect: {rate: '>= 0'}}",
        "- {id: r, where: '{ span:name = \"nothing\" }', latency: request, expect: {max: '< 1s'}}",
        "- {id: r, per: span.zone, latency: {stage: extra}, expect: {max: '< 1s'}}",
    ],
)
def test_no_matching_span_is_not_a_pass(rule: str) -> None:
    assert not is_green(call("a"), rule)


@pytest.mark.parametrize(
    "rule",
    [
        LATENCY.replace("STAGE", "ingest"),
        "- {id: r, coverage: {stages: all}, expect: {ratio: '>= 99%'}}",
        "- {id: r, order: all, expect: {none: '== false'}}",
        "- {id: r, count: {of: '{ }', per: request}, expect: {max: '<= 9'}}",
    ],
)
def test_spans_of_which_none_begins_a_request_are_not_a_pass(rule: str) -> None:
    """The first stage was renamed by a deploy."""
    renamed = [{**row, "name": "POST /v2/in"} if row["name"] == "in" else row for row in call("a")]
    assert not is_green(renamed, rule)


def test_a_stage_that_a_deploy_renamed_is_missed() -> None:
    renamed = [{**row, "name": "predict-v2"} if row["name"] == "score" else row for row in call("a")]
    assert not is_green(renamed, LATENCY.replace("STAGE", "score"))
    assert not is_green(renamed, "- {id: r, coverage: {stages: all}, expect: {ratio: '>= 99%'}}")
    assert not is_green(renamed, "- {id: r, order: all, expect: {every: '== true'}}")


# 2: one that holds where all were meant


def test_all_values_have_to_hold_and_not_one_of_them() -> None:
    rows = scores([0.5, 0.5, 7])
    assert not is_green(rows, SCORE.replace("EXPECT", "every: '0..1'"))
    assert not is_green(rows, SCORE.replace("EXPECT", "none: '> 1'"))


def test_the_values_of_an_array_all_have_to_hold() -> None:
    assert not is_green(scores([[0.5, 7]]), SCORE.replace("EXPECT", "every: '0..1'"))


def test_a_value_that_is_not_there_does_not_hold() -> None:
    rows = [*scores([0.5]), *call("z", 5000)]
    for expect in ("every: '0..1'", "none: '> 1'", "max: '<= 1'"):
        assert not is_green(rows, SCORE.replace("EXPECT", expect))


# 3: a selector that cannot be read


def test_a_selector_that_cannot_be_read_selects_nothing_at_all() -> None:
    for selector in ("{ span:name = }", "{ span:nme = 1 }", "", '{ span:name == "x" }'):
        said = refused(f"  - {{id: r, count: '{selector}', expect: {{count: '== 0'}}}}")
        assert said


# 4: rounding


def test_no_rounding_brings_a_duration_under_its_limit() -> None:
    """Half a nanosecond over on average, one over at most."""
    rows = [row for n in range(2) for row in call(f"{n + 1:032x}", 1000 * n)]
    rows[0] = {**rows[0], "end": rows[0]["end"] + 1}
    for expect in ("max: '<= 100ms'", "p51: '<= 100ms'", "mean: '<= 100ms'", "every: '<= 100ms'"):
        assert not is_green(rows, f"- {{id: r, latency: {{stage: ingest}}, expect: {{{expect}}}}}")


def test_no_rounding_brings_a_share_to_its_limit() -> None:
    rows = [row for n in range(200) for row in call(f"{n + 1:032x}", 1000 * n)]
    rows = [row for row in rows if not (row["trace"] == f"{1:032x}" and row["name"] == "notify")]
    rule = "- {id: r, coverage: {stages: all}, expect: {ratio: '>= LIMIT%'}}"
    assert is_green(rows, rule.replace("LIMIT", "99.5"))
    assert not is_green(rows, rule.replace("LIMIT", "99.500000001"))


def test_whole_numbers_that_no_float_can_tell_apart_are_told_apart() -> None:
    assert not is_green(scores([2**53 + 1]), SCORE.replace("EXPECT", f"every: '<= {2**53}'"))


# 5: an error on the way


def test_a_rule_that_breaks_is_not_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(matches, "of_run", broken)
    found = events(call("a"), flow_of("- {id: r, count: '{ }', expect: {count: '>= 0'}}"))
    assert run_outcome(found) == "errored"


# 6: an empty run


@pytest.mark.parametrize("on_no_data", ["fail", "skip", "pass"])
@pytest.mark.parametrize("measure", ["latency: request", "coverage: {stages: all}", "count: '{ }'", "order: all"])
def test_a_run_without_spans_is_not_a_pass(on_no_data: str, measure: str) -> None:
    rule = f"- {{id: r, on_no_data: {on_no_data}, {measure}, expect: {{samples: '>= 0'}}}}"
    assert not is_green([], rule)


def test_a_run_that_no_flow_judges_is_not_a_pass() -> None:
    assert run_outcome(events(call("a"))) not in GREEN


def test_a_flow_of_which_every_rule_is_skipped_is_not_a_pass() -> None:
    assert not is_green(call("a"), "- {id: r, skip: later, latency: request, expect: {max: '< 1s'}}")


# 7: judged too early


def test_a_run_that_was_given_up_on_is_not_a_pass() -> None:
    assert not is_green(call("a"), LATENCY.replace("STAGE", "ingest"), trigger="cap")


@pytest.mark.parametrize(
    "rule",
    [
        "- {id: r, coverage: {stages: all}, expect: {ratio: '>= 99%'}}",
        "- {id: r, latency: request, expect: {p95: '< 1s'}}",
        "- {id: r, latency: {stage: score, of: each}, expect: {max: '< 1s'}}",
        "- {id: r, order: all, expect: {every: '== true'}}",
        "- {id: r, count: {of: '{ span:status = error }', per: request}, expect: {max: '== 0'}}",
        SCORE.replace("EXPECT", "every: '0..1'"),
    ],
)
def test_requests_that_never_arrived_are_not_taken_for_good_ones(rule: str) -> None:
    assert is_green(call("a", score={"score": 0.5}), rule, expected=1)
    assert not is_green(call("a", score={"score": 0.5}), rule, expected=2)


# 8: the wrong clock


def test_freshness_is_measured_at_the_moment_of_use() -> None:
    """Features of the run's beginning, used two minutes later: the span's start counts, not when it was judged."""
    rows = call("a", 120_000, score={"at": EPOCH})
    rule = "- {id: r, freshness: {stage: score, updated_at: span.at, unit: ns}, expect: {max: '< 1m'}}"
    assert not is_green(rows, rule)


@pytest.mark.parametrize("value", [EPOCH + 3600 * 1000 * MS, -5, EPOCH // 10**9])
def test_features_from_the_future_or_from_before_all_time_are_not_fresh(value: int) -> None:
    """Besides a good one, so that there is something to pass on."""
    rows = [*call("a", score={"at": value}), *call("b", 1000, score={"at": EPOCH})]
    rule = (
        "- {id: r, freshness: {stage: score, updated_at: span.at, unit: ns}, expect: {p1: '< 9999w', p99: '< 9999w'}}"
    )
    assert not is_green(rows, rule)


def test_a_stage_that_seems_to_end_before_it_began_to_be_waited_for_is_not_fast() -> None:
    rows = call("a")
    rows[2] = {**rows[2], "start": EPOCH + 60 * MS}
    assert not is_green(rows, "- {id: r, latency: {from: score.end, to: notify.start}, expect: {max: '< 1s'}}")


# 9: the wrong scale


@pytest.mark.parametrize("expect", ["p0.95: '< 1s'", "p100: '< 1s'", "p0: '< 1s'", "max: '< 1'", "p95: '1s'"])
def test_a_scale_or_unit_that_cannot_be_meant_is_refused(expect: str) -> None:
    assert refused(f"  - {{id: r, latency: request, expect: {{{expect}}}}}")


def test_a_share_of_more_than_all_is_refused() -> None:
    assert refused("  - {id: r, coverage: {stages: all}, expect: {ratio: '>= 99'}}")


# 10: a key that stands twice


def test_a_key_that_stands_twice_is_refused() -> None:
    assert refused("  - {id: r, latency: request, expect: {p95: '< 1ms'}, expect: {p95: '< 1h'}}")
    assert refused("  - {id: r, latency: request, expect: {p95: '< 1ms', p95: '< 1h'}}")


# 11: structure, asked where the root is missing


def test_structure_is_seen_where_the_root_never_came() -> None:
    """A count of errors below scoring, in a trace whose root was lost."""
    rows = [*call("a"), span("a", 9, "lookup", 40, 50, parent=2, status="error")]
    rootless = [{**row, "parent": 77} if row["id"] == 2 else row for row in rows]
    rule = "- {id: r, count: '{ span:name = \"score\" } >> { span:status = error }', expect: {count: '== 0'}}"
    assert not is_green(rows, rule)
    assert not is_green(rootless, rule)
    assert not is_green(without(rootless, "in"), rule)


def test_structure_is_seen_across_the_traces_of_a_request() -> None:
    rows = [*call("a"), span("m", 1, "write", 160, 170, status="error", links=[{"trace": "a", "id": 2}])]
    assert not is_green(
        rows, "- {id: r, count: '{ span:name = \"in\" } >> { span:status = error }', expect: {count: '== 0'}}"
    )


# 12: golden files


GOLDEN = "{id: r, output: {stage: score, value: span.score}, golden: {file: g.jsonl, HOW}, expect: {EXPECT}}"


@pytest.mark.parametrize(
    "expect", ["ratio: '>= 1%'", "any: '== true'", "count: '>= 1'", "none: '== false'", "every: '== true'"]
)
@pytest.mark.parametrize("how", ["tolerance: 0.01", "tolerance: 100%", "similarity: '>= 0%'"])
@pytest.mark.parametrize(
    ("given", "records"),
    [
        pytest.param([0.5, 0.5], {"r-7": 0.5, "r-8": 0.5}, id="other keys"),
        pytest.param([float("nan"), float("nan")], {"r-1": 0.5, "r-2": 0.5}, id="NaN"),
        pytest.param([float("inf"), float("-inf")], {"r-1": 0.5, "r-2": 0.5}, id="infinite"),
        pytest.param(["0.5", True], {"r-1": 0.5, "r-2": 1}, id="no numbers"),
    ],
)
def test_what_is_not_the_golden_answer_is_not_a_pass(
    given: list[object], records: dict[str, object], how: str, expect: str
) -> None:
    flow = flow_with(GOLDEN.replace("HOW", how).replace("EXPECT", expect), lines(records))
    assert run_outcome(events(scores(given), flow)) not in GREEN


@pytest.mark.parametrize("data", [b"", b"\n", b"[]", b'{"key": "r-1", "value": NaN}', b'{"key": "r-1"}'])
def test_a_golden_file_that_holds_nothing_to_compare_with_is_refused(data: bytes) -> None:
    problems = Problems()
    rule = GOLDEN.replace("HOW", "tolerance: 0.01").replace("EXPECT", "ratio: '>= 99%'")
    assert load(f"{HEAD}rules:\n  - {rule}\n", "rules.yaml", problems, lambda _file, _name: data) is None
    assert problems.fatal


def test_a_golden_file_that_is_not_there_is_refused() -> None:
    rule = GOLDEN.replace("HOW", "tolerance: 0.01").replace("EXPECT", "ratio: '>= 99%'")
    assert refused(f"  - {rule}") == ["there is no file g.jsonl"]


def test_a_golden_file_of_requests_without_a_key_is_refused() -> None:
    """Trace ids are new in every run, so no record could ever be found, or only by chance."""
    rule = GOLDEN.replace("HOW", "tolerance: 0.01").replace("EXPECT", "ratio: '>= 99%'")
    problems = Problems()
    head = HEAD.replace("request: {key: span.request.id}", "request: {starts_at: ingest}")
    assert load(f"{head}rules:\n  - {rule}\n", "r.yaml", problems, lambda _file, _name: lines({"r-1": 1})) is None


def test_lost_answers_are_not_taken_for_golden_ones() -> None:
    flow = flow_with(
        GOLDEN.replace("HOW", "tolerance: 0.01").replace("EXPECT", "ratio: '>= 99%'"), lines({"r-1": 0.5, "r-2": 0.5})
    )
    assert run_outcome(events(scores([0.5, 0.5]), flow)) == "passed"
    assert run_outcome(events([*scores([0.5]), *without(scores([0.5, 0.5])[3:], "score")], flow)) not in GREEN
    assert run_outcome(events([*scores([0.5]), *scores([0.5, 0.5])[3:4]], flow)) not in GREEN


# and besides


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf"), "0.5", True, None, [], {"score": 0.5}])
@pytest.mark.parametrize(
    "expect", ["every: '0..1'", "every: '<= 1'", "every: '>= 0'", "every: '!= 7'", "max: '<= 1'", "p50: '<= 1'"]
)
def test_what_is_no_number_is_not_within_bounds(wrong: object, expect: str) -> None:
    """Not even unequal to a number: only numbers are."""
    assert not is_green(scores([wrong]), SCORE.replace("EXPECT", expect))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf"), "7", True, {"score": 7}, [0.5, "7"]])
@pytest.mark.parametrize("expect", ["none: '> 1'", "none: '!= 0.5'", "none: '1.01..2'", "none: 'in [7, 8]'"])
def test_what_a_condition_cannot_be_asked_of_is_not_free_of_it(wrong: object, expect: str) -> None:
    assert is_green(scores([0.5, [0.5, 0.5]]), SCORE.replace("EXPECT", expect))
    assert not is_green(scores([0.5, wrong]), SCORE.replace("EXPECT", expect))


def test_one_item_of_an_array_is_enough_for_none() -> None:
    assert not is_green(scores([[0.5, 7]]), SCORE.replace("EXPECT", "none: '> 1'"))
    assert not is_green(scores([["ok", "error"]]), SCORE.replace("EXPECT", "none: 'matches /err.*/'"))
    assert is_green(scores([["ok", "fine"], []]), SCORE.replace("EXPECT", "none: 'matches /err.*/'"))


def test_among_good_scores_one_that_is_no_number_is_not_passed_over() -> None:
    for expect in ("every: '0..1'", "p1: '<= 1'", "mean: '<= 1'"):
        assert not is_green(scores([*[0.5] * 99, float("nan")]), SCORE.replace("EXPECT", expect))


def test_too_few_to_judge_by_are_not_a_pass() -> None:
    assert not is_green(call("a"), "- {id: r, latency: request, expect: {max: '< 1s', samples: '>= 100'}}")


def test_spans_that_never_ended_are_not_fast() -> None:
    rows = [{**row, "end": 0} for row in call("a")]
    for stage in ("ingest", "score", "notify"):
        assert not is_green(rows, LATENCY.replace("STAGE", stage))
    assert not is_green(rows, "- {id: r, coverage: {stages: all}, expect: {ratio: '>= 99%'}}")


def test_the_good_run_is_green() -> None:
    """All of the above would hold of a judge that passes nothing."""
    rows = scores([0.5, 0.7])
    rules = "\n".join(
        [
            "- {id: a, latency: request, expect: {p95: '< 1s', samples: '>= 2'}}",
            "- {id: b, coverage: {stages: all}, expect: {ratio: '>= 99%'}}",
            SCORE.replace("id: r", "id: c").replace("EXPECT", "every: '0..1', p50: '<= 1'"),
            "- {id: d, count: '{ span:status = error }', expect: {count: '== 0'}}",
            "- {id: e, order: all, expect: {every: '== true'}}",
        ]
    )
    assert run_outcome(events(rows, flow_of(rules), expected=2)) == "passed"
