"""What selectors mean, construct by construct, on one small system whose answers can be read off."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from spantables import table_of
from spanverdict.paths.forest import grow
from spanverdict.selectors import Selector, Spans, from_mapping, parse, parse_field
from spanverdict.telemetry.spantable import MAX_TIME

MS = 1_000_000

ROWS: dict[str, dict[str, Any]] = {
    "gateway": {
        "trace": "a", "id": 1, "name": "POST /score", "kind": "server", "start": 0, "end": 300 * MS,
        "resource": {"service.name": "gateway", "zone": "eu"}, "attributes": {"http.status": 200, "order": "o-1"},
    },
    "features": {
        "trace": "a", "id": 2, "parent": 1, "name": "get_features", "kind": "client", "start": 10 * MS, "end": 60 * MS,
        "resource": {"service.name": "gateway", "zone": "eu"},
        "attributes": {"views": ["user", "card"], "hit": True, "age": 1.5, "big": 2**53 + 1},
        "events": [{"name": "retry", "time": 12 * MS, "attributes": {"n": 1}}, {"name": "retry", "time": 30 * MS, "attributes": {"n": 2}}],
    },
    "score": {
        "trace": "a", "id": 3, "parent": 1, "name": "predict", "kind": "client", "start": 60 * MS, "end": 200 * MS,
        "resource": {"service.name": "scorer"}, "status": "error", "status_message": "slow model",
        "attributes": {"http.status": "503", "views": [], "age": 3, "zone": "us"},
        "scope": {"name": "sklearn", "version": "1.2", "attributes": {"language": "python"}},
    },
    "model": {
        "trace": "a", "id": 4, "parent": 3, "name": "predict", "start": 70 * MS, "end": 190 * MS,
        "resource": {"service.name": "scorer"}, "attributes": {"http.status": 500, "hit": False},
    },
    "ledger": {
        "trace": "b", "id": 5, "name": "consume", "kind": "consumer", "start": 400 * MS, "end": 450 * MS,
        "resource": {"service.name": "ledger"}, "attributes": {"order": "o-1"},
        "links": [{"trace": "a", "id": 3, "attributes": {"topic": "scores"}}],
    },
    "write": {
        "trace": "b", "id": 6, "parent": 5, "name": "insert", "start": 410 * MS, "end": 0,
        "resource": {"service.name": "ledger"},
    },
    "stray": {
        "trace": "b", "id": 7, "parent": 99, "name": "stray", "start": 420 * MS, "end": MAX_TIME,
        "resource": {"service.name": "ledger"},
    },
}  # fmt: skip
NAMES = list(ROWS)


@pytest.fixture(scope="module")
def by_trace() -> Spans:
    """Each trace for itself."""
    return Spans.of(table_of(list(ROWS.values())))


@pytest.fixture(scope="module")
def stitched() -> Spans:
    """One request across both traces: the consumer's link joins it below the score that it links to."""
    table = table_of(list(ROWS.values()))
    link = (np.array([NAMES.index("score")]), np.array([NAMES.index("ledger")]))
    return Spans(table, grow(table, np.zeros(len(table), np.int64), link))


def names(selector: Selector, spans: Spans) -> str:
    return " ".join(NAMES[row] for row in np.flatnonzero(selector.mask(spans)))


