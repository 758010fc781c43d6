"""The JSON Schemas take the very keys and words that the readers take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rulefiles.ruleschemas import CASES, EXAMPLES, FLOWS, TOP, document, mistakes, objects, said
from rules.reference import blocks
from spanverdict.app.schemacommand import SCHEMAS
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Reader
from spanverdict.rulefiles.statistic import Kind
from spanverdict.ruletest.finding import find_test_files
from spanverdict.ruletest.reading import read_tests
from spanverdict.selectors.mapping import KEYS

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
