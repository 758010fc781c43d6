"""A mapping is read key by key; whatever is wrong with it is reported at its place."""

from __future__ import annotations

import pytest

from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Reader, compose

KEYS = ("name", "size", "wait", "flag", "kind", "tags", "labels")


class Read:
    """A reader of one text and what it reported."""

    def __init__(self, text: str) -> None:
        self.problems = Problems()
        node = compose(text, "f", self.problems)
        assert node is not None
        self.reader = Reader.of(node, self.problems, KEYS, "a thing")

    @property
    def found(self) -> list[str]:
        return [f"{d.position.line}:{d.position.column} {d.code} {d.message}" for d in self.problems.sorted()]


def test_good_values_are_read() -> None:
    read = Read("name: x\nsize: 3\nwait: 1m\nflag: true\nkind: a\ntags: [p, q]\nlabels: {a: b, build: 017}\n")
    reader = read.reader
    assert reader is not None
    assert reader.text("name") == "x"
    assert reader.integer("size") == 3
    assert reader.duration("wait") == 60_000_000_000
    assert reader.boolean("flag") is True
    assert reader.choice("kind", ("a", "b")) == "a"
    assert reader.texts("tags") == ("p", "q")
    assert reader.text_mapping("labels") == {"a": "b", "build": "017"}
    assert reader.require("name") is reader.node("name")
    assert not read.found


def test_absent_keys_give_the_default_and_are_no_mistake() -> None:
    read = Read("{}")
    reader = read.reader
    assert reader is not None
    assert reader.text("name") is None
    assert reader.text("name", "y") == "y"
    assert reader.integer("size", 7) == 7
    assert reader.duration("wait", 5) == 5
    assert reader.boolean("flag", default=False) is False
    assert reader.choice("kind", ("a",), "a") == "a"
    assert reader.texts("tags") == ()
    assert reader.text_mapping("labels") == {}
    assert not read.found


def test_one_text_stands_for_a_list_of_it() -> None:
    reader = Read("tags: p").reader
    assert reader is not None
    assert reader.texts("tags") == ("p",)


@pytest.mark.parametrize(
    ("text", "method", "message"),
    [
        ("name: 3", "text", "1:7 SV020 name has to be a text, not a number"),
        ("name: [x]", "text", "1:7 SV020 name has to be a text, not a list"),
        ("name:", "text", "1:6 SV025 name has no value"),
        ("name: ' '", "text", "1:7 SV025 name is empty"),
        ("size: '3'", "integer", "1:7 SV020 size has to be a whole number, not a text"),
        ("size: true", "integer", "1:7 SV020 size has to be a whole number, not true or false"),
        ("size: 1.5", "integer", "1:7 SV020 size has to be a whole number, not a number"),
        ("wait: 5", "duration", "1:7 SV024 wait: `5` has no unit"),
        ("wait: -5s", "duration", "1:7 SV024 wait: the duration `-5s` is negative"),
        ("wait: soon", "duration", "1:7 SV024 wait: `soon` is not a duration"),
        ("wait: {}", "duration", "1:7 SV020 wait has to be a duration, not a mapping"),
        ("flag: on", "boolean", "1:7 SV020 flag has to be true or false, not a text"),
        ("flag: 'true'", "boolean", "1:7 SV020 flag has to be true or false, not a text"),
        ("tags: []", "texts", "1:7 SV025 tags is an empty list"),
        ("tags: [a, 1]", "texts", "1:11 SV020 tags has to be a text, not a number"),
        ("labels: x", "text_mapping", "1:9 SV020 labels has to be a mapping of texts, not a text"),
        ("labels: {a: [b]}", "text_mapping", "1:13 SV020 labels.a has to be a text, not a list"),
        ("labels: {a: }", "text_mapping", "1:13 SV020 labels.a has to be a text, not nothing"),
    ],
)
def test_a_wrong_value_is_reported(text: str, method: str, message: str) -> None:
    read = Read(text)
    getattr(read.reader, method)(text.split(":", maxsplit=1)[0])
    assert read.found == [message]


def test_a_number_below_the_minimum_is_reported() -> None:
    read = Read("size: 0")
    assert read.reader is not None
    assert read.reader.integer("size", minimum=1) is None
    assert read.found == ["1:7 SV026 size has to be 1 or more"]


def test_a_wrong_choice_names_the_most_similar_one() -> None:
    read = Read("kind: warnig")
    assert read.reader is not None
    assert read.reader.choice("kind", ("critical", "warning"), "critical") == "critical"
    assert [d.hint for d in read.problems.sorted()] == ["did you mean `warning`?"]


def test_unknown_keys_are_reported_with_the_most_similar_one_or_with_all() -> None:
    read = Read("nmae: x\nzzz: 1\n")
    assert [(d.position.line, d.code, d.hint) for d in read.problems.sorted()] == [
        (1, "SV021", "did you mean `name`?"),
        (2, "SV021", "the keys are flag, kind, labels, name, size, tags and wait"),
    ]


def test_what_is_no_mapping_is_reported_and_not_read() -> None:
    read = Read("[name]")
    assert read.reader is None
    assert read.found == ["1:1 SV020 a thing has to be a mapping, not a list"]


def test_a_missing_key_is_reported_at_the_mapping() -> None:
    problems = Problems()
    node = compose("a:\n  b: {size: 1}\n", "f", problems)
    assert isinstance(node, Mapping)
    inner = node.get("a").get("b")  # type: ignore[union-attr]
    reader = Reader.of(inner, problems, KEYS, "a thing")
    assert reader is not None
    assert reader.require("name") is None
    assert [str(d.position) for d in problems.sorted()] == ["f:2:6"]
