"""Values of attributes in the compact trace notation: typed by how they are written, some new in every repetition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isinf
from typing import Any, Final, TypeAlias

from spanverdict.diagnostics.durations import PATTERN, parse_duration
from spanverdict.ruletest.spanline import Token, unquoted

OtlpValue: TypeAlias = Mapping[str, Any]
"""A value as OTLP/JSON has it, such as `{"intValue": "3"}`."""

_INTEGER: Final = re.compile(r"[-+]?\d{1,40}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False}
_SPECIAL: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_ELEMENT: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,\s][^,]*?)\s*(,|\Z)')
_NUMBER: Final = "{n}"
_START: Final = re.compile(rf"\{{start(?P<shift>{PATTERN})?\}}", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)
_NS: Final = 1_000_000_000


def varies(text: str) -> bool:
    """Tell whether a value is another one in every repetition.

    >>> varies("order-{n}"), varies("{start-30s}"), varies("/users/{id}")
    (True, True, False)
    """
    return _NUMBER in text or _START.search(text) is not None


def filled(text: str, number: int, start_unix_nano: int) -> str:
    """Return the text with the number of the repetition, and times counted from the start of its span, filled in.

    >>> filled("order-{n} of {start-30s}", 7, 1_772_442_000_000_000_000)
    'order-7 of 2026-03-02T08:59:30Z'
    """

    def time(match: re.Match[str]) -> str:
        shift = parse_duration(match["shift"], negative=True) if match["shift"] else 0
        return rfc3339(start_unix_nano + shift)

    return _START.sub(time, text.replace(_NUMBER, str(number)))


def rfc3339(unix_nano: int) -> str:
    """Return a time as text, with as many decimals as it needs.

    >>> rfc3339(1_772_442_000_250_000_000)
    '2026-03-02T09:00:00.25Z'
    """
    seconds, ns = divmod(unix_nano, _NS)
    shown = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{shown}.{ns:09}".rstrip("0").rstrip(".") + "Z"


def read_value(token: Token) -> OtlpValue:
    """Return the value that is written: a number, true or false, a text in quotes or without, or a list of these.

    Raises:
        Mistake: it is none, or a number that OTLP cannot carry.

    >>> read_value(Token("3", 0)), read_value(Token("0.5", 0)), read_value(Token('"3"', 0))
    ({'intValue': '3'}, {'doubleValue': 0.5}, {'stringValue': '3'})
    >>> read_value(Token("[a, b]", 0))
    {'arrayValue': {'values': [{'stringValue': 'a'}, {'stringValue': 'b'}]}}
    """
    if token.text.startswith("["):
        return {"arrayValue": {"values": [_scalar(part) for part in _elements(token)]}}
    return _scalar(token)


def _elements(token: Token) -> list[Token]:
    inner = token.text[1:-1]
    found, at = [], 0
    while inner[at:].strip():
        element = _ELEMENT.match(inner, at)
        if element is None:
            raise token.refuse("a list holds values with commas between them", "write it like [1, 2, 3]")
        found.append(Token(element[1], token.offset + 1 + element.start(1)))
        at = element.end()
    return found


def _scalar(token: Token) -> OtlpValue:
    text = token.text
    if not text:
        raise token.refuse("a value is missing behind the `=`", 'an empty text is written ""')
    if text in _BOOLEANS:
        return {"boolValue": _BOOLEANS[text]}
    if text in _SPECIAL:
        return {"doubleValue": text}
    if _INTEGER.fullmatch(text):
        if int(text) not in _INT64:
            raise token.refuse(f"{text} does not fit into 64 bits")
        return {"intValue": str(int(text))}
    if _FLOAT.fullmatch(text):
        if isinf(number := float(text)):
            raise token.refuse(f"{text} is more than a double can hold", "write Infinity if that is meant")
        return {"doubleValue": number}
    return {"stringValue": unquoted(token)}
