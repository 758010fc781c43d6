"""Drafted flows: they lint clean, the run that they came from passes them, and they say what was there."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spanverdict.drafting
from spanverdict.app.offline import read_spans
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.render import render_all
from spanverdict.drafting.draft import NothingToDraftError, draft
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated, RunFinished, RunInfo
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.json import json_to_protobuf
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.ruletest.notation import read_notation
from spanverdict.ruletest.payload import SpanBlock, otlp_json
from spanverdict.telemetry.spantable import SpanTable

TOP = Path(__file__).parents[2]
RECORDED = sorted([*TOP.glob("rules/*/traces/*.json"), *TOP.glob("tests/traces/*.json")])


def table(*blocks: tuple[str, int]) -> SpanTable:
    """Return written spans, each text with how often it is repeated."""
    written = []
    for text, repeat in blocks:
        spans, mistakes = read_notation(text)
        assert not mistakes, [mistake.message for mistake in mistakes]
        written.append(SpanBlock(spans, repeat))
    return decode(json_to_protobuf(otlp_json(written).encode()).payload, new_pool()).table


def drafted(found: SpanTable, name: str | None = None) -> tuple[Flow, str]:
    """Draft a flow, and prove that nothing is to be said of it and that its own run passes."""
    text = draft(found, name)
    problems = Problems()
    flow = load(text, "draft.yaml", problems)
    assert not problems.sorted(), render_all(problems.sorted())
    assert flow is not None
    events = list(evaluate([flow], found, RunInfo("again")))
    outcomes = {event.result.id: event.result for event in events if isinstance(event, RuleEvaluated)}
    assert {result.outcome for result in outcomes.values()} == {Outcome.PASSED}, outcomes
    (end,) = (event for event in events if isinstance(event, RunFinished))
    assert end.outcome is Outcome.PASSED
    return flow, text


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parts[-3]} {path.stem}") for path in RECORDED])
def test_a_recorded_run_passes_the_flow_that_is_drafted_from_it(path: Path) -> None:
    flow, text = drafted(read_spans([str(path)]))
    assert "end-to-end" in text or "whole-path" in text
    assert flow.stages


SCORING = """
gateway POST /score server 0ms..180ms  request.id=r-{n}
  gateway get_online_features client 2ms..14ms
    features lookup server 4ms..12ms  feature_store.feature.age=12.5
  scorer predict 20ms..140ms  score=0.93
  gateway publish producer 150ms..160ms
