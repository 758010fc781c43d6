"""JSON as OTLP wants it read: no duplicate keys, no NUL, no lone surrogates, nothing after the end."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NoReturn

from spanverdict.otlp.errors import Undecodable


class BrokenJson(Undecodable):
    """Text is not JSON, or not such JSON; lines and columns count from 1.

    >>> str(BrokenJson("what", "first" + chr(10) + "second", 8))
    'line 2 column 3: what'
    """

    def __init__(self, reason: str, text: str, at: int) -> None:
        self.reason = reason
        self.line = text.count("\n", 0, at) + 1
        self.column = at - text.rfind("\n", 0, at)
        super().__init__(f"line {self.line} column {self.column}: {reason}")


_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)


def parse_json(text: bytes, *, allow_nul: bool = False) -> object:
    """Read one JSON document.

    `allow_nul` lets the escape for U+0000 stand in strings, which proto3 strings may hold.

    Raises:
        Undecodable: with line and column where the reader knows them.

    >>> parse_json(b'{"a": [1, null]}')
    {'a': [1, None]}
    """
    decoded = decode_text(text)
    document, end = parse_first(decoded, allow_nul=allow_nul)
    if end != len(decoded):
        raise BrokenJson("something follows the end of the JSON document", decoded, end)
    return document


def decode_text(text: bytes) -> str:
    """Read bytes as UTF-8, naming the first that is not."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"byte {error.start + 1} is not UTF-8") from None


def parse_first(text: str, start: int = 0, *, allow_nul: bool = False) -> tuple[object, int]:
    """Read the JSON document at `start`; also return where the next one may start."""
    start = skip_space(text, start)
    try:
        document, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise BrokenJson(error.msg[0].lower() + error.msg[1:], text, error.pos) from None
    except RecursionError:
        raise Undecodable("the JSON document is nested too deep") from None
    except ValueError as error:
        raise Undecodable(f"the JSON document cannot be read: {error}") from None
    if "\\u" in text:
        _check_escapes(text, start, end, allow_nul=allow_nul)
    return document, skip_space(text, end)


def skip_space(text: str, start: int) -> int:
    """Return where the next character stands that is not JSON white space."""
    space = _SPACE.match(text, start)
    return space.end() if space else start


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise ValueError(f"key {twice!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _check_escapes(text: str, start: int, end: int, *, allow_nul: bool) -> None:
    """Refuse NUL, and surrogates without their other half. In valid JSON a backslash stands in strings only."""
    high = None
    for escape in _ESCAPE.finditer(text, start, end):
        code = int(escape[1], 16) if escape[1] else -1
        follows = high is not None and escape.start() == high.end()
        if high is not None and not (follows and code in _LOW):
            break
        if high is None and code in _LOW:
            high = escape
            break
        if code == 0 and not allow_nul:
            raise BrokenJson("U+0000 is not allowed", text, escape.start())
        high = escape if code in _HIGH else None
    if high is not None:
        raise BrokenJson("half of a surrogate pair", text, high.start())
