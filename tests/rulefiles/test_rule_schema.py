"""The JSON Schemas of rule files and tests say what the readers say, as far as a schema can."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulefiles.ruleschemas import document, mistakes, objects
from rules.reference import Block, blocks, with_part, with_rules
from spanverdict.app.schemacommand import SCHEMAS
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Reader
from spanverdict.rulefiles.lint import lint
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.statistic import Kind
from spanverdict.ruletest.finding import find_test_files
from spanverdict.ruletest.reading import read_tests
from spanverdict.selectors.mapping import KEYS

TOP = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.glob("*.yaml"))
EXAMPLES = sorted([*(TOP / "rules").rglob("*.yaml"), TOP / "deploy" / "demo" / "scoring.yaml"])


def rule_of(block: Block) -> str:
    return with_rules(block.text)


FLOWS = [
    *((block.name, block.text) for block in blocks("yaml flow")),
    *((block.name, with_part(block.text)) for block in blocks("yaml part")),
    *((block.name, rule_of(block)) for block in blocks("yaml rule")),
]


def said(text: str) -> Problems:
    """What the reader says; golden files are taken to be there, and not looked into."""
    problems = Problems()
    load(text, str(TOP / "rules" / "f.yaml"), problems, lambda _file, _name: None)
    return problems


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


# schema and readers, table by table

COUNTED = {"missing", "defects"}
"""Mappings with keys of the user's own."""


@dataclass
class Tables:
    """What readers take: the keys of each mapping by its name, and the words that a key may have."""

    keys: dict[str, set[str]] = field(default_factory=dict)
    words: dict[tuple[str, str], set[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Recorded while all flows, cases and tests that there are, are read."""
    found = Tables()
    build, choose = Reader.__init__, Reader.choice

    def building(reader: Reader, node: Mapping, problems: Problems, keys: Collection[str], what: str) -> None:
        found.keys.setdefault(what, set()).update(keys)
        build(reader, node, problems, keys, what)

    def choosing(reader: Reader, key: str, choices: Collection[str], default: str | None = None) -> str | None:
        found.words.setdefault((reader._what, key), set()).update(choices)
        return choose(reader, key, choices, default)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "__init__", building)
        patch.setattr(Reader, "choice", choosing)
        read_everything(tmp_path_factory.mktemp("reference"))
    return found


def read_everything(folder: Path) -> None:
    (folder / "fraud.yaml").write_text(blocks("yaml flow")[0].text, encoding="utf-8")
    for number, block in enumerate(blocks("yaml test")):
        (folder / f"{number}_test.yaml").write_text(block.text, encoding="utf-8")
    for path in (*EXAMPLES, *CASES.glob("*.yaml")):
        if not path.name.endswith("_test.yaml"):
            said(path.read_text(encoding="utf-8"))
    for _, text in FLOWS:
        said(text)
    for file in find_test_files([str(TOP / "rules"), str(folder)], Problems()):
        read_tests(file, Problems())


def all_objects() -> dict[str, list[dict[str, Any]]]:
    """All mappings of all schemas, by what they are called."""
    found: dict[str, list[dict[str, Any]]] = {}
    for of in SCHEMAS:
        for each in objects(SCHEMAS[of]()):
            found.setdefault(each["title"], []).append(each)
    return found


def test_the_schemas_have_the_keys_of_the_readers(tables: Tables) -> None:
    schemas = {
        title: {key for each in same for key in each["properties"]}
        for title, same in all_objects().items()
        if title not in ("a selector", "expect")
    }
    assert schemas == {what: keys for what, keys in tables.keys.items() if what not in COUNTED}


def test_the_schemas_have_the_words_of_the_readers(tables: Tables) -> None:
    schemas = all_objects()
    assert tables.words
    for (what, key), words in tables.words.items():
        shapes = [each["properties"][key] for each in schemas[what] if key in each["properties"]]
        assert {word for shape in shapes for word in enumerated(shape)} == words, (what, key)


def enumerated(schema: Any) -> set[str]:
    """The words that a schema lists, at any depth."""
    if isinstance(schema, list):
        return {word for part in schema for word in enumerated(part)}
    if not isinstance(schema, dict):
        return set()
    inner = {word for name, part in schema.items() if name != "enum" for word in enumerated(part)}
    return inner | set(schema.get("enum", ()))


def test_the_schemas_have_every_statistic() -> None:
    (expect,) = all_objects()["expect"]
    names = [kind.value for kind in Kind if kind is not Kind.PERCENTILE]
    assert set(names) <= set(expect["properties"])
    for name in (*names, "p0.1", "p1", "p50", "p99.9", "p99.99"):
        text = "ks <= 0.1" if name == "drift" else "<= 1"
        assert not mistakes("flow", with_expect({name: text})), name
    for name in ("p0.95", "p0.5", "p0", "pp", "P95", "median", "p95 "):
        assert mistakes("flow", with_expect({name: "<= 1"})), name


def with_expect(expect: dict[str, str]) -> Any:
    flow = document(blocks("yaml flow")[0].text)
    flow["rules"] = [{"id": "r", "latency": "request", "expect": expect}]
    return flow


@pytest.mark.parametrize("key", KEYS)
def test_the_schemas_have_the_keys_of_a_selector(key: str) -> None:
    (selector,) = all_objects()["a selector"]
    assert key in selector["properties"]
    assert len(selector["properties"]) == len(KEYS)


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
