"""Cuts the text of a selector into tokens."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final, NamedTuple

from spanverdict.selectors.errors import SelectorSyntaxError
from spanverdict.selectors.literals import escape

MAX_LENGTH: Final = 10_000
"""Characters a selector may have."""

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_BARE: Final = r"\w(?:[\w.\-]*\w)?"
_TOKEN: Final = re.compile(
    rf"""\s*(?:
    (?P<word>[^\W\d]\w*(?: :\w* | (?:\.(?:{_BARE}|{_QUOTED}))* ) | (?!\.\d)(?:\.(?:{_BARE}|{_QUOTED}))+)
    |(?P<number>\.?[0-9][\w.µμ]*(?:(?<=[0-9][eE])[+-][0-9]+)?)
    |(?P<string>{_QUOTED}|`[^`]*`)
    |(?P<op>&>>|&<<|!>>|!<<|&&|&>|&<|&~|\|\||==|=>|=<|<>|~=|=~|!=|!~|!>|!<|>=|<=|>>|<<|[{{}}()<>=~!+\-*/%^,|])
    |(?P<strange>\."|\S))
    """,
    re.VERBOSE | re.DOTALL,
)

_MISWRITTEN: Final = MappingProxyType({"==": "=", "=>": ">=", "=<": "<=", "<>": "!=", "~=": "=~"})
"""Operators of other languages, and what they are here."""

_STRANGE: Final = MappingProxyType(
    {
        "'": ("a string stands in double quotes or backticks", ""),
        '"': ("this string has no end", "close it with a double quote"),
        "`": ("this string has no end", "close it with a backtick"),
        "&": ("`&` is not an operator", "write `&&` for and"),
        ".": ("a name must follow the dot", ""),
        '."': ("this quoted name has no end", "close it with a double quote"),
    }
)


class Token(NamedTuple):
    """`kind` is `word`, `number`, `string` or `end`, or else the operator itself."""

    kind: str
    text: str
    start: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text`, the last of kind `end`.

    >>> [t.kind for t in tokens('{ span.a >= 1 }')]
    ['{', 'word', '>=', 'number', '}', 'end']
    """
    _check(text)
    found = [_token(match) for match in _TOKEN.finditer(text.rstrip())]
    found.append(Token("end", "", len(text)))
    return found


def _token(match: re.Match[str]) -> Token:
    group, start = match.lastgroup, match.start(match.lastindex or 0)
    piece = match[match.lastindex or 0]
    if group == "op":
        if piece in _MISWRITTEN:
            right = _MISWRITTEN[piece]
            raise SelectorSyntaxError(f"TraceQL compares with {right}", hint=f"write `{right}`", place=(start, 2))
        return Token(piece, piece, start)
    if group is None or group == "strange":
        raise _strange(piece, start)
    if not piece.isprintable():
        raise _invisible(piece, start)
    return Token(group, piece, start)


def _check(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise SelectorSyntaxError(f"a selector has at most {MAX_LENGTH} characters, this one has {len(text)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SelectorSyntaxError("this character is half of a surrogate pair", place=(error.start, 1)) from None


def _invisible(piece: str, at: int) -> SelectorSyntaxError:
    """Refuse line ends and characters that nobody can see inside a string or name."""
    place = next(place for place, char in enumerate(piece) if not char.isprintable())
    hint = f"in double quotes, write it as `{escape(piece[place])}`"
    return SelectorSyntaxError("a character inside the quotes cannot be seen", hint=hint, place=(at + place, 1))


def _strange(piece: str, at: int) -> SelectorSyntaxError:
    message, hint = _STRANGE.get(piece, (f"{piece!r} has no meaning here", ""))
    return SelectorSyntaxError(message, hint=hint, place=(at, len(piece)))
