"""The whole selector language through `query`: recorded as OTLP, read from a file, printed as JSON.

The spans and most examples are those of the language's reference, where they stand for a rule's
requests; over traces alone some of them select something else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from rules.reference import Example, examples
from rules.reference_spans import BEGIN, FLOW, MS, SCORER, entries, ids
from scoring_traces import KINDS, attributes, document
from spantables import trace_bytes
from spanverdict.cli import main

NUMBERS = ids()
STATUSES = {"unset": 0, "ok": 1, "error": 2}
SELECTED = [pytest.param(each, id=each.name) for each in examples() if each.matches is not None]
REFUSED = [pytest.param(each, id=each.name) for each in examples() if each.matches is None]

Query: TypeAlias = Callable[..., tuple[int, frozenset[str], str]]


def recorded(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one span of the reference as the resource spans that its service would send."""
    known = {each["id"]: each for each in entries()}
    own: dict[str, dict[str, Any]] = SCORER if entry["service"] == "scorer" else {}
    scope = own.get("scope", {})
    start = BEGIN + entry["at"] * MS
    span = {
        "traceId": trace_bytes(entry["trace"]).hex(),
        "spanId": f"{NUMBERS[entry['id']]:016x}",
        **({"parentSpanId": f"{NUMBERS[entry['in']]:016x}"} if "in" in entry else {}),
        "name": entry["name"],
        "kind": KINDS[entry["kind"]],
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + entry["took"] * MS),
        "attributes": attributes(entry.get("attributes", {})),
        "status": {"code": STATUSES[entry.get("status", "unset")], "message": entry.get("message", "")},
        "events": [
            {
                "name": event["name"],
                "timeUnixNano": str(BEGIN + event["at"] * MS),
                "attributes": attributes(event["attributes"]),
            }
            for event in entry.get("events", ())
        ],
        "links": [
            {
                "traceId": trace_bytes(known[link["to"]]["trace"]).hex(),
                "spanId": f"{NUMBERS[link['to']]:016x}",
                "attributes": attributes(link["attributes"]),
            }
            for link in entry.get("links", ())
        ],
    }
    resource = {"service.name": entry["service"], **own.get("resource", {})}
    return {
        "resource": {"attributes": attributes(resource)},
        "scopeSpans": [
            {
                "scope": {
                    "name": scope.get("name", ""),
                    "version": scope.get("version", ""),
                    "attributes": attributes(scope.get("attributes", {})),
                },
                "spans": [span],
            }
        ],
    }


@pytest.fixture(scope="module")
def recording() -> str:
    return document([recorded(entry) for entry in entries()])


