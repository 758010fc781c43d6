"""What a rule reads off a span: a field of it, or a place in the JSON that a field holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from spanverdict.checks.jsonpath import JsonPath, JsonPathError, parse_path
from spanverdict.selectors import Field, parse_field
from spanverdict.selectors.errors import SelectorError, SelectorSyntaxError

_MAX_TEXT: Final = 12_000
_BEGIN: Final = re.compile(r"\s*json\s*\(\s*")
_END: Final = re.compile(r"""\s*,\s*(?P<quote>["'`])(?P<path>(?:(?!(?P=quote)).)*)(?P=quote)\s*\)\s*""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ValueOf:
    """A field, and with a path the place in the JSON document that its text is."""

    field: Field
    path: JsonPath | None = None

    def __str__(self) -> str:
        if self.path is None:
            return str(self.field)
        quote = "'" if '"' in str(self.path) else '"'
        return f"json({self.field}, {quote}{self.path}{quote})"


def parse_value(text: str) -> ValueOf:
    """Read a field, or `json(FIELD, "PATH")`.

    >>> str(parse_value("json(span.output.value,'$.label')")), str(parse_value("duration"))
    ('json(span.output.value, "$.label")', 'span:duration')

    Raises:
        SelectorError: the text is neither; its offset is that in the whole text.
    """
    begin = _BEGIN.match(text)
    if begin is None:
        return ValueOf(parse_field(text))
    end = None if len(text) > _MAX_TEXT else _last(text, begin.end())
    if end is None:
        message = "this is no place in a JSON text"
        raise SelectorSyntaxError(
            message, hint='write it like json(span.output.value, "$.label")', place=(0, len(text))
        )
    return ValueOf(_field(text[begin.end() : end.start()], begin.end()), _path(end["path"], end.start("path")))


def _last(text: str, begin: int) -> re.Match[str] | None:
    """Return where the comma, the path and the parenthesis stand with which the text ends."""
    commas = (at for at in range(begin, len(text)) if text[at] == ",")
    return next((found for at in commas if (found := _END.fullmatch(text, at))), None)


def _field(text: str, offset: int) -> Field:
    try:
        return parse_field(text.rstrip())
    except SelectorError as error:
        raise type(error)(error.message, hint=error.hint, place=(offset + error.offset, error.length)) from None


def _path(text: str, offset: int) -> JsonPath:
    try:
        return parse_path(text)
    except JsonPathError as error:
        place = (offset + error.offset, error.length)
        raise SelectorSyntaxError(error.message, hint=error.hint, place=place) from None
