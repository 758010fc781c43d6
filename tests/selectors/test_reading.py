"""Reading: every printed selector reads back, and no text at all raises anything but the three errors."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spanverdict.selectors import (
    SelectorError,
    SelectorSyntaxError,
    SelectorTypeError,
    SelectorUnsupported,
    parse,
    parse_field,
)
from traceql_texts import conditions, selectors

THREE = (SelectorSyntaxError, SelectorTypeError, SelectorUnsupported)
PIECES = [
    *("{", "}", "(", ")", ",", "|", "&&", "||", "!", "=", "!=", "<", "<=", ">", ">=", "=~", "!~", "+", "-", "*", "/"),
    *("%", "^", ">>", "<<", "~", "!>", "!>>", "!<", "!<<", "&>", "&>>", "&<", "&<<", "&~", "=="),
    *(
        "span.a",
        ".b",
        "parent.span.a",
        'resource."x y"',
        "duration",
        "span:name",
        "event:name",
        "link.a",
        "nil",
        "true",
    ),
    *("error", "server", "1", "1.5", "10ms", '"x"', "`y`", "minInt", "count", "avg", "sum", "by", "coalesce", "select"),
    *("rate", "with", "span", "foo", ".", '"', "`", "'", "\\", "\x00", "\ud800", "é", "9" * 40, "{ }", "count()", "{"),
]


def only_the_three(text: str) -> None:
    try:
        selector = parse(text)
    except THREE as error:
        refusal = error
    else:
        assert parse(str(selector)) == selector
        return
    assert type(refusal) in THREE
    assert 0 <= refusal.offset <= len(text)
    assert refusal.message


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join))
def test_a_soup_of_tokens_is_refused_in_words(text: str) -> None:
    only_the_three(text)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60))
@example("\ud800")
@example('{ span.a = "\udfff" }')
@example("{ span.a = 1e99999 }")
@example("{ span.a = " + "9" * 5000 + " }")
@example('{ span.a =~ "\x00" }')
@example("{ span.a = ٣ }")
@example("{ span.a = ٣s }")
@example("{ span.a ² 2 }")
def test_any_text_is_refused_in_words(text: str) -> None:
    only_the_three(text)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet='{}()!-^=&|<>~.,"`\\ a1s', max_size=60))
def test_a_soup_of_characters_is_refused_in_words(text: str) -> None:
    only_the_three(text)


@settings(deadline=None)
@given(selectors, st.data())
def test_a_selector_with_one_piece_changed_is_read_or_refused(text: str, data: st.DataObject) -> None:
    """Near to valid is where mistakes are made."""
    pieces = text.split(" ")
    place = data.draw(st.integers(0, len(pieces) - 1))
    pieces[place] = data.draw(st.sampled_from(PIECES))
    only_the_three(" ".join(pieces))


@settings(deadline=None, max_examples=300)
@given(st.one_of(selectors, conditions.map("{{ {} }}".format)))
def test_printing_and_reading_again_gives_an_equal_selector(text: str) -> None:
    """And the canonical form is its own canonical form."""
    try:
        selector = parse(text)
    except SelectorError:
        return
    printed = str(selector)
    assert parse(printed) == selector
    assert str(parse(printed)) == printed


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["span.", "parent.", "resource.", ".", "parent.span."]),
)
def test_every_attribute_name_and_text_can_be_written(name: str, scope: str) -> None:
    """Whatever characters they have, by escapes; what prints needs none of a terminal's tricks."""
    escaped = "".join(f"\\U{ord(char):08x}" for char in name)
    selector = parse(f'{{ {scope}"{escaped}" = "{escaped}" }}')
    printed = str(selector)
    assert printed.isprintable()
    assert parse(printed) == selector


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_every_duration_prints_and_reads_back(ns: int) -> None:
    selector = parse(f"{{ span:duration = {ns}ns }}")
    assert parse(str(selector)) == selector


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_prints_and_reads_back(number: float) -> None:
    selector = parse(f"{{ span.a = {number!r} }}")
    assert parse(str(selector)) == selector