@pytest.fixture
def query(recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Query:
    """Query the recording; give the exit code, the ids of the reference that matched, and standard error."""
    (tmp_path / "traces.json").write_text(recording, encoding="utf-8")
    (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = {f"{number:016x}": name for name, number in NUMBERS.items()}

    def ask(selector: str, *more: str) -> tuple[int, frozenset[str], str]:
        arguments = ["query", selector, "--input", "traces.json", "--json", "--limit", "0", *more]
        monkeypatch.setattr(sys, "argv", ["spanverdict", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        found = json.loads(captured.out)["spans"] if captured.out else []
        assert isinstance(ended.value.code, int)
        return int(ended.value.code), frozenset(names[span["span_id"]] for span in found), captured.err

    return ask


@pytest.mark.parametrize("example", SELECTED)
def test_query_selects_in_requests_what_the_reference_says(example: Example, query: Query) -> None:
    assert example.matches is not None
    expected = (0 if example.matches else 1, example.matches, "")
    assert query(example.text, "--rules", "flow.yaml") == expected


@pytest.mark.parametrize("example", REFUSED)
def test_query_refuses_what_the_reference_says(example: Example, query: Query) -> None:
    code, found, error = query(example.text)
    assert (code, found) == (2, frozenset())
    assert example.message in error
    assert "^" in error


A, B, C = "in1 feat1 try1 score1 send1", "book1 row1", "in2 feat2"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        # a trace is looked at by itself
        ("{ span:kind = producer } >> { }", ""),
        ('{ span:name = "POST /score" } >> { span:kind = client }', ""),
        ("{ span:kind = consumer } > { }", "row1"),
        ("{ span:kind = producer } && { span:kind = consumer }", ""),
        ("{ span:kind = producer } || { span:kind = consumer }", "send1 book1"),
        ("{ span:kind = consumer } !>> { span:kind = client }", ""),
        ("{ span:kind = consumer } !>> { span:kind = server }", "in1 feat1 try1 score1 in2 feat2"),
        ("{ trace:duration = 180ms }", A),
        ("{ traceDuration = 40ms }", B),
        ('{ trace:rootService = "ledger" }', B),
        ('{ rootServiceName = "gateway" }', f"{A} {C}"),
        ('{ rootName = "process" }', B),
        (f'{{ trace:id = "{trace_bytes("B").hex()}" }}', B),
        (f'{{ link:traceID = "{trace_bytes("A").hex()}" }}', "book1"),
        ("{ } | count() = 2", f"{B} {C}"),
        ("{ } | count() * 2 = 10", A),
        ("{ } | max(span:duration) - min(span:duration) = 20ms", B),
        ("{ } | avg(duration) = 15ms", C),
        ("{ } | sum(duration) < 61ms", f"{B} {C}"),
        ("{ } | by(span:name) | count() = 2", "try1 score1"),
        ("{ } | by(span:name) | count() = 2 | coalesce() | count() = 2", "try1 score1"),
        ("{ span:kind = server } | { span:status = error } | select(span.attempt)", "try1 in2"),
        # intrinsics, old and new, at the edges of trees
        ("{ nestedSetLeft = 1 }", "in1 book1 in2"),
        ("{ nestedSetRight = 10 }", "in1"),
        ("{ nestedSetParent = 1 }", "feat1 try1 score1 send1 row1 feat2"),
        ("{ span:childCount = 1 }", "book1 in2"),
        ('{ span:parentID = "8" }', "feat2"),
        ('{ span:id = "0000000000000009" || span:id = "9" }', "feat2"),
        ("{ event:timeSinceStart = 25ms }", "try1"),
        ("{ event:timeSinceStart != nil }", "try1"),
        ('{ instrumentation:version != "2.1" }', f"in1 feat1 send1 {B} {C}"),
        # statics
        ("{ span:duration = 30000000 }", "feat1 try1"),
        ("{ span:duration = 0h0m0.03s }", "feat1 try1"),
        ("{ span:duration >= 30ms && span:duration <= 30000000ns }", "feat1 try1"),
        ("{ span:duration < 3000.5us }", "send1"),
        ("{ span.feature.age > 12 && span.feature.age < 13 }", "feat1"),
        ("{ span.feature.age = 90.0 }", "feat2"),
        ("{ span.attempt = 2.0 }", "score1"),
        ("{ resource.service.version = `7` }", "try1 score1"),
        ("{ resource.service.version = 7 }", ""),
        # logic
        ("{ true && !false }", f"{A} {B} {C}"),
        ("{ !(span:kind = server || span:kind = client) }", "send1 book1"),
        ("{ span.attempt = 1 || span.attempt = 2 && span.score > 1 }", "try1"),
        ("{ 2 ^ 3 ^ 0 = 2 && span.attempt = 1 }", "try1"),
        ("{ -span.attempt ^ 2 = -4 }", "score1"),
        ("{ (span.attempt + 1) * 2 % 4 = 2 }", "score1"),
        ("{ 180ms = span:duration }", "in1"),
        ('{ parent.span.user.tier != nil && .service.name !~ "gate.*|feat.*" }', "try1 score1"),
        ('{ parent.service.name = "ledger" }', "row1"),
        ("({ span.attempt = 1 } | count() = 1) || { span.db.rows = 1 }", "try1 row1"),
        ("{ span:status = error } &~ { span:kind = producer }", "try1 send1"),
        ("{ span:kind = client } &<< { }", B),
    ],
)
def test_query_looks_at_traces_one_by_one(selector: str, names: str, query: Query) -> None:
    expected = frozenset(names.split())
    assert query(selector) == (0 if expected else 1, expected, "")


@pytest.mark.parametrize(
    "name", ["rate", "count_over_time", "quantile_over_time", "histogram_over_time", "topk", "compare"]
)
def test_metrics_functions_are_known_and_not_evaluated(name: str, query: Query) -> None:
    code, _, error = query(f"{{ }} | {name}(span:duration)")
    assert code == 2
    assert f"`{name}()` makes time series" in error


@pytest.mark.parametrize(
    "selector",
    [
        "{" * 10_000,
        "(" * 500 + "{ }",
        "{ span.a = 1" + " || span.a = 1" * 600 + " }",
        "{ " + "!" * 100 + "true }",
        "\x00",
        "\u202e{ }",
        "",
    ],
)
def test_no_text_is_too_long_or_too_deep_to_be_refused_in_words(selector: str, query: Query) -> None:
    code, _, error = query(selector)
    assert code == 2
    assert error.endswith("the selector cannot be used\n")
    assert error.replace("\n", "").isprintable()
    assert max(map(len, error.splitlines())) < 600


def test_integers_and_times_are_exact_to_the_last_digit(tmp_path: Path, query: Query) -> None:
    big = 2**53 + 1
    entry = {"id": "in1", "trace": "A", "service": "x", "name": "n", "kind": "server", "at": 0, "took": 0}
    spans = recorded({**entry, "attributes": {"big": big, "least": -(2**63), "most": 2**63 - 1}})
    span = spans["scopeSpans"][0]["spans"][0]
    span["endTimeUnixNano"] = str(int(span["startTimeUnixNano"]) + big)
    (tmp_path / "traces.json").write_text(document([spans]), encoding="utf-8")
    for selector, matched in (
        (f"{{ span.big = {big} }}", True),
        (f"{{ span.big = {big - 1} }}", False),
        (f"{{ span.big > {big - 1} && span.big < {big + 1} }}", True),
        (f"{{ span.big = {float(big)} }}", False),
        (f"{{ span:duration = {big}ns }}", True),
        (f"{{ span:duration > {big}ns || span:duration < {big}ns }}", False),
        ("{ span.most = maxInt && span.least = minInt }", True),
        ("{ span.most - 1 = 9223372036854775806 }", True),
        ("{ span.big = span:duration }", True),
    ):
        assert query(selector)[:2] == ((0, frozenset({"in1"})) if matched else (1, frozenset())), selector
