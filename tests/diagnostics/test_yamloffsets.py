"""A character of a decoded scalar is found again at its line and column in the file."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from spanverdict.diagnostics.diagnostic import LINE_BREAK, Problems
from spanverdict.diagnostics.yamldoc import Mapping, Scalar, compose


def scalar(text: str) -> Scalar:
    problems = Problems()
    node = compose(text, "f", problems)
    assert not problems.sorted()
    assert isinstance(node, Mapping)
    value = node.entries[0][1]
    assert isinstance(value, Scalar)
    return value


def seen_at(text: str, value: Scalar, offset: int) -> str:
    """What stands in the file at the place of character `offset`."""
    place = value.at(offset)
    return LINE_BREAK.split(text)[place.line - 1][place.column - 1 :]


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ("k: plain words", "words", "1:10"),
        ("k:   'it''s quoted'", "quoted", "1:13"),
        ("k: 'it''s quoted'", "'s", "1:7"),
        ('k: "tab\\t \\u00e9 \\x41 end"', "end", "1:23"),
        ('k: "a \\U0001F600 end"', "end", "1:18"),
        ('k: "say \\"hi\\""', '"hi', "1:9"),
        ("k: first\n   second\n   third", "third", "3:4"),
        ("k: 'first\n\n   second'", "second", "3:4"),
        ('k: "first \\\n     second"', "second", "2:6"),
        ('k: "first\\\n\n     second"', "second", "3:6"),
        ("k: |\n  one\n    two\n  three\n", "three", "4:3"),
        ("k: |\n  one\n    two\n", "two", "3:5"),
        ("k: |\n\n\n  late\n", "late", "4:3"),
        ("k: |2-\n    kept\n  less", "less", "3:3"),
        ("k: >\n  folded\n  words\n\n  after\n", "after", "5:3"),
        ("k: >+\n  a\n   more\n  z\n\n", "z", "4:3"),
        ("k: &name 'anchored'", "chored", "1:13"),
        ("k: !!str &n plain", "lain", "1:14"),
        ("k: |\r\n  one\r\n  two\r\n", "two", "3:3"),
        ("k: '日本 x'", "x", "1:8"),
    ],
)
def test_a_word_is_found_at_its_line_and_column(text: str, word: str, place: str) -> None:
    value = scalar(text)
    found = value.at(value.text.index(word))
    assert f"{found.line}:{found.column}" == place


@pytest.mark.parametrize(
    ("text", "place"),
    [("k: abc", "1:7"), ("k: 'abc'", "1:8"), ('k: ""', "1:5"), ("k: |\n  abc\n", "2:6"), ("k:", "1:3")],
)
def test_an_offset_past_the_text_is_its_end(text: str, place: str) -> None:
    found = scalar(text).at(1000)
    assert f"{found.line}:{found.column}" == place


WORDS = st.lists(st.text("abcé日 .:#'\"\\\t/{}", min_size=1, max_size=12), min_size=1, max_size=8)


@pytest.mark.parametrize("style", ["'", '"', "|", ">", None])
@given(words=WORDS, joint=st.sampled_from([" ", "\n", "\n\n", "  "]), width=st.integers(5, 40))
def test_every_character_is_found_in_every_style(style: str | None, words: list[str], joint: str, width: int) -> None:
    content = joint.join(words)
    text = yaml.dump({"k": content}, default_style=style, allow_unicode=True, width=width)
    problems = Problems()
    node = compose(text, "f", problems)
    assume(isinstance(node, Mapping) and not problems.sorted())
    assert isinstance(node, Mapping)
    value = node.entries[0][1]
    assert isinstance(value, Scalar)
    places = [value.at(offset) for offset in range(len(value.text))]
    assert places == sorted(places)
    for offset, character in enumerate(value.text):
        shown = seen_at(text, value, offset)
        if not character.isspace():
            assert shown.startswith((character, "\\" + character)), (text, offset)
