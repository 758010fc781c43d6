"""What `query` finds, counts and prints."""

from __future__ import annotations

import doctest
import importlib
import json
from collections.abc import Sequence

import pytest

from scoring_traces import FLOW, document, resource, scoring, span
from spanverdict.app.query import Matches, as_json, as_text, match_requests, match_traces
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.json import convert
from spanverdict.rulefiles.loader import load
from spanverdict.selectors import parse
from spanverdict.telemetry.spantable import SpanTable


def table(resources: Sequence[dict] | None = None) -> SpanTable:
    return decode(convert(json.loads(document(resources or scoring()))).payload, new_pool()).table


def matched(selector: str, resources: Sequence[dict] | None = None) -> Matches:
    return match_traces(parse(selector), table(resources))


def in_requests(selector: str) -> Matches:
    problems = Problems()
    flow = load(FLOW, "flow.yaml", problems)
    assert flow is not None, problems.sorted()
    return match_requests(parse(selector), table(), flow)


def names(found: Matches) -> list[str]:
    spans = found.spans.table
    return [spans.pool.string(int(spans.name[row])) for row in found.rows]


def column(text: str, heading: str) -> list[str]:
    """Cut one column out of a table, by where its heading stands."""
    head, *lines = text.split("\n\n", maxsplit=1)[0].splitlines()
    start = head.index(heading)
    return [line[start:].split("  ")[0].strip() for line in lines]


def test_matches_come_in_the_order_in_which_they_started() -> None:
    late = [span((1, 1), "b", "server", 5, 1), span((2, 2), "a", "server", 3, 1), span((3, 3), "c", "server", 1, 1)]
    assert names(matched("{ }", [resource("x", late)])) == ["c", "a", "b"]


def test_a_span_that_was_sent_twice_is_one_match() -> None:
    found = matched('{ span:name = "predict" }', [*scoring(), *scoring()])
    assert (found.matched(), found.searched(), found.groups()) == (4, 11, (4, 7, "traces"))


def test_structure_ends_with_the_trace_and_does_not_end_there_within_a_request() -> None:
    selector = '{ span:name = "POST /score" } >> { span:name = "notify" }'
    assert len(matched(selector).rows) == 0
    found = in_requests(selector)
    assert names(found) == ["notify"] * 3
    assert found.groups() == (3, 4, "requests")


def test_a_span_of_several_requests_matches_in_each_and_counts_once() -> None:
    problems = Problems()
    flow = load(FLOW, "flow.yaml", problems)
    assert flow is not None
    batch = span((9, 9), "notify", "consumer", 90, 1, links=[(1, 1), (2, 2)])
    ingest = [span((n, n), "POST /score", "server", n, 1, order__id=f"o-{n}") for n in (1, 2)]
    spans = table([resource("gateway", ingest), resource("ledger", [batch])])
    found = match_requests(parse('{ span:name = "notify" }'), spans, flow)
    assert (len(found.rows), found.matched(), found.groups()) == (2, 1, (2, 2, "requests"))
    assert column(as_text(found, 0), "REQUEST") == ["o-1", "o-2"]


def test_a_span_of_no_request_says_so() -> None:
    problems = Problems()
    flow = load(FLOW, "flow.yaml", problems)
    assert flow is not None
    spans = table([*scoring(), resource("cron", [span((70, 70), "tick", "internal", 0, 1)])])
    found = match_requests(parse('{ span:name = "tick" }'), spans, flow)
    assert column(as_text(found, 0), "REQUEST") == ["-"]
    assert json.loads(as_json(found, 0))["spans"][0]["request"] is None


def test_fields_in_select_become_columns_wherever_in_the_pipeline_they_stand() -> None:
    text = as_text(matched('{ span:name = "predict" } | select(span.score) | select(duration, span.none)'), 0)
    assert column(text, "span.score") == ["0.1", "0.2", "0.3", "0.4"]
    assert column(text, "span:duration") == ["20ms"] * 4
    assert column(text, "span.none") == ["-"] * 4


def test_the_limit_says_what_it_keeps_back_and_the_counts_are_of_all() -> None:
    found = matched("{ }")
    text = as_text(found, 3)
    assert len(column(text, "NAME")) == 3
    assert text.endswith("11 of 11 spans matched, in 7 of 7 traces\n8 more are not shown; --limit 0 shows all\n")
    data = json.loads(as_json(found, 3))
    assert (len(data["spans"]), data["matches"], data["matched_spans"]) == (3, 11, 11)
    assert "not shown" not in as_text(found, 11)


