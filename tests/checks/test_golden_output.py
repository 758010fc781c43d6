"""`output` with a golden file: which answers are the right ones, and what becomes of keys that only one side has."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenruns import flow_with, golden, lines, rule
from ruleruns import HEAD, call, judged, scores, span, view, without
from spanverdict.checks import comparison
from spanverdict.checks.alike import are_alike, badness, difference
from spanverdict.checks.golden import Allowance
from spanverdict.checks.output import Output

HUNDREDTH = Allowance(Fraction(1, 100), tolerance_text="0.01")
PER_CENT = Allowance(Fraction(1, 100), relative=True, tolerance_text="1%")
SIMILAR = Allowance(similarity=Fraction(9, 10), similarity_text=">= 0.9")


def records(*values: Any) -> dict[str, Any]:
    """The golden values of `scores`."""
    return {f"r-{number:x}": value for number, value in enumerate(values, 1)}


@pytest.mark.parametrize(
    ("expected", "got", "alike"),
    [
        (1, 1.0, True), (1.0, 1, True), (0.1, 0.1, True), (0.1, 0.1 + 2**-55, False), (2**53 + 1, 2.0**53, False),
        (1, True, False), (True, 1, False), (True, True, True), (False, 0, False), (None, None, True), (None, 0, False),
        ("a", "a", True), ("a", "A", False), ("1", 1, False), (1, "1", False), ("", None, False),
        (0.5, float("nan"), False), (0.5, float("inf"), False), (-0.0, 0.0, True),
        ((1, "a"), (1.0, "a"), True), ((1, 2), (2, 1), False), ((1,), (1, 1), False), ((), (), True), ((1,), 1, False),
        ({"a": 1}, {"a": 1.0}, True), ({"a": 1}, {"a": 1, "b": 2}, False), ({"a": 1}, {"b": 1}, False), ({}, (), False),
        ({"a": (1, {"b": None})}, {"a": (1, {"b": None})}, True), ("0aff", b"\x0a\xff", True), ("x", b"\x0a", False),
    ],
)  # fmt: skip
def test_without_a_tolerance_values_are_equal_or_not(expected: Any, got: Any, alike: bool) -> None:
    assert are_alike(expected, got, Allowance()) is alike


@pytest.mark.parametrize(
    ("expected", "got", "how", "alike"),
    [
        (0.9, 0.91, HUNDREDTH, True), (0.9, 0.89, HUNDREDTH, True), (0.9, 0.9100000000000001, HUNDREDTH, False),
        (0.3, 0.31, HUNDREDTH, True), (100, 101, PER_CENT, True), (100, 101.00000000000001, PER_CENT, False),
        (-100, -101, PER_CENT, True), (0, 0.0, PER_CENT, True), (0, 5e-324, PER_CENT, False), (100, 1, PER_CENT, False),
        (1e308, -1e308, HUNDREDTH, False),
        (True, 1, HUNDREDTH, False), ("0.9", 0.9, HUNDREDTH, False), (0.9, float("nan"), HUNDREDTH, False),
        (0.9, float("inf"), PER_CENT, False), ((0.9, 5), (0.91, 5.01), HUNDREDTH, True), ((0.9, 5), (0.91, 6), HUNDREDTH, False),
        ({"p": 0.9}, {"p": 0.905}, HUNDREDTH, True), ("approved", "approve", HUNDREDTH, False),
        ("approved it", "approved It", SIMILAR, True), ("approved", "approve", SIMILAR, False), ("", "", SIMILAR, True),
        ("", "a", SIMILAR, False), (("approved it",), ("approved It",), SIMILAR, True), (0.9, 0.91, SIMILAR, False),
    ],
)  # fmt: skip
def test_a_tolerance_is_of_numbers_and_a_similarity_of_texts(
    expected: Any, got: Any, how: Allowance, alike: bool
) -> None:
    assert are_alike(expected, got, how) is alike


@given(
    st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(1, 10**4), st.sampled_from([1, 10, 1000])
)
def test_a_tolerance_is_exact_for_decimals(expected: int, got: int, tolerance: int, scale: int) -> None:
    """Floats as they are written: no binary rounding lets one in or keeps one out."""
    allowance = Allowance(Fraction(tolerance, scale))
    assert are_alike(expected / scale, got / scale, allowance) == (abs(got - expected) <= tolerance)


@given(
    st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)
def test_the_quick_comparison_is_the_exact_one(expected: float, got: float, relative: bool) -> None:
    exact = [Fraction(repr(number)) for number in (expected, got)]
    allowed = Fraction(1, 100) * (abs(exact[0]) if relative else 1)
    assert are_alike(expected, got, Allowance(Fraction(1, 100), relative)) == (abs(exact[1] - exact[0]) <= allowed)


def test_every_answer_that_is_the_golden_one_is_true() -> None:
    result = golden(
        scores([0.91, 0.5, "ok", True, [1, 2]]), records(0.9, 0.5, "ok", True, [1, 2.0]), how="tolerance: 0.01"
    )
    assert (result.outcome, result.samples) == ("passed", 5)
    assert result.golden is not None
    assert (result.golden.file, result.golden.records, result.golden.note) == ("rules/golden/scores.jsonl", 5, "")
    assert len(result.golden.sha256) == 64


def test_a_changed_golden_file_has_another_digest() -> None:
    one, other = (golden(scores([0.5]), records(value), how="tolerance: 1") for value in (0.5, 0.6))
    assert one.outcome == other.outcome == "passed"
    assert one.golden is not None
    assert other.golden is not None
    assert one.golden.sha256 != other.golden.sha256


def test_answers_that_differ_fail_and_the_farthest_off_are_shown() -> None:
    given = [0.5, 0.62, 0.5, 0.91, 0.53]
    result = golden(scores(given), records(0.5, 0.5, 0.5, 0.5, 0.5), how="tolerance: 0.01")
    assert result.outcome == "failed"
    assert result.message == (
        "ratio = 40 %, expected >= 99% (n = 5 requests): 3 of 5 answers differ"
    )  # fmt: skip
    assert [(exhibit.key, exhibit.value) for exhibit in result.exhibits] == [
        ("r-4", "expected 0.5, got 0.91 (tolerance 0.01)"),
        ("r-2", "expected 0.5, got 0.62 (tolerance 0.01)"),
        ("r-5", "expected 0.5, got 0.53 (tolerance 0.01)"),
    ]
    assert all(len(exhibit.trace_id) == 32 and exhibit.span_id for exhibit in result.exhibits)


def test_keys_that_no_request_has_are_false() -> None:
    result = golden(scores([0.5, 0.5]), records(0.5, 0.5, 0.5, 0.5), expect="count: '>= 3'")
    assert (result.outcome, result.samples) == ("failed", 4)
    assert "no request has the 2 golden keys r-3, r-4" in result.message
    assert [(exhibit.key, exhibit.value) for exhibit in result.exhibits] == [
        ("r-3", "expected 0.5, got nothing: no request of the run has this key"),
        ("r-4", "expected 0.5, got nothing: no request of the run has this key"),
    ]


def test_a_golden_file_with_other_keys_is_not_a_pass() -> None:
    other = {f"payment-{number}": 0.5 for number in range(3)}
    for expect in ("ratio: '>= 1%'", "any: '== true'", "count: '>= 1'", "every: '== true'"):
        assert golden(scores([0.5, 0.5, 0.5]), other, expect=expect).outcome == "failed"


def test_requests_that_the_file_does_not_know_are_noted_and_not_judged() -> None:
    result = golden(scores([0.5, 0.7, 0.7]), records(0.5))
    assert (result.outcome, result.samples) == ("passed", 1)
    assert result.golden is not None
    assert result.golden.note == "2 requests not in the golden file: r-2, r-3"


def test_many_keys_are_counted_and_some_named() -> None:
    result = golden(scores([0.5] * 9), records(0.5))
    assert result.golden is not None
    assert result.golden.note == "8 requests not in the golden file: r-2, r-3, r-4, r-5, r-6 …"


def test_requests_without_key_match_no_record() -> None:
    rows = [{**row, "attributes": {"score": 0.5}} if row["name"] == "in" else row for row in scores([0.5])]
    result = golden(rows, records(0.5))
    assert result.outcome == "failed"
    assert "1 request without span.request.id" in result.message


def test_requests_with_the_same_key_are_all_compared_and_said() -> None:
    rows = [*scores([0.5]), *[{**row, "trace": "again"} for row in scores([0.7])]]
    result = golden(rows, records(0.5))
    assert (result.outcome, result.samples) == ("failed", 2)
    assert "several requests have the same key: r-1" in result.message
    good = golden([*scores([0.5]), *[{**row, "trace": "again"} for row in scores([0.5])]], records(0.5))
    assert good.outcome == "passed"
    assert good.golden is not None
    assert good.golden.note == "several requests have the same key: r-1"


def test_an_answer_that_is_not_there_could_have_been_any() -> None:
    rows = [*scores([0.5] * 9), *call(f"{10:032x}", 20_000)]
    expected = records(*[0.5] * 10)
    assert golden(rows, expected).outcome == "inconclusive"
    assert golden(rows, expected, expect="ratio: '>= 90%'").outcome == "passed"
    result = golden(rows, expected, expect="every: '== true'")
    assert result.outcome == "inconclusive"
    assert "1 of 10 requests have no span.score at score" in result.message


def test_an_optional_stage_that_should_have_answered_is_missed() -> None:
    """The golden file says that it answers."""
    head = HEAD.replace("{stage: score, select: {name: score}}", '{stage: score, select: {name: score}, count: ">= 0"}')
    rows = [*scores([0.5]), *without(call(f"{2:032x}", 5000), "score")]
    (result,) = judged(rows, flow_with(rule(), lines(records(0.5, 0.5)), head)).values()
    assert result.outcome == "inconclusive"
    assert "have no stage score" in result.message


def test_requests_that_never_arrived_are_counted_by_their_keys_alone() -> None:
    assert golden(scores([0.5, 0.5]), records(0.5, 0.5), expected=3).outcome == "passed"
    result = golden(scores([0.5, 0.5]), records(0.5, 0.5, 0.5), expected=3, expect="ratio: '>= 60%'")
    assert (result.outcome, result.samples) == ("passed", 3)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "0.5", True, [0.5]])
@pytest.mark.parametrize("how", ["", "tolerance: 0.01", "tolerance: 50%", "similarity: '>= 1%'"])
def test_what_is_not_the_golden_number_differs_whatever_the_tolerance(wrong: Any, how: str) -> None:
    assert golden(scores([wrong]), records(0.5), how=how).outcome == "failed"


TWO = "{stage: score, values: {score: span.score, label: span.label}}"


def two(*pairs: tuple[Any, Any]) -> list[Any]:
    rows = []
    for number, (score, label) in enumerate(pairs, 1):
        given = {name: value for name, value in (("score", score), ("label", label)) if value != "nothing"}
        rows += call(f"{number:032x}", 1000 * number, score=given)
    return rows


def named(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    return records(*({"score": score, "label": label} for score, label in pairs))


def test_several_values_of_a_request_all_have_to_be_right() -> None:
    given = two((0.91, "ok"), (0.5, "ok"), (0.95, "no"), (0.9, "ko"))
    result = golden(
        given,
        named(*[(0.9, "ok")] * 4),
        output=TWO,
        named=True,
        how="tolerance: {score: 0.01}, similarity: {label: '>= 90%'}",
    )
    assert result.outcome == "failed"
    assert result.conditions[0].observed == "25 %"
    assert [(exhibit.key, exhibit.value) for exhibit in result.exhibits] == [
        ("r-3", 'score: expected 0.9, got 0.95 (tolerance 0.01); label: expected "ok", got "no" (similarity 0.00, needed >= 90%)'),
        ("r-4", 'label: expected "ok", got "ko" (similarity 0.00, needed >= 90%)'),
        ("r-2", "score: expected 0.9, got 0.5 (tolerance 0.01)"),
    ]  # fmt: skip


def test_of_several_values_one_that_differs_decides_and_one_that_is_missing_does_not() -> None:
    expected = named(*[(0.9, "ok")] * 2)
    assert golden(two((0.9, "nothing"), (0.9, "ok")), expected, output=TWO, named=True).outcome == "inconclusive"
    result = golden(two((0.1, "nothing"), (0.9, "ok")), expected, output=TWO, named=True)
    assert result.outcome == "failed"
    assert result.samples == 2


def test_all_values_are_those_of_one_attempt() -> None:
    """What the failed attempt said does not complete what the last one left out."""
    rows = call("a", score={"score": 0.9, "label": "ok"})
    rows[1] = {**rows[1], "status": "error"}
    rows.append(span("a", 9, "score", 75, 80, parent=1, attributes={"score": 0.9}))
    result = golden(rows, {"r-a": {"score": 0.9, "label": "ok"}}, output=TWO, named=True)
    assert (result.outcome, result.samples) == ("failed", 0)
    assert result.message == "nothing to judge: 1 requests have no span.label at score"


def test_a_record_may_hold_values_for_other_rules() -> None:
    only_label = "{stage: score, values: {label: span.label}}"
    assert golden(two((0.1, "ok")), named((0.9, "ok")), output=only_label, named=True).outcome == "passed"


def test_answers_in_json_texts_are_compared_part_by_part() -> None:
    output = """{stage: score, value: 'json(span.score, "$.items")'}"""
    answer = '{"items": [{"p": 0.901, "id": "a"}], "took": 5}'
    assert (
        golden(scores([answer]), records([{"p": 0.9, "id": "a"}]), output=output, how="tolerance: 1%").outcome
        == "passed"
    )
    assert (
        golden(scores([answer]), records([{"p": 0.9, "id": "b"}]), output=output, how="tolerance: 1%").outcome
        == "failed"
    )
    assert golden(scores(["{"]), records([1]), output=output).outcome == "failed"
    assert (
        golden(
            scores(["{", answer]), records([1], [{"p": 0.901, "id": "a"}]), output=output, expect="any: '== true'"
        ).outcome
        == "inconclusive"
    )


def test_where_and_per_do_not_hide_keys_that_no_request_has() -> None:
    rows = scores([0.5, 0.5])
    chosen = golden(rows, records(0.5, 0.5, 0.5), more="where: '{ span.score = 0.5 }'")
    assert (chosen.outcome, chosen.samples) == ("failed", 3)
    assert chosen.exhibits[0].key == "r-3"
    flow = flow_with(rule(more="per: span.score"), lines(records(0.5, 0.5, 0.5)))
    found = {name: str(result.outcome) for name, result in judged(rows, flow).items()}
    assert found == {"r[(none)]": "failed", "r[0.5]": "passed"}


def test_on_a_sampled_run_a_key_without_request_was_perhaps_not_kept() -> None:
    """It is no failure then, and no pass either; an answer that differs fails all the same."""
    kept = [{**row, "trace_state": "ot=th:8"} for row in scores([0.5])]
    result = golden(kept, records(0.5, 0.5))
    assert result.outcome == "inconclusive"
    assert "1 of 2 requests are in the golden file and were perhaps not kept" in result.message
    assert golden(kept, records(0.9, 0.5), expect="every: '== true'").outcome == "failed"


def test_a_share_of_right_answers_may_be_asked_with_confidence() -> None:
    for count, outcome in ((1000, "passed"), (100, "inconclusive")):
        result = golden(scores([0.5] * count), records(*[0.5] * count), more="confidence: 95%")
        assert result.outcome == outcome
    assert golden(scores([0.5] * 1000), records(*[0.9] * 1000), more="confidence: 95%").outcome == "failed"


def test_an_equal_pair_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[Any] = []

    def counted(expected: Any, got: Any, allowance: Allowance) -> bool:
        pairs.append((expected, got))
        return are_alike(expected, got, allowance)

    monkeypatch.setattr(comparison, "are_alike", counted)
    assert golden(scores(["ok"] * 50 + ["no"] * 50), records(*["ok"] * 50, *["no"] * 50)).outcome == "passed"
    assert sorted(pairs) == [("no", "no"), ("ok", "ok")]


def test_long_answers_are_shown_in_part() -> None:
    said = difference("a" * 500, "b" * 500, Allowance())
    assert len(said) < 200
    assert "…" in said


@pytest.mark.parametrize(
    ("expected", "got", "how", "bad"),
    [(1, 3, Allowance(), 2 / 3), (1, 3, HUNDREDTH, 200), (0, 0.5, PER_CENT, 1), (1, "x", HUNDREDTH, float("inf")),
     (1e-300, 1e308, PER_CENT, float("inf")), (1.0, 10**400, PER_CENT, float("inf"))],
)  # fmt: skip
def test_numbers_are_ranked_by_how_far_they_are_off(expected: Any, got: Any, how: Allowance, bad: float) -> None:
    assert badness(expected, got, how) == pytest.approx(bad)


def test_golden_values_can_be_read_as_a_distribution() -> None:
    flow = flow_with(rule(output=TWO), lines(named((0.9, "ok"), (0.5, "no")), named=True))
    check = flow.rules[0].check
    assert isinstance(check, Output)
    assert check.golden is not None
    assert check.golden.file.values("score") == (0.9, 0.5)
    assert check.golden.file.values() == ()


def test_nothing_is_read_while_a_run_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = flow_with(rule(), lines(records(0.5)))
    monkeypatch.setattr("builtins.open", None)
    monkeypatch.setattr("pathlib.Path.open", None)
    (result,) = judged(scores([0.5]), flow).values()
    assert result.outcome == "passed"
    assert flow.rules[0].check.measure(view([], flow)).samples == 1