ALL = "gateway features score model ledger write stray"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ }", ALL),
        ("{ true }", ALL),
        ("{ false }", ""),
        # intrinsics
        ('{ span:name = "predict" }', "score model"),
        ("{ span:kind = client }", "features score"),
        ("{ span:status = error }", "score"),
        ('{ statusMessage = "slow model" }', "score"),
        ("{ span:duration > 100ms }", "gateway score model"),
        ("{ span:duration = nil }", "write stray"),
        ("{ span:duration < 1h }", "gateway features score model ledger"),
        ('{ span:id = "3" }', "score"),
        ('{ span:id != "0003" }', "gateway features model ledger write stray"),
        ('{ span:parentID = "63" }', "stray"),
        ("{ span:parentID = nil }", "gateway ledger"),
        ("{ span:childCount = 0 }", "features model write stray"),
        ("{ span:childCount > 1 }", "gateway"),
        ("{ trace:duration = 300ms }", "gateway features score model"),
        ("{ trace:duration = 50ms }", "ledger write stray"),
        ('{ trace:rootName = "consume" }', "ledger write stray"),
        ('{ trace:rootService = "gateway" }', "gateway features score model"),
        ('{ trace:id = "0cc175b9c0f1b6a831c399e269772661" }', "gateway features score model"),
        ('{ trace:id =~ "0cc1.*" }', "gateway features score model"),
        ('{ instrumentation:name = "sklearn" && instrumentation:version = "1.2" }', "score"),
        ('{ instrumentation.language = "python" }', "score"),
        ("{ nestedSetParent < 0 }", "gateway ledger"),
        ("{ nestedSetParent = 0 }", "stray"),
        ("{ nestedSetLeft = 1 }", "gateway ledger"),
        # scopes
        ('{ resource.zone = "eu" }', "gateway features"),
        ('{ .zone = "us" }', "score"),
        ('{ .zone = "eu" }', "gateway features"),
        ('{ span.zone = "us" }', "score"),
        ('{ parent.resource.service.name = "gateway" }', "features score"),
        ('{ parent.span.http.status = "503" }', "model"),
        ('{ parent.zone = "eu" }', "features score"),
        ("{ parent.resource.service.name != resource.service.name }", "score"),
        # missing, nil, types
        ("{ span.http.status != 200 }", "model"),
        ("{ span.http.status >= 200 }", "gateway model"),
        ('{ span.http.status >= "400" }', "score"),
        ('{ span.http.status =~ "5.." }', "score"),
        ("{ span.http.status = nil }", "features ledger write stray"),
        ("{ span.http.status != nil }", "gateway score model"),
        ("{ !(span.http.status = 200) }", "features score model ledger write stray"),
        ("{ span.hit }", "features"),
        ("{ span.hit = false }", "model"),
        ("{ !span.hit }", "gateway score model ledger write stray"),
        ("{ span.hit || span.http.status = 500 }", "features model"),
        # arrays
        ('{ span.views = "user" }', "features"),
        ('{ span.views != "user" }', ""),
        ('{ span.views != "other" }', "features"),
        ('{ span.views =~ "ca.*" }', "features"),
        ('{ span.views !~ "ca.*" }', ""),
        ('{ span.views !~ "x.*" }', "features"),
        ("{ span.views != 1 }", ""),
        ("{ span.views != nil }", "features score"),
        # numbers
        ("{ span.age > 1.4 && span.age < 1.6 }", "features"),
        ("{ span.age = 3.0 }", "score"),
        ("{ span.age * 2 = 3 }", "features"),
        ("{ span.age / 2 = 1.5 }", "score"),
        ("{ span.age % 2 = 1 }", "score"),
        ("{ span.age ^ 2 = 9 }", "score"),
        ("{ -span.age < -2 }", "score"),
        ("{ span.age / (span.age - 3) > 0 }", ""),
        ("{ span.big = 9007199254740993 }", "features"),
        ("{ span.big = 9007199254740992.0 }", ""),
        ("{ span:duration = 2 * 25ms }", "features ledger"),
        ("{ span:duration / 1ms > 140 - 1 }", "gateway score"),
        # events and links
        ('{ event:name = "retry" }', "features"),
        ('{ event:name != "retry" }', ""),
        ("{ event.n = 2 }", "features"),
        ("{ event.n != 1 }", "features"),
        ("{ event:timeSinceStart = 20ms }", "features"),
        ("{ event:timeSinceStart > 20ms }", ""),
        ("{ event.n = nil }", "gateway score model ledger write stray"),
        ("{ event.n > span.age }", "features"),
        ("{ event.n * 10ms = event:timeSinceStart }", "features"),
        ('{ link.topic = "scores" }', "ledger"),
        ('{ link:spanID = "3" && link:traceID = "0cc175b9c0f1b6a831c399e269772661" }', "ledger"),
        # spansets
        ('{ span:name = "predict" } && { span:kind = server }', "gateway score model"),
        ('{ span:name = "predict" } && { span:kind = consumer }', ""),
        ('{ span:name = "predict" } || { span:kind = consumer }', "score model ledger"),
        ('{ resource.service.name = "gateway" } > { span:name = "predict" }', "score"),
        ('{ resource.service.name = "gateway" } >> { span:name = "predict" }', "score model"),
        ('{ span:name = "predict" } < { }', "gateway score"),
        ("{ span.http.status = 500 } << { }", "gateway score"),
        ("{ span:status = error } ~ { }", "features"),
        ("{ } !> { }", "gateway ledger stray"),
        ("{ } !< { }", "features model write stray"),
        ('{ span:name = "POST /score" } !>> { }', "gateway ledger write stray"),
        ('{ span:name = "insert" } !<< { }', "gateway features score model write stray"),
        ("{ span:status = error } !~ { }", "gateway score model ledger write stray"),
        ("{ span:kind = server } &> { span:status = error }", "gateway score"),
        ("{ span:kind = server } &>> { span.http.status = 500 }", "gateway model"),
        ("{ span.http.status = 500 } &< { }", "score model"),
        ("{ span.http.status = 500 } &<< { }", "gateway score model"),
        ("{ span:status = error } &~ { span.hit }", "features score"),
        # pipelines
        ("{ } | count() = 4", "gateway features score model"),
        ("count() = 3", "ledger write stray"),
        ('{ span:name = "predict" } | count() = 2', "score model"),
        ("{ } | avg(span:duration) > 150ms", "gateway features score model"),
        ("{ } | min(span:duration) = 50ms", ALL),
        ("{ } | max(span:duration) - min(span:duration) > 200ms", "gateway features score model"),
        ("{ } | sum(span.age) = 4.5", "gateway features score model"),
        ("{ } | avg(span.nowhere) != 0", ""),
        ("{ } | sum(event.n) = 3", "gateway features score model"),
        ("{ } | by(resource.service.name) | count() = 2", "gateway features score model"),
        ("{ } | by(resource.service.name) | count() = 2 | { span:status = error }", "score"),
        ("{ } | by(span:name) | coalesce() | count() = 3", "ledger write stray"),
        ("{ } | by(span.age) | count() = 1", "features score"),
        ("{ } | select(span.age, span:name) | { span.age > 2 }", "score"),
        ("({ span.age > 2 } | count() = 1) > { }", "model"),
        ("{ span:status = error } | { span:name = `predict` }", "score"),
    ],
)  # fmt: skip
def test_a_selector_yields_the_spans_it_describes(by_trace: Spans, text: str, expected: str) -> None:
    assert names(parse(text), by_trace) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ resource.service.name = "gateway" } >> { resource.service.name = "ledger" }', "ledger write"),
        ("{ span:kind = consumer } << { }", "gateway score"),
        ("{ span:status = error } > { }", "model ledger"),
        ("{ span:kind = consumer } ~ { }", "model"),
        ('{ span:kind = consumer && parent.resource.service.name = "scorer" }', "ledger"),
        ("{ span:childCount = 2 }", "gateway score"),
        ("{ span:kind = server } && { span:kind = consumer }", "gateway ledger"),
        ("{ } | count() = 7", ALL),
        ('{ trace:rootName = "POST /score" }', ALL),
        ("{ trace:duration = 450ms }", ALL),
        ('{ trace:id =~ "0cc1.*" }', "gateway features score model"),
    ],
)
def test_structure_holds_over_the_stitched_request(stitched: Spans, text: str, expected: str) -> None:
    """A link counts as parenthood, and the request stands where a trace would."""
    assert names(parse(text), stitched) == expected


