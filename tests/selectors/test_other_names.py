"""A renamed attribute is found under each of its names, its own first; what is stored stays as it came."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ruleruns import call, flow_of, judged
from spantables import Row, table_of
from spanverdict.app.explain import explain_rule
from spanverdict.app.sources import RunSpans
from spanverdict.evaluation.absentfields import absent_fields
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.selectors import parse, parse_field
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.semconv import BORROWED, RENAMED, other_names

REFERENCE = (Path(__file__).parents[2] / "rules" / "README.md").read_text(encoding="utf-8")


def spans_of(*attributes: dict[str, object], scope: str = "attributes") -> Spans:
    rows: list[Row] = [{"trace": "a", "id": number, scope: each} for number, each in enumerate(attributes, 1)]
    return Spans.of(table_of(rows))


def selected(text: str, spans: Spans) -> list[int]:
    return [int(number) + 1 for number in np.flatnonzero(parse(text).mask(spans))]


# the table


def test_a_name_belongs_to_one_attribute() -> None:
    names = [name for current, older in RENAMED.items() for name in (current, *older)]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for borrowed in BORROWED.values() for name in borrowed if name in names] == []


def test_every_name_finds_all_the_others() -> None:
    for current, older in RENAMED.items():
        for name in (current, *older):
            assert {name, *other_names(name)} >= {current, *older}
            assert name not in other_names(name)
    assert other_names("triton.model_name") == ()


@pytest.mark.parametrize("name", sorted({*RENAMED, *BORROWED}))
def test_every_name_is_in_the_reference(name: str) -> None:
    (row,) = [line for line in REFERENCE.splitlines() if line.startswith(f"| `{name}` |")]
    shown = re.findall(r"`([^`]+)`", row)[1:]
    assert shown == [*RENAMED.get(name, ()), *BORROWED.get(name, ())]


# selectors and fields


@pytest.mark.parametrize("asked", ["http.response.status_code", "http.status_code"])
@pytest.mark.parametrize("scope", ["span", "parent.span", ".", "any"])
def test_either_name_finds_either(asked: str, scope: str) -> None:
    field = f"{scope.rstrip('.')}.{asked}"
    rows: list[Row] = [
        {"trace": "a", "id": 1, "attributes": {"http.response.status_code": 500}},
        {"trace": "a", "id": 2, "parent": 1, "attributes": {"http.status_code": 500}},
        {"trace": "a", "id": 3, "parent": 2, "attributes": {"http.status_code": 200}},
        {"trace": "a", "id": 4, "parent": 3},
    ]
    spans = Spans.of(table_of(rows))
    below = 1 if scope.startswith("parent") else 0
    assert selected(f"{{ {field} = 500 }}", spans) == [1 + below, 2 + below]
    assert selected(f"{{ {field} != nil }}", spans) == [1 + below, 2 + below, 3 + below]


def test_the_own_name_comes_first() -> None:
    """Instrumentations in the middle of a change write both."""
    spans = spans_of({"http.method": "_OTHER", "http.request.method": "GET"}, {"http.method": "PUT"}, {})
    assert list(parse_field("span.http.request.method").column(spans)) == ["GET", "PUT", None]
    assert list(parse_field("span.http.method").column(spans)) == ["_OTHER", "PUT", None]


@pytest.mark.parametrize(
    ("scope", "key", "field"),
    [
        ("resource", "deployment.environment", "resource.deployment.environment.name"),
        ("attributes", "triton.model_name", "span.ml.model.name"),
        ("attributes", "llm.token_count.prompt", "span.gen_ai.usage.input_tokens"),
        ("attributes", "messaging.kafka.consumer_group", "span.messaging.consumer.group.name"),
    ],
)
def test_names_of_every_scope_and_of_other_frameworks(scope: str, key: str, field: str) -> None:
    spans = spans_of({key: "x"}, {}, scope=scope)
    assert list(parse_field(field).column(spans)) == ["x", None]
    assert not parse_field(field).carried(spans).any()


def test_numbers_under_two_names_are_one_column() -> None:
    spans = spans_of(
        {"gen_ai.usage.input_tokens": 7}, {"gen_ai.usage.prompt_tokens": 9}, {"llm.token_count.prompt": 11.5}
    )
    assert list(parse_field("span.gen_ai.usage.input_tokens").column(spans)) == [7, 9, 11.5]


def test_what_is_stored_stays_as_it_came() -> None:
    spans = spans_of({"http.method": "GET"})
    assert selected('{ span.http.request.method = "GET" }', spans) == [1]
    assert list(spans.table.attribute("http.method")) == ["GET"]
    assert list(spans.table.attribute("http.request.method")) == [None]


def test_other_attributes_have_no_other_names() -> None:
    spans = spans_of({"order.id": 1}, {"order": 1})
    assert selected("{ span.order.id = 1 }", spans) == [1]


# rules


def with_status(**attributes: object) -> list[Row]:
    return [row for number in range(3) for row in call(f"{number + 1:032x}", 1000 * number, score=attributes)]


NO_ERRORS = "- {id: r, count: '{ span.NAME >= 500 }', expect: {count: '== 0'}}"


@pytest.mark.parametrize("name", ["http.status_code", "http.response.status_code"])
def test_a_renamed_attribute_does_not_hide_errors(name: str) -> None:
    """A count of nothing would pass where only the name has changed."""
    for stored in ("http.status_code", "http.response.status_code"):
        rows = with_status(**{stored: 503})
        assert judged(rows, flow_of(NO_ERRORS.replace("NAME", name)))["r"].outcome == "failed"


def test_groups_are_by_value_whatever_the_name() -> None:
    rows = [*with_status(**{"db.system": "redis"})[:3], *with_status(**{"db.system.name": "redis"})[3:]]
    found = judged(
        rows, flow_of("- {id: r, latency: {stage: score, of: each}, per: span.db.system.name, expect: {max: '< 1s'}}")
    )
    assert list(found) == ["r[redis]"]


def test_coverage_asks_for_the_name_itself() -> None:
    """Whether services describe their spans by today's conventions is what it is there to tell."""
    rule = "- {id: r, coverage: {stages: [score], attributes: [span.http.request.method]}, expect: {every: '== true'}}"
    assert judged(with_status(**{"http.request.method": "GET"}), flow_of(rule))["r"].outcome == "passed"
    assert judged(with_status(**{"http.method": "GET"}), flow_of(rule))["r"].outcome == "failed"
    flow, spans = flow_of(rule), spans_of({"http.method": "GET"})
    assert absent_fields(flow.rules[0], spans) == [
        "no span carries span.http.request.method; did you mean span.http.method?"
    ]
    assert absent_fields(flow_of(NO_ERRORS.replace("NAME", "http.request.method")).rules[0], spans) == []


def test_explain_says_which_name_was_read() -> None:
    flow = flow_of("- {id: r, count: '{ span.http.request.method = \"GET\" }', expect: {count: '> 0'}}")
    table = table_of([*with_status(**{"http.method": "GET"}), *call("f", 5000, score={"http.request.method": "GET"})])
    said = explain_rule(flow.rules[0], flow, RunSpans(RunInfo("run"), table))
    assert "other names\n  span.http.request.method is span.http.method in 3 spans\n" in said
    own = table_of(call("f", 5000, score={"http.request.method": "GET"}))
    assert "other names" not in explain_rule(flow.rules[0], flow, RunSpans(RunInfo("run"), own))
