"""The vector evaluator against the slow one: random spans, random selectors, the same answer for every span."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from slow_traceql import Slow, Word
from spantables import table_of
from spanverdict.paths.forest import grow
from spanverdict.selectors import (
    Selector,
    SelectorSyntaxError,
    SelectorTypeError,
    SelectorUnsupported,
    Spans,
    parse,
    parse_field,
)
from spanverdict.telemetry.spantable import MAX_TIME, SpanTable
from traceql_texts import ANY, BIG, IDS, NUMERIC, TEXTS, TEXTUAL, conditions, selectors

NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    500,
    BIG,
    BIG + 1,
    2**63 - 1,
    -(2**63),
    0.0,
    0.5,
    1.0,
    2.5,
    -1.5,
    float(BIG),
    1e300,
    float("inf"),
    float("nan"),
]
scalars = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.booleans())
values = st.one_of(
    scalars, scalars, st.lists(scalars, max_size=3), st.none(), st.just({"k": 1}), st.just(b"raw"), st.just([None, [1]])
)
keys = st.sampled_from(["a", "b"])
attributes = st.dictionaries(keys, values, max_size=2)
times = st.sampled_from([0, 1, 2, 5, 100, MAX_TIME])


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    few = st.integers(1, 8)
    event = st.fixed_dictionaries({"name": st.sampled_from(TEXTS), "time": times, "attributes": attributes})
    link = st.fixed_dictionaries({"trace": st.sampled_from("tu"), "id": st.integers(0, 8), "attributes": attributes})
    service = st.fixed_dictionaries({}, optional={"service.name": scalars, "a": scalars})
    scope = st.fixed_dictionaries(
        {}, optional={"name": st.sampled_from(TEXTS), "version": st.sampled_from(TEXTS), "attributes": attributes}
    )
    return {
        "trace": draw(st.sampled_from("tu")),
        "id": draw(few),
        "parent": draw(st.integers(0, 9)),
        "name": draw(st.sampled_from(TEXTS)),
        "kind": draw(st.sampled_from(["internal", "server", "consumer", "unspecified"])),
        "status": draw(st.sampled_from(["unset", "ok", "error"])),
        "status_message": draw(st.sampled_from(TEXTS)),
        "start": draw(times),
        "end": draw(times),
        "attributes": draw(attributes),
        "resource": draw(service),
        "scope": draw(scope),
        "events": draw(st.lists(event, max_size=2)),
        "links": draw(st.lists(link, max_size=2)),
    }


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Slow, Spans]:
    """A table with duplicates, orphans, cycles and link edges, grouped by trace or otherwise."""
    made = draw(st.lists(rows(), max_size=7))
    table = table_of(made)
    group = [int(number) for number in table.trace]
    edges: list[tuple[int, int]] = []
    if made and draw(st.booleans()):
        group = [draw(st.integers(0, 1)) for _ in made]
        places = st.integers(0, len(made) - 1)
        drawn = draw(st.lists(st.tuples(places, places), max_size=4))
        edges = [(a, b) for a, b in drawn if group[a] == group[b]]
    pairs = (np.array([a for a, _ in edges], np.intp), np.array([b for _, b in edges], np.intp))
    return Slow(made, group, edges), Spans(table, grow(table, np.array(group, np.int64), pairs))


def read(text: str) -> Selector:
    try:
        return parse(text)
    except (SelectorTypeError, SelectorUnsupported):
        reject()
    except SelectorSyntaxError as error:
        assert "64 bits" in error.message, text  # noqa: PT017 - `- minInt` is the one mistake that is made here
        reject()


SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@settings(SLOWLY, max_examples=400)
@given(worlds(), conditions)
def test_conditions_agree_with_the_slow_evaluator(world: tuple[Slow, Spans], condition: str) -> None:
    slow, spans = world
    selector = read(f"{{ {condition} }}")
    assert set(np.flatnonzero(selector.mask(spans)).tolist()) == slow.select(selector.root), str(selector)


@settings(SLOWLY, max_examples=300)
@given(worlds(), selectors)
def test_spansets_and_pipelines_agree_with_the_slow_evaluator(world: tuple[Slow, Spans], text: str) -> None:
    slow, spans = world
    selector = read(text)
    mask = selector.mask(spans)
    assert mask.dtype == np.bool_
    assert set(np.flatnonzero(mask).tolist()) == slow.select(selector.root), str(selector)


@settings(SLOWLY)
@given(worlds(), st.lists(conditions, min_size=1, max_size=4))
def test_near_misses_count_what_the_slow_evaluator_counts(world: tuple[Slow, Spans], parts: list[str]) -> None:
    """Every condition: how many meet it, and which meet all the others only."""
    slow, spans = world
    selector = read("{ " + " && ".join(f"({part})" for part in parts) + " }")
    condition: Any = selector.root
    one = condition.condition
    conjuncts = one.operands if getattr(one, "op", "") == "&&" and hasattr(one, "operands") else (one,)
    met = [[slow.truth(conjunct, n) for n in range(len(slow.rows))] for conjunct in conjuncts]
    for place, miss in enumerate(selector.near_misses(spans)):
        others = [all(each[n] for at, each in enumerate(met) if at != place) for n in range(len(slow.rows))]
        expected = [others[n] and not met[place][n] for n in range(len(slow.rows))]
        assert miss.matched == sum(met[place])
        assert miss.all_but == sum(expected)
        assert miss.mask.tolist() == expected


@settings(SLOWLY)
@given(worlds(), st.sampled_from([*ANY, *NUMERIC, *TEXTUAL, *IDS, "status", "kind"]))
def test_a_field_column_holds_the_value_of_each_span(world: tuple[Slow, Spans], text: str) -> None:
    """Column and numbers; of several events or links the first that has the field."""
    slow, spans = world
    field = parse_field(text)
    column, found = field.column(spans), field.numbers(spans)
    words = {
        "status": ["unset", "ok", "error"],
        "kind": ["unspecified", "internal", "server", "client", "producer", "consumer"],
    }
    for number in range(len(slow.rows)):
        values = [slow.value(field.node, number, item) for item in slow.items(field.node, number)]
        expected = next((value for value in values if value is not None), None)
        if isinstance(expected, Word):
            expected = words[expected.sort][expected.number]
        if isinstance(expected, list):
            expected = tuple(tuple(one) if isinstance(one, list) else one for one in expected)
        assert repr(column[number]) == repr(expected)
        is_int = isinstance(expected, int) and not isinstance(expected, bool)
        assert (bool(found.is_int[number]), bool(found.is_float[number])) == (is_int, isinstance(expected, float))
        if is_int:
            assert found.ints[number] == expected


def snapshot(table: SpanTable) -> list[bytes]:
    arrays = [getattr(table, column.name) for column in fields(table)]
    nested = [getattr(part, column.name) for part in (table.events, table.links) for column in fields(part)]
    raggeds = [
        array
        for part in [*arrays, *nested]
        if hasattr(part, "offsets") and hasattr(part, "items")
        for array in (part.offsets, part.items)
    ]
    return [array.tobytes() for array in [*arrays, *nested, *raggeds] if isinstance(array, np.ndarray)]


@settings(SLOWLY)
@given(worlds(), selectors)
def test_evaluation_changes_no_column(world: tuple[Slow, Spans], text: str) -> None:
    """Neither the table nor the forest; and asking twice gives the same answer in arrays of their own."""
    _, spans = world
    selector = read(text)
    before = snapshot(spans.table), [getattr(spans.forest, column.name).tobytes() for column in fields(spans.forest)]
    first = selector.mask(spans)
    expected = first.copy()
    first[:] = ~first
    assert np.array_equal(selector.mask(spans), expected)
    selector.near_misses(spans)
    after = snapshot(spans.table), [getattr(spans.forest, column.name).tobytes() for column in fields(spans.forest)]
    assert before == after


@pytest.mark.parametrize(
    "text",
    ["{ }", "{ span.a = 1 }", "{ } >> { }", "{ } | count() > 0", "by(span.a) | count() > 1", "{ event.a = nil }"],
)
def test_no_spans_give_no_spans(text: str) -> None:
    assert parse(text).mask(Spans.of(table_of([]))).tolist() == []


def test_the_slow_evaluator_is_not_fooled_by_the_parser() -> None:
    """The text generator yields selectors that hold and ones that do not, or the comparisons above show nothing."""
    with pytest.raises(SelectorSyntaxError):
        parse("{ span.a == 1 }")
    table = table_of([{"trace": "t", "id": 1, "attributes": {"a": BIG}}])
    slow = Slow([{"trace": "t", "id": 1, "attributes": {"a": BIG}}], [0], [])
    for text, expected in ((f"{{ span.a < {BIG + 1} }}", {0}), (f"{{ span.a = {BIG + 1} }}", set())):
        selector = parse(text)
        assert slow.select(selector.root) == expected
        assert set(np.flatnonzero(selector.mask(Spans.of(table))).tolist()) == expected