def test_a_mapping_selects_as_its_text_does(by_trace: Spans) -> None:
    assert (
        names(from_mapping({"service": "scorer", "name": "/pred.*/", "status": ["error", "ok"]}), by_trace) == "score"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{ span:name = "predict" && span:kind = server && resource.service.name = "scorer" }',
            [('span:name = "predict"', 2, ""), ("span:kind = server", 1, "score model"), ('resource.service.name = "scorer"', 2, "")],
        ),
        ("{ span:status = ok }", [("span:status = ok", 0, ALL)]),
        ("{ }", []),
        (
            '{ span:status = ok } > { span:name = "predict" }',
            [('span:name = "predict"', 2, ""), ("{ span:status = ok } > { }", 0, "score model")],
        ),
        (
            "{ span:kind = server } !> { span:kind = client }",
            [("span:kind = client", 2, "gateway model ledger write stray"), ("{ span:kind = server } !> { }", 5, "features score")],
        ),
        ('{ span:name = "x" } || { span:kind = server && span:status = ok }', [('span:name = "x"', 0, ALL), ("span:kind = server", 1, ""), ("span:status = ok", 0, "gateway")]),
        ("{ span:kind = server } &> { span:status = ok }", [("span:kind = server", 1, "features score model ledger write stray"), ("span:status = ok", 0, ALL)]),
        ("{ span:kind = client } | count() > 5", [("span:kind = client", 2, "gateway model ledger write stray"), ("count() > 5", 0, "features score")]),
        ("{ span:kind = client } | { span.hit } | by(span:name) | count() = 2", [("span:kind = client", 2, ""), ("span.hit", 1, "score"), ("count() = 2", 0, "features")]),
        ("count() > 5", [("count() > 5", 0, ALL)]),
    ],
)  # fmt: skip
def test_near_misses_name_the_condition_that_kept_spans_out(
    by_trace: Spans, text: str, expected: list[tuple[str, int, str]]
) -> None:
    found = parse(text).near_misses(by_trace)
    assert [
        (miss.condition, miss.matched, " ".join(NAMES[n] for n in np.flatnonzero(miss.mask))) for miss in found
    ] == expected
    assert [miss.all_but for miss in found] == [int(miss.mask.sum()) for miss in found]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("span:id", [f"{n:016x}" for n in range(1, 8)]),
        ("span:parentID", [None, *(f"{n:016x}" for n in (1, 1, 3)), None, f"{5:016x}", f"{99:016x}"]),
        ("kind", ["server", "client", "client", "internal", "consumer", "internal", "internal"]),
        ("status", ["unset", "unset", "error", "unset", "unset", "unset", "unset"]),
        ("duration", [300 * MS, 50 * MS, 140 * MS, 120 * MS, 50 * MS, None, None]),
        ("span.views", [None, ("user", "card"), (), None, None, None, None]),
        (".zone", ["eu", "eu", "us", None, None, None, None]),
        ("event.n", [None, 1, None, None, None, None, None]),
        ("link:spanID", [None, None, None, None, f"{3:016x}", None, None]),
        ("parent.span.order", [None, "o-1", "o-1", None, None, "o-1", None]),
    ],
)
def test_a_field_gives_one_value_a_span(by_trace: Spans, field: str, expected: list[Any]) -> None:
    column = parse_field(field).column(by_trace)
    assert [column[row] for row in range(len(NAMES))] == expected
    assert all(value is not None for value in column.values)


