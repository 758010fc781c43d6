"""The lines of the compact trace notation, each taken into its parts; what the lines mean is for `notation`.

A line of a span is

    SERVICE NAME… [KIND] START..END ITEM…

and a line of an event, below its span,

    * NAME… TIME ITEM…

An item is `key=value`, `@label` or a word. Nothing here looks beyond one line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.durations import NS_PER_UNIT, DurationError, parse_duration
from spanverdict.rulefiles.mistake import Mistake

KINDS: Final = ("internal", "server", "client", "producer", "consumer")

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_ARRAY: Final = rf"\[(?:[^\]\"]|{_QUOTED})*\]"
_CLOSED: Final = re.compile(rf"{_QUOTED}|{_ARRAY}")
_TOKEN: Final = re.compile(rf'{_QUOTED}(?=\s|$)|[^\s="]+=(?:{_QUOTED}|{_ARRAY})(?=\s|$)|\S+')
_INTERVAL: Final = re.compile(r"[-+]?[\d.]\S*\.\.\S*|\.\.\S*")
_TIME: Final = re.compile(r"[-+]?(?:0|[\d.]+[a-zµμ]\S*)")
_BULLET: Final = "*"
_LONGEST: Final = 30 * NS_PER_UNIT["d"]


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a line, quotes included, and where in the whole text it begins."""

    text: str
    offset: int

    def refuse(self, message: str, hint: str = "", code: str = codes.SPAN_NOTATION) -> Mistake:
        """Return the mistake that this token is."""
        return Mistake(code, message, hint, self.offset, len(self.text))


@dataclass(frozen=True, slots=True)
class Item:
    """What stands behind the times; `key` and no value for a bare word."""

    key: str
    value: Token | None
    token: Token


@dataclass(frozen=True, slots=True)
class SpanLine:
    """A line that is a span. Times are ns since the request began."""

    service: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    items: tuple[Item, ...]
    head: Token


@dataclass(frozen=True, slots=True)
class EventLine:
    """A line that is an event of the span above."""

    name: str
    time_ns: int
    items: tuple[Item, ...]
    head: Token


@dataclass(frozen=True, slots=True)
class Indented:
    """A line and how far in it stands."""

    indent: int
    line: SpanLine | EventLine


def read_line(line: str, offset: int) -> Indented | None:
    """Return what a line says, None for an empty one or a comment; `offset` is where it begins in the text.

    Raises:
        Mistake: at the part of the line that cannot be read.

    >>> line = read_line("  scorer predict 20ms..140ms  score=0.93", 0)
    >>> line.indent, line.line.name, line.line.end_ns, line.line.items[0].key
    (2, 'predict', 140000000, 'score')
    """
    tokens = _tokens(line, offset)
    if not tokens:
        return None
    indent = len(line) - len(line.lstrip())
    if "\t" in line[:indent]:
        raise Mistake(codes.SPAN_NOTATION, "a tab cannot indent a span", "indent with spaces", offset, indent)
    if tokens[0].text == _BULLET:
        return Indented(indent, _event(tokens))
    return Indented(indent, _span(tokens))


def _tokens(line: str, offset: int) -> list[Token]:
    found = []
    for match in _TOKEN.finditer(line):
        if match[0].startswith("#"):
            break
        found.append(Token(match[0], offset + match.start()))
    return found


def _span(tokens: list[Token]) -> SpanLine:
    place = next((at for at, token in enumerate(tokens) if _INTERVAL.fullmatch(token.text)), None)
    if place is None:
        hint = "write service, name and start..end, as in gateway POST /score server 0ms..180ms"
        raise _all(tokens).refuse("the span says no times", hint)
    head = tokens[:place]
    if len(head) < 2:  # noqa: PLR2004 - a service and a name
        raise _all(tokens[: place + 1]).refuse("a span needs a service and a name before its times")
    start, end = _interval(tokens[place])
    service, *words = head
    kind = words.pop().text if len(words) > 1 and words[-1].text in KINDS else KINDS[0]
    return SpanLine(unquoted(service), _name(words), kind, start, end, _items(tokens[place + 1 :]), _all(head))


def _event(tokens: list[Token]) -> EventLine:
    place = next((at for at, token in enumerate(tokens) if at > 1 and _TIME.fullmatch(token.text)), None)
    if place is None:
        raise _all(tokens).refuse("an event needs a name and a time", "write it like * first_token 50ms")
    time = _time(tokens[place].text, tokens[place])
    return EventLine(_name(tokens[1:place]), time, _items(tokens[place + 1 :]), _all(tokens[: place + 1]))


def _all(tokens: list[Token]) -> Token:
    """Return the tokens as one, to be underlined."""
    first, last = tokens[0], tokens[-1]
    return Token(" " * (last.offset + len(last.text) - first.offset), first.offset)


def _name(words: list[Token]) -> str:
    return unquoted(words[0]) if len(words) == 1 else " ".join(word.text for word in words)


def _interval(token: Token) -> tuple[int, int]:
    first, _, last = token.text.partition("..")
    start, end = _time(first, token), _time(last, token)
    if end < start:
        raise token.refuse("the span ends before it starts", "write the earlier time first")
    return start, end


def _time(text: str, token: Token) -> int:
    if text in ("0", "-0"):
        return 0
    try:
        time = parse_duration(text, negative=True)
    except DurationError as error:
        raise token.refuse(error.message, error.hint or "write times like 0ms..180ms") from None
    if abs(time) > _LONGEST:
        raise token.refuse(f"{text} is too far from the beginning of the request", "stay within 30 days")
    return time


def _items(tokens: list[Token]) -> tuple[Item, ...]:
    return tuple(_item(token) for token in tokens)


def _item(token: Token) -> Item:
    key, equals, value = token.text.partition("=")
    if token.text.startswith('"') or (equals and not key):
        raise token.refuse(f"`{token.text}` is no attribute", "write it like key=value")
    if not equals:
        return Item(key, None, token)
    if value.startswith(('"', "[")) and not _CLOSED.fullmatch(value):
        raise token.refuse("the quotes or brackets are not closed here")
    return Item(key, Token(value, token.offset + len(key) + 1), token)


def unquoted(token: Token) -> str:
    r"""Return the text that a token stands for, which may be in double quotes.

    Raises:
        Mistake: the quotes are not closed.

    >>> unquoted(Token(r'"a \"b\""', 0)), unquoted(Token("plain", 0))
    ('a "b"', 'plain')
    """
    if not token.text.startswith('"'):
        return token.text
    if not re.fullmatch(_QUOTED, token.text):
        raise token.refuse("the quotes are not closed here")
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), token.text[1:-1])
