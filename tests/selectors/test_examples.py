"""The example files: what is read and how it prints, what is refused and what is said about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from spanverdict.selectors import (
    SelectorError,
    SelectorSyntaxError,
    SelectorTypeError,
    SelectorUnsupported,
    parse,
)

EXAMPLES = Path(__file__).parent / "examples"
REFUSED: dict[str, type[SelectorError]] = {
    "syntax": SelectorSyntaxError,
    "types": SelectorTypeError,
    "unsupported": SelectorUnsupported,
}


def examples(name: str) -> list[Any]:
    found: list[dict[str, Any]] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return [pytest.param(each, id=each["text"]) for each in found]


@pytest.mark.parametrize("example", examples("valid"))
def test_a_selector_is_read_and_printed(example: dict[str, str]) -> None:
    """The canonical form is as given, and reads back as an equal selector with an equal hash."""
    selector = parse(example["text"])
    assert str(selector) == example.get("canonical", example["text"])
    again = parse(str(selector))
    assert again == selector
    assert hash(again) == hash(selector)


REFUSALS = [pytest.param(kind, each.values[0], id=each.id) for kind in REFUSED for each in examples(kind)]


@pytest.mark.parametrize(("kind", "example"), REFUSALS)
def test_a_mistake_is_named_where_it_stands(kind: str, example: dict[str, Any]) -> None:
    """Type, message, place and hint of every refusal."""
    with pytest.raises(REFUSED[kind]) as caught:
        parse(example["text"])
    error = caught.value
    assert type(error) is REFUSED[kind]
    assert (error.message, [error.offset, error.length], error.hint) == (
        example["message"],
        example["at"],
        example.get("hint", ""),
    )
    assert str(error) == error.message
    assert error.length >= 1
    assert error.offset <= len(example["text"])


def test_there_are_examples_enough_and_none_twice() -> None:
    """At least 300, each text once."""
    texts = [each.values[0]["text"] for kind in ("valid", *REFUSED) for each in examples(kind)]
    assert len(texts) >= 300
    assert len(texts) == len(set(texts))
