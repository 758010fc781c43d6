"""Values in JSON texts: which places a path may name, and what is missing where there is nothing at the place."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleruns import EPOCH, HEAD, MS, call, events, flow_of, judged, measured, only, scores, span, values, view
from spanverdict.checks import jsonpath
from spanverdict.checks.jsonpath import JsonPathError, NotJsonError, NotThereError, parse_path
from spanverdict.checks.valueof import parse_value
from spanverdict.evaluation.outcomes import FlowFinished
from spanverdict.selectors import SelectorError

LABEL = """output: {stage: score, value: 'json(span.score, "$.label")'}"""
DOCUMENT = '{"label": "ok", "items": [{"p": 0.5}, {"p": 1}], "a b": {"": true}, "é": null, "$": [[7]]}'


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.label", "ok"),
        ("$['label']", "ok"),
        ('$["label"]', "ok"),
        ("$.items[0].p", 0.5),
        ("$.items[-1]['p']", 1),
        ("$ .items [ 1 ] .p", 1),
        ("$['a b']['']", True),
        ("$.é", None),
        ("$['\\u00e9']", None),
        ("$['$'][0][0]", 7),
        ("$.items", ({"p": 0.5}, {"p": 1})),
        ("$", json.loads(DOCUMENT) | {"items": ({"p": 0.5}, {"p": 1}), "$": ((7,),)}),
    ],
)
def test_a_path_finds_one_value(path: str, value: Any) -> None:
    assert parse_path(path).find(DOCUMENT) == value


@pytest.mark.parametrize(
    "path", ["$.nothing", "$.items[2]", "$.items[-3]", "$.items.p", "$.label[0]", "$[0]", "$.label.x", "$['']", "$.é.x"]
)
def test_where_there_is_nothing_nothing_is_found(path: str) -> None:
    with pytest.raises(NotThereError):
        parse_path(path).find(DOCUMENT)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "a JSON path begins with $"),
        ("label", "a JSON path begins with $"),
        ("$.", "a name or an index is expected, not `.`"),
        ("$label", "a name or an index is expected, not `label`"),
        ("$.a.1b", "a name or an index is expected, not `.1b`"),
        ("$..label", "`..` finds members at any depth, and a rule compares one value"),
        ("$.*", "`*` stands for all members, and a rule compares one value"),
        ("$.a[*]", "`*` stands for all elements, and a rule compares one value"),
        ("$.a[?@.b]", "`?` filters elements, and a rule compares one value"),
        ("$.a[0:2]", "a slice stands for several elements, and a rule compares one value"),
        ("$.a[0,1]", "a list stands for several elements, and a rule compares one value"),
        ("$.a[01]", "`[01]` is neither an index nor a quoted name"),
        ("$.a[-0]", "`[-0]` is neither an index nor a quoted name"),
        ("$.a[label]", "`[label]` is neither an index nor a quoted name"),
        ("$.a[9999999999999999]", "no array has an element 9999999999999999"),
        ("$['\\x']", "`\\x` is no escape in a JSON path"),
        ("$.a ", "the path ends in blanks"),
        ("$" + ".a" * 600, "a JSON path has at most 1000 characters"),
    ],
)
def test_a_path_that_is_none_or_could_mean_several_values_is_refused(path: str, said: str) -> None:
    with pytest.raises(JsonPathError) as caught:
        parse_path(path)
    assert caught.value.message == said
    assert 0 <= caught.value.offset <= len(path)


@pytest.mark.parametrize("name", ["jsonpath", "valueof"])
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"spanverdict.checks.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(TREES, st.data())
def test_any_place_of_any_document_is_found_by_the_path_that_names_it(tree: Any, data: st.DataObject) -> None:
    path, at = "$", tree
    while isinstance(at, list | dict) and at and data.draw(st.booleans()):
        if isinstance(at, list):
            number = data.draw(st.integers(-len(at), len(at) - 1))
            path, at = f"{path}[{number}]", at[number]
        else:
            name = data.draw(st.sampled_from(sorted(at)))
            path, at = f"{path}[{json.dumps(name)}]", at[name]
    assert parse_path(path).find(json.dumps(tree)) == jsonpath.frozen(at)


@given(st.text(alphabet="$.[]'\"0-9ab*?:,@\\ é", max_size=20))
def test_whatever_is_written_is_a_path_or_refused(text: str) -> None:
    steps: tuple[object, ...] = ()
    with contextlib.suppress(JsonPathError):
        steps = parse_path(f"${text}").steps
    assert all(isinstance(step, str | int) for step in steps)


@pytest.mark.parametrize(
    "document",
    ["", "{", "ok", "{'label': 1}", '{"label": NaN}', '{"label": -Infinity}', '{"label": 1e999}', '{"a": 1, "a": 1}',
     '{"label": ' + "[" * 100_000, '{"label": ' + "9" * 5000 + "}", '{"label": "ok"} x', "\ufeff{}"],
)  # fmt: skip
def test_what_is_not_strict_json_is_not_read(document: str) -> None:
    with pytest.raises(NotJsonError) as caught:
        parse_path("$.label").find(document)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["json(span.x)", "json()", "json(span.x, $.a)", 'json(span.x, "$.a"', 'json(, "$.a")', 'json(x y, "$.a")']
)
def test_what_names_no_place_in_json_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_value(text)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("span.score", "span.score"),
        ("json ( span.x , '$.a' )", 'json(span.x, "$.a")'),
        ('json(span."a, b", `$["c d"]`)', """json(span."a, b", '$["c d"]')"""),
    ],
)
def test_a_value_is_printed_as_it_can_be_read(text: str, printed: str) -> None:
    assert str(parse_value(text)) == printed
    assert parse_value(printed) == parse_value(text) or "`" in text


def test_the_place_of_a_mistake_is_told() -> None:
    with pytest.raises(SelectorError) as caught:
        parse_value('json(span.output.value, "$.label[*]")')
    assert (caught.value.offset, caught.value.length) == (32, 2)
    with pytest.raises(SelectorError) as caught:
        parse_value('json(spam.x, "$.label")')
    assert caught.value.offset == 5


def test_an_output_may_stand_in_a_json_text() -> None:
    given = ['{"label": "ok"}', '{"label": 1}', '{"label": null}', '{"label": [1, "x"]}']
    assert values(measured(scores(given), LABEL)) == ["ok", 1, None, (1, "x")]


def test_what_has_no_value_at_the_place_is_missing_with_the_reason() -> None:
    rows = [*scores(['{"label": "ok"}', '{"lable": "ok"}', "{", 5]), *call("x", 9000)]
    found = measured(rows, LABEL)
    assert values(found) == ["ok"]
    assert found.missing_note == (
        'have no value: 2 have no json(span.score, "$.label") at score, 2 hold what is not JSON in span.score: '
        "expecting property name enclosed in double quotes at character 2"
    )  # fmt: skip


@pytest.mark.parametrize("broken", ["{", "", "nonsense", '{"label": NaN}', 5, None, '{"other": "ok"}', ["x"]])
@pytest.mark.parametrize("expect", ["every: '== ok'", "none: '== bad'", "any: '== fine'"])
def test_what_cannot_be_read_is_never_a_pass(broken: Any, expect: str) -> None:
    rule = f"- {{id: r, {LABEL}, expect: {{{expect}}}}}"
    assert only(scores(['{"label": "ok"}', broken]), rule).outcome in ("inconclusive", "failed")
    assert only(scores([broken]), rule).outcome in ("inconclusive", "failed")


def test_a_text_that_is_not_json_spoils_even_what_many_others_would_carry() -> None:
    """One of 200 is no matter for a median, but what it is cannot be right."""
    given = [*['{"p": 0.5}'] * 199, "{"]
    rule = """- {id: r, output: {stage: score, value: 'json(span.score, "$.p")'}, expect: {p50: '<= 1'}}"""
    assert only(scores(given), rule).outcome == "inconclusive"
    assert only(scores([*given[:-1], "{}"]), rule).outcome == "passed"


def test_the_last_good_attempt_answers_even_if_it_cannot_be_read() -> None:
    """What an earlier attempt said is not what was answered."""
    rows = call("a", score={"score": '{"label": "ok"}'})
    rows.append(span("a", 9, "score", 75, 80, parent=1, attributes={"score": "{"}))
    assert values(measured(rows, LABEL)) == []


def test_a_document_that_comes_often_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(text: str) -> object:
        read.append(text)
        return json.loads(text)

    monkeypatch.setattr(jsonpath, "read_json", counted)
    measured(scores(['{"label": "ok"}'] * 50 + ['{"label": "no"}'] * 50), LABEL)
    assert sorted(read) == ['{"label": "no"}', '{"label": "ok"}']


def test_numbers_ages_and_times_may_stand_in_json_texts() -> None:
    document = json.dumps({"tokens": 7, "age": 0.5, "at": EPOCH - 70 * MS, "ages": [1, 5]})
    rows = call("a", score={"doc": document})
    assert values(measured(rows, """attribute: {stage: score, value: 'json(span.doc, "$.tokens")'}""")) == [7]
    assert values(measured(rows, """freshness: {stage: score, age: 'json(span.doc, "$.age")', unit: s}""")) == [500]
    assert values(measured(rows, """freshness: {stage: score, age: 'json(span.doc, "$.ages")', unit: s}""")) == [5000]
    updated = """freshness: {stage: score, updated_at: 'json(span.doc, "$.at")', unit: ns}"""
    assert values(measured(rows, updated)) == [100]
    assert values(measured(rows, """latency: {attribute: 'json(span.doc, "$.tokens")', unit: ms, in: score}""")) == [7]


@pytest.mark.parametrize(
    "measure", ["attribute: {stage: score, value: VALUE}", "latency: {attribute: VALUE, unit: ms, in: score}"]
)
def test_a_number_that_is_not_there_is_missing(measure: str) -> None:
    given = [{"doc": '{"n": 1}'}, {"doc": "{"}, {"doc": "{}"}, {"doc": '{"n": "x"}'}, {}]
    rows = [row for n, one in enumerate(given) for row in call(f"{n + 1:032x}", 1000 * n, score=one)]
    found = measured(rows, measure.replace("VALUE", """'json(span.doc, "$.n")'"""))
    assert len(values(found)) == 1
    assert [(count, reason.impossible) for count, reason in found.missing.counted()] == [
        (2, False),
        (1, True),
        (1, True),
    ]


def test_whole_numbers_beyond_64_bits_are_compared_exactly() -> None:
    rule = """- {id: r, output: {stage: score, value: 'json(span.score, "$")'}, expect: {every: '== %d'}}"""
    assert only(scores([str(2**70)]), rule % 2**70).outcome == "passed"
    assert only(scores([str(2**70 + 1)]), rule % 2**70).outcome == "failed"


def answered(*texts: object) -> list[Any]:
    return [row for n, text in enumerate(texts) for row in call(f"{n + 1:032x}", 1000 * n, score={"answer": text})]


def test_per_groups_by_what_stands_in_a_json_text() -> None:
    rows = answered('{"label": "a"}', '{"label": "b"}', '{"label": "a"}', "{}", "no JSON", '{"label": null}', 7)
    rule = (
        """- {id: r, latency: request, per: 'json(span.answer, "$.label")', expect: {samples: '>= 1', max: '< 1h'}}"""
    )
    found = judged(rows, flow_of(rule))
    assert {name: result.samples for name, result in found.items()} == {"r[(none)]": 4, "r[a]": 2, "r[b]": 1}


def test_a_request_is_named_by_what_stands_in_a_json_text() -> None:
    head = re.sub("key: [^,}\n]+", """key: 'json(span.answer, "$.id")'""", HEAD)
    flow = flow_of("- {id: r, latency: request, expect: {max: '< 1h'}}", head)
    found = view(answered('{"id": "a"}', '{"id": 7}', "no JSON"), flow)
    assert [found.request_name(number) for number in range(3)] == ["a", "7", f"{3:032x}"]


def test_a_field_that_nothing_carries_makes_one_group_and_a_warning() -> None:
    rule = "- {id: r, latency: request, per: span.anwser, expect: {max: '< 1h'}}"
    (end,) = (event for event in events(answered("a"), flow_of(rule)) if isinstance(event, FlowFinished))
    assert end.warnings == ("rule r: no span carries span.anwser; did you mean span.answer?",)
    far = flow_of(rule.replace("anwser", "country"))
    (end,) = (event for event in events(answered("a"), far) if isinstance(event, FlowFinished))
    assert end.warnings == ("rule r: no span carries span.country",)