@pytest.mark.parametrize(
    "text",
    [
        "{ " + "(" * 5000,
        "(" * 5000,
        "{ " + "!" * 5000 + "span.a }",
        "{ " + "-" * 5000 + "span.a > 1 }",
        "{ span.a " + "^ 2 " * 1000 + "> 1 }",
        "{ span.a " + "+ 1 " * 1000 + "> 1 }",
        "{ } " + "> { } " * 1000,
        "{ " * 5000,
        "{ } | (" * 1000,
        "{ } | " + "-" * 5000 + "count() > 1",
        "{ true " + "&& true " * 600 + "}",
        "{ } " + "&& { } " * 600,
        "{ } " + "| { } " * 600,
        "{ }" + " " * 10_000,
        " " * 9_990 + "{",
        "{ span.a = " + '"' + "x" * 10_000 + '" }',
        "{ span." + ".a" * 4_000 + " = 1 }",
        '{ span.a =~ "' + "é" * 600 + '" }',
        '{ span.a =~ "((a{100}){100}){100}" }',
        '{ span.a = "' + "\\" * 5000 + " }",
    ],
    ids=lambda text: f"{text[:12]}… {len(text)}",
)
def test_what_is_too_long_or_too_deep_is_a_syntax_error_at_once(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(SelectorSyntaxError):
        parse(text)
    assert time.perf_counter() - begun < 1


def test_the_limits_are_where_they_are_said_to_be() -> None:
    """Depth 32, 500 parts, 10,000 characters, and a pattern of 1 kB are still read."""
    assert parse("{ " + "(" * 32 + "span.a" + ")" * 32 + " }") == parse("{ span.a }")
    with pytest.raises(SelectorSyntaxError, match="32 deep"):
        parse("{ " + "(" * 33 + "span.a" + ")" * 33 + " }")
    assert parse("{ " + " && ".join(["span.a"] * 498) + " }")
    with pytest.raises(SelectorSyntaxError, match="500 parts"):
        parse("{ " + " && ".join(["span.a"] * 499) + " }")
    assert parse('{ span.a = "' + "x" * 9_985 + '" }')
    assert parse('{ span.a =~ "' + "x" * 1024 + '" }')
    with pytest.raises(SelectorSyntaxError, match="1024 bytes"):
        parse('{ span.a =~ "' + "x" * 1025 + '" }')


def test_a_canonical_form_that_would_be_too_long_is_refused() -> None:
    """So that what is printed can always be read."""
    text = "{ " + "||".join(f'rootServiceName="{"x" * 80}"' for _ in range(98)) + " }"
    assert len(text) < 10_000
    with pytest.raises(SelectorSyntaxError, match="canonical"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("span.request.id", "span.request.id"),
        (" resource.service.name ", "resource.service.name"),
        ("duration", "span:duration"),
        ("any.x", ".x"),
        ('parent.span."a b"', 'parent.span."a b"'),
        ("event:timeSinceStart", "event:timeSinceStart"),
        ("nestedSetLeft", "nestedSetLeft"),
    ],
)
def test_a_field_is_read_and_printed(text: str, printed: str) -> None:
    field = parse_field(text)
    assert str(field) == printed
    assert parse_field(printed) == field
    assert hash(parse_field(printed)) == hash(field)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "5",
        '"x"',
        "nil",
        "error",
        "true",
        "span.a + 1",
        "span.a span.b",
        "{ span.a }",
        "foo",
        "span",
        "-span.a",
        "(span.a)",
        "count()",
        "span.a = 1",
    ],
)
def test_what_is_not_one_field_is_a_syntax_error(text: str) -> None:
    with pytest.raises(SelectorSyntaxError):
        parse_field(text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_as_a_field_is_read_or_refused_in_words(text: str) -> None:
    try:
        field = parse_field(text)
    except THREE:
        return
    assert parse_field(str(field)) == field


def test_reading_a_selector_needs_no_numpy() -> None:
    """`lint` starts fast: neither numpy nor the regular-expression library is loaded unless it is needed."""
    code = (
        "import sys; from spanverdict.selectors import parse, from_mapping;"
        "parse('{ span.a = 1 } >> { duration > 1s }'); from_mapping({'service': 'a'});"
        "print([name for name in ('numpy', 're2', 'difflib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_example_in_a_docstring_is_true() -> None:
    import doctest
    import importlib
    import pkgutil

    import spanverdict.selectors as room

    ran = 0
    for module in pkgutil.iter_modules(room.__path__, "spanverdict.selectors."):
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0, module.name
        ran += result.attempted
    assert ran > 10
    assert re.search("TraceQL", room.__doc__ or "")