def test_where_nothing_matched_the_nearest_are_named() -> None:
    text = as_text(matched('{ span:name = "notify" && span:kind = client && resource.service.name = "ledger" }'), 0)
    assert text == (
        "nothing matched: 0 of 11 spans in 7 traces\n"
        "  3 spans match all but `span:kind = client`: span:kind is consumer in 2, internal in 1\n"
    )


def test_near_misses_show_texts_in_quotes_durations_as_a_range_and_absence() -> None:
    text = as_text(matched('{ span:name = "x" }'), 0)
    assert 'span:name is "POST /score" in 4, "predict" in 4, "notify" in 3' in text
    assert "span:duration is 5ms to 54ms in 11" in as_text(matched("{ span:duration > 1h }"), 0)
    assert "span.score is absent in 7, 0.1 in 1, 0.2 in 1, something else in 2" in as_text(
        matched("{ span.score > 1 }"), 0
    )
    assert "`trace:id" in as_text(matched(f'{{ trace:id = "{77:032x}" }}'), 0)


def test_no_spans_at_all_is_said() -> None:
    found = match_traces(parse("{ }"), SpanTable.empty(new_pool()))
    assert as_text(found, 0) == "nothing matched: there are no spans\n"
    assert json.loads(as_json(found, 0))["searched_spans"] == 0


def test_json_has_everything_that_a_span_carries() -> None:
    (data,) = json.loads(as_json(matched('{ span:name = "predict" && span:status = error } | select(span.score)'), 0))[
        "spans"
    ]
    assert data == {
        "trace_id": f"{4:032x}",
        "span_id": f"{65:016x}",
        "parent_span_id": f"{64:016x}",
        "name": "predict",
        "kind": "internal",
        "status": "error",
        "status_message": "refused",
        "start": "2026-03-02T09:00:00.410000000Z",
        "end": "2026-03-02T09:00:00.430000000Z",
        "duration_ns": 20_000_000,
        "attributes": {"score": 0.4, "cache.hit": True},
        "resource": {"service.name": "scorer"},
        "selected": {"span.score": 0.4},
    }


def test_times_that_no_clock_shows_are_no_numbers() -> None:
    unfinished = {**span((1, 1), "a", "server", 0, 1), "endTimeUnixNano": "0"}
    beyond = {**span((2, 2), "b", "server", 0, 1), "endTimeUnixNano": str(2**64 - 1)}
    found = matched("{ }", [resource("x", [unfinished, beyond])])
    assert column(as_text(found, 0), "DURATION") == ["-", "-"]
    assert [one["duration_ns"] for one in json.loads(as_json(found, 0))["spans"]] == [None, None]


HOSTILE = "\x1b[31m\r\n::error::\u202e\x00</script>"


def test_nothing_that_came_with_a_span_commands_the_terminal() -> None:
    bad = span((1, 1), HOSTILE, "server", 0, 1, value=HOSTILE, many=[HOSTILE, 1])
    spans = table([resource(HOSTILE, [bad])])
    text = as_text(match_traces(parse("{ } | select(span.value, span.many)"), spans), 0)
    near = as_text(match_traces(parse('{ span.value = "x" }'), spans), 0)
    data = as_json(match_traces(parse("{ } | select(span.value, span.many)"), spans), 0)
    for printed in (text, near, data):
        assert printed.replace("\n", "").isprintable()
        assert "\n::" not in printed
        assert len(printed.splitlines()) == printed.count("\n")
    assert json.loads(data)["spans"][0]["attributes"]["value"] == HOSTILE


def test_long_values_are_cut() -> None:
    bad = span((1, 1), "n" * 5000, "server", 0, 1, value="v" * 5000, many=["w" * 5000] * 50)
    text = as_text(matched("{ } | select(span.value, span.many)", [resource("s" * 5000, [bad])]), 0)
    assert max(map(len, text.splitlines())) < 700


@pytest.mark.parametrize("name", ["values", "query"])
def test_every_example_in_a_docstring_is_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"spanverdict.app.{name}"))
    assert result.attempted
    assert not result.failed
