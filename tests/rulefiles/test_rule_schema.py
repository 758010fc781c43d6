"""The JSON Schemas of rule files and tests say what the readers say, as far as a schema can."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulefiles.ruleschemas import CASES, EXAMPLES, FLOWS, TOP, document, mistakes, said
from rules.reference import Block, blocks
from spanverdict.diagnostics import codes
from spanverdict.rulefiles.lint import lint

NAMES = sorted(path.name for path in CASES.glob("*.yaml"))

# what is right


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(TOP)))
def test_every_example_of_the_repository_is_right(path: Path) -> None:
    of = "test" if path.name.endswith("_test.yaml") else "flow"
    assert mistakes(of, document(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(("name", "text"), FLOWS, ids=[name for name, _ in FLOWS])
def test_every_flow_of_the_reference_is_right(name: str, text: str) -> None:
    assert mistakes("flow", document(text)) == []


@pytest.mark.parametrize("block", blocks("yaml test"), ids=lambda block: block.name)
def test_every_test_of_the_reference_is_right(block: Block) -> None:
    assert mistakes("test", document(block.text)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_file_without_errors_is_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    wrong = any(found.level == "error" for found in lint([name]))
    assert wrong or mistakes("flow", document(Path(name).read_text(encoding="utf-8"))) == []


# what is wrong


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("severity: critical", "savrity: critical", "savrity"),
        ("severity: critical", "severity: fatal", "fatal"),
        ("latency: request", "latncy: request", "latncy"),
        ("kind: server", "kind: servr", "select"),
        ('p95: "< 200ms"', 'p0.95: "< 200ms"', "p0.95"),
        ('p95: "< 200ms"', "p95: 200ms", "200ms"),
        ('every: "0..1"', 'evry: "0..1"', "evry"),
        ("unit: s}", "unit: sec}", "sec"),
        ("unit: s}", "unit: s, per: x}", "per"),
        ("version: 1", "version: 2", "version"),
        ("requests: 200", "requests: many", "requests"),
        ("requests: 200", "request: 200", "request"),
        ("latency: request", "latency: request\n    count: '{ }'", "rules[0]"),
        ("flow: fraud-scoring", "flow: fraud scoring", "flow"),
    ],
)
def test_a_mistake_is_underlined_where_it_stands(right: str, wrong: str, place: str) -> None:
    text = blocks("yaml flow")[0].text
    assert right in text
    text = text.replace(right, wrong, 1)
    assert said(text).fatal
    assert any(place in mistake for mistake in mistakes("flow", document(text)))


# whatever is done to a right file


WORDS = [
    "latncy", "servr", "critical", "p0.95", "p95", "request", "features", "kind", "unit", "of", "stage", "expect", "",
    "x y", "200ms", "< 200ms", "all", "span.score", "${p}", 0, 1, -1, 2.5, True, None,
]  # fmt: skip
"""Put in the place of keys and of values."""


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of everything in a document."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(document: Any, path: tuple[str | int, ...], word: object, *, is_key: bool) -> Any:
    found = copy.deepcopy(document)
    parent = found
    for part in path[:-1]:
        parent = parent[part]
    if is_key and isinstance(parent, dict) and str(word) not in parent:
        parent[str(word)] = parent.pop(path[-1])
    else:
        parent[path[-1]] = word
    return found


@settings(max_examples=600, deadline=None)
@given(
    flow=st.sampled_from([document(text) for _, text in FLOWS]),
    where=st.floats(0, 1, exclude_max=True),
    word=st.sampled_from(WORDS),
    is_key=st.booleans(),
)
def test_what_the_schema_refuses_lint_refuses_too(flow: Any, where: float, word: object, is_key: bool) -> None:
    """And a key that lint does not know, the schema does not know either."""
    every = list(places(flow))
    wrong = changed(flow, every[int(where * len(every))], word, is_key=is_key)
    problems = said(json.dumps(wrong))
    refused = mistakes("flow", wrong)
    assert problems.fatal or not refused, refused
    unknown = [each for each in problems.sorted() if each.code == codes.UNKNOWN_KEY and each.level == "error"]
    assert refused or not unknown, unknown
