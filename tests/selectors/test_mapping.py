"""The mapping form compiles to the same selectors, and names the entry at fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.selectors import MappingError, SelectorError, from_mapping, parse


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"service": "scorer"}, '{ resource.service.name = "scorer" }'),
        ({"service": "scorer", "name": "predict"}, '{ resource.service.name = "scorer" && span:name = "predict" }'),
        ({"kind": "server", "status": "error"}, "{ span:kind = server && span:status = error }"),
        ({"name": "/get_.*/"}, '{ span:name =~ "get_.*" }'),
        ({"name": "/"}, '{ span:name = "/" }'),
        ({"name": "//"}, '{ span:name =~ "" }'),
        ({"name": ["a", "/b.*/"]}, '{ span:name = "a" || span:name =~ "b.*" }'),
        ({"name": ["a"]}, '{ span:name = "a" }'),
        (
            {"name": ("a", "b"), "service": "s"},
            '{ (span:name = "a" || span:name = "b") && resource.service.name = "s" }',
        ),
        ({"kind": ["server", "consumer"]}, "{ span:kind = server || span:kind = consumer }"),
        ({"attributes": {"span.a": 1}}, "{ span.a = 1 }"),
        ({"attributes": {"span.a": 1.5, "resource.b": True}}, "{ span.a = 1.5 && resource.b = true }"),
        ({"attributes": {"span.a": None}}, "{ span.a = nil }"),
        ({"attributes": {".a": [1, "x", None]}}, '{ .a = 1 || .a = "x" || .a = nil }'),
        ({"attributes": {'span."a b"': "/x/"}}, '{ span."a b" =~ "x" }'),
        ({"attributes": {"event:name": "exception"}}, '{ event:name = "exception" }'),
        ({"attributes": {"duration": 5}}, "{ span:duration = 5 }"),
        ({"attributes": {"parent.span.a": "x"}}, '{ parent.span.a = "x" }'),
    ],
)
def test_a_mapping_is_the_selector_written_in_full(mapping: dict[str, Any], text: str) -> None:
    assert from_mapping(mapping) == parse(text)
    assert str(from_mapping(mapping)) == str(parse(text))


@pytest.mark.parametrize(
    ("mapping", "key", "hint"),
    [
        ({}, (), "service, name, kind, status, attributes"),
        ({"servce": "a"}, ("servce",), "service"),
        ({"services": "a"}, ("services",), "service"),
        ({5: "a"}, ("5",), ""),
        ({"service": 5}, ("service",), '"5"'),
        ({"service": None}, ("service",), ""),
        ({"service": []}, ("service",), ""),
        ({"name": ["a", 5]}, ("name", 1), '"5"'),
        ({"name": ["a", ["b"]]}, ("name", 1), ""),
        ({"name": "/(/"}, ("name",), ""),
        ({"kind": "servr"}, ("kind",), "server"),
        ({"kind": "/server/"}, ("kind",), "server"),
        ({"kind": 2}, ("kind",), "unspecified"),
        ({"kind": ["server", "x"]}, ("kind", 1), "unspecified"),
        ({"status": True}, ("status",), "ok"),
        ({"status": {"a": 1}}, ("status",), "ok"),
        ({"status": []}, ("status",), ""),
        ({"attributes": {}}, ("attributes",), "span.x"),
        ({"attributes": ["span.a"]}, ("attributes",), "span.x"),
        ({"attributes": {"foo": 1}}, ("attributes", "foo"), "span.foo"),
        ({"attributes": {"service.name": "a"}}, ("attributes", "service.name"), "resource.service.name"),
        ({"attributes": {"span.a + 1": 1}}, ("attributes", "span.a + 1"), ""),
        ({"attributes": {"error": 1}}, ("attributes", "error"), ""),
        ({"attributes": {5: 1}}, ("attributes", "5"), ""),
        ({"attributes": {"span.a": {"b": 1}}}, ("attributes", "span.a"), "a text"),
        ({"attributes": {"span.a": float("nan")}}, ("attributes", "span.a"), "a text"),
        ({"attributes": {"span.a": 2**63}}, ("attributes", "span.a"), "a text"),
        ({"attributes": {"span.a": [1, b"x"]}}, ("attributes", "span.a", 1), "a text"),
        ({"attributes": {"span.a": "\ud800"}}, ("attributes", "span.a"), "a text"),
        ({"attributes": {"span:duration": "1s"}}, ("attributes", "span:duration"), "no quotes"),
        ({"attributes": {"span:id": "xyz"}}, ("attributes", "span:id"), ""),
        ({"name": ["x"] * 600}, (), ""),
    ],
)
def test_a_mistake_names_its_entry(mapping: dict[Any, Any], key: tuple[str | int, ...], hint: str) -> None:
    with pytest.raises(MappingError) as caught:
        from_mapping(mapping)
    assert caught.value.key == key
    assert hint in caught.value.hint
    assert caught.value.message


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["service", "name", "kind", "status", "attributes", "x"]), anything, max_size=3))
def test_any_mapping_is_read_or_refused_in_words(mapping: dict[str, Any]) -> None:
    """And what is read prints and reads back."""
    try:
        selector = from_mapping(mapping)
    except MappingError as error:
        refused: SelectorError = error
    else:
        assert parse(str(selector)) == selector
        return
    assert refused.message