def test_numbers_of_a_field_stay_what_they_are(by_trace: Spans) -> None:
    """Floats as floats, integers as integers beyond 2^53, all else marked as no number."""
    ages, big = parse_field("span.age").numbers(by_trace), parse_field("span.big").numbers(by_trace)
    assert ages.valid.tolist() == [False, True, True, False, False, False, False]
    assert ages.as_floats()[ages.valid].tolist() == [1.5, 3.0]
    assert big.ints[big.is_int].tolist() == [2**53 + 1]
    assert not parse_field("span.http.status").numbers(by_trace).valid[NAMES.index("score")]


def test_what_was_read_is_kept(by_trace: Spans) -> None:
    """A second selector over the same field decodes nothing anew."""
    parse("{ span.age > 1 }").mask(by_trace)
    kept = dict(by_trace.columns)
    parse("{ span.age < 1 } > { span.age = 2 }").mask(by_trace)
    assert {field: values for field, values in by_trace.columns.items() if field in kept} == kept


def test_a_regular_expression_takes_time_linear_in_the_text() -> None:
    """A pattern that makes backtracking engines run for ever."""
    spans = Spans.of(table_of([{"trace": "t", "id": 1, "attributes": {"a": "a" * 50_000}}]))
    begun = time.perf_counter()
    assert not parse('{ span.a =~ "(a*)*(a|aa)*b" }').mask(spans).any()
    assert time.perf_counter() - begun < 1