ledger consume consumer 200ms..220ms  link=publish
"""


def test_stages_stand_in_path_order_and_requests_end_where_the_last_of_them_ends() -> None:
    flow, text = drafted(table((SCORING, 50)))
    assert flow.name == "gateway"
    assert [stage.name for stage in flow.stages] == ["gateway", "features", "predict", "publish", "ledger"]
    assert (flow.request.starts_at, flow.request.ends_at) == ("gateway", "ledger")
    assert str(flow.request.key) == "span.request.id"
    assert [rule.id for rule in flow.rules] == [
        "end-to-end", "whole-path", "errors", "wait-ledger", "time-predict", "time-publish", "time-ledger",
        "fresh-features", "range-predict",
    ]  # fmt: skip
    assert "# seen: p95 = 220ms, max = 220ms" in text
    assert "Packs with more rules" not in text


def test_limits_leave_room_above_what_was_seen() -> None:
    flow, _ = drafted(table((SCORING, 50)))
    conditions = {rule.id: [str(line.condition) for line in rule.expect] for rule in flow.rules}
    assert conditions["end-to-end"] == ["< 400ms", "< 500ms"]
    assert conditions["whole-path"] == [">= 99%"]
    assert conditions["errors"] == ["<= 1%"]
    assert conditions["fresh-features"] == ["< 20s"]
    assert conditions["range-predict"] == ["0..1"]


def test_a_request_that_ends_with_its_server_ends_there() -> None:
    flow, _ = drafted(table(("a GET /x server 0ms..90ms\n  b work server 10ms..50ms", 5)))
    assert (flow.request.starts_at, flow.request.ends_at) == ("a", "a")


def test_routes_of_one_service_are_one_entry() -> None:
    flow, _ = drafted(table(("a GET /x server 0ms..90ms", 5), ("a GET /y server 0ms..50ms", 5)))
    assert str(flow.stages[0].selector) == '{ resource.service.name = "a" && span:kind = server }'


def test_names_that_are_values_are_left_open() -> None:
    blocks = [(f"a handle server 0ms..90ms\n  b item-{number} consumer 1ms..2ms", 1) for number in range(40)]
    flow, _ = drafted(table(*blocks))
    assert str(flow.stages[1].selector) == '{ resource.service.name = "b" && span:kind = consumer }'


def test_what_not_every_request_has_may_be_absent() -> None:
    flow, text = drafted(table((SCORING, 16), (SCORING.splitlines()[1], 4)))
    counts = {stage.name: stage.count.minimum for stage in flow.stages}
    assert counts == {"gateway": 1, "features": 0, "predict": 0, "publish": 0, "ledger": 0}
    assert "seen in 16 of 20 requests" in text


def test_traces_that_only_a_value_joins_are_joined_by_it() -> None:
    text = "a POST server 0ms..9ms  order.id=o-{n}\nb book consumer 20ms..30ms  order.id=o-{n}"
    flow, _ = drafted(table((text, 10)))
    assert [str(field) for field in flow.request.correlate] == ["span.order.id"]
    assert [stage.name for stage in flow.stages] == ["a", "b"]


def test_a_value_that_several_requests_share_joins_nothing_and_names_nothing() -> None:
    text = "a POST server 0ms..9ms  tenant.id=t\nb book consumer 20ms..30ms  tenant.id=t"
    flow, _ = drafted(table((text, 10)))
    assert flow.request.correlate == ()
    assert flow.request.key is None


def test_rules_that_the_run_cannot_decide_are_left_out_with_the_reason() -> None:
    whole, cut = SCORING, "\n".join(SCORING.splitlines()[:-1])
    flow, text = drafted(table((whole, 46), (cut, 4)))
    assert "end-to-end" not in {rule.id for rule in flow.rules}
    assert "\n# Left out, as this run cannot decide them:\n#   end-to-end: " in text


def test_failures_that_were_seen_are_not_called_impossible() -> None:
    flow, _ = drafted(table(("a GET server 0ms..9ms", 8), ("a GET server 0ms..9ms status=error", 2)))
    (errors,) = (rule for rule in flow.rules if rule.id == "errors")
    assert str(errors.expect[0].condition) == "<= 31%"


def test_packs_that_fit_are_named() -> None:
    found = table(("a GET server 0ms..9ms  http.request.method=GET\n  a q client 1ms..2ms  db.system.name=redis", 3))
    assert "# Packs with more rules about what these services do, to be included: database, http.\n" in draft(found)


@pytest.mark.parametrize(
    "service",
    [
        'say "hi"',
        "it's: {a} # b",
        "/regex/",
        "on",
        "-",
        "日本",
        "a\\nb",
        "true",
        "*x",
        "&a",
        "1.5",
        "${p95}",
        "1e3",
        "null",
    ],
)
def test_any_name_is_written_so_that_it_is_read_back(service: str) -> None:
    quoted = service.replace('"', '\\"')
    flow, _ = drafted(table((f'"{quoted}" "{quoted}" server 0ms..90ms\n  b "{quoted}" consumer 1ms..2ms', 3)))
    assert len(flow.stages) == 2


def test_a_flow_can_be_named() -> None:
    assert drafted(table((SCORING, 2)), "My Flow")[0].name == "my-flow"


def test_without_spans_there_is_no_draft() -> None:
    with pytest.raises(NothingToDraftError, match="no spans"):
        draft(SpanTable.empty(new_pool()))


LINES = st.builds(
    "{} {} {} {}ms..{}ms  n.id={}{}".format,
    st.sampled_from("abc"),
    st.sampled_from(["x", "y", "z z"]),
    st.sampled_from(["server", "client", "producer", "consumer", "internal"]),
    st.integers(0, 5),
    st.integers(5, 40),
    st.integers(0, 3),
    st.sampled_from(["", "-{n}", " status=error", " lost", " score=0.5", " feature_store.feature.age=-3"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), LINES), min_size=1, max_size=6), st.integers(1, 5))
def test_whatever_comes_the_draft_is_passed_by_its_own_run(lines: list[tuple[int, str]], repeat: int) -> None:
    depth, text = -1, []
    for wanted, line in lines:
        depth = min(wanted, depth + 1)
        text.append("  " * depth + line)
    found = table(("\n".join(text), repeat))
    try:
        drafted(found)
    except NothingToDraftError:
        assert not len(found)


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(spanverdict.drafting.__path__)])
def test_the_examples_in_the_source_are_right(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"spanverdict.drafting.{name}")).failed == 0
