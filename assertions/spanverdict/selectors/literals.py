"""Strings, numbers and durations as they are written in a selector."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from spanverdict.selectors.words import MAX_INT, MIN_INT

NS: Final = MappingProxyType(
    {
        "h": 3_600_000_000_000,
        "m": 60_000_000_000,
        "s": 1_000_000_000,
        "ms": 1_000_000,
        "us": 1_000,
        "µs": 1_000,
        "μs": 1_000,
        "ns": 1,
    }
)
"""Units of time; the micro sign comes as either of its two code points."""

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SIMPLE: Final = MappingProxyType(
    {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}
)
_WRITTEN: Final = MappingProxyType({value: f"\\{key}" for key, value in _SIMPLE.items()})
_MAX_CODE_POINT: Final = 0x10FFFF
SURROGATES: Final = range(0xD800, 0xE000)
"""Code points that are no characters."""


class LiteralError(ValueError):
    """A literal that cannot be read; `offset` counts from its first character."""

    def __init__(self, message: str, hint: str = "", offset: int = 0, length: int = 0) -> None:
        super().__init__(message)
        self.message, self.hint, self.offset, self.length = message, hint, offset, length


def unquote(text: str) -> str:
    r"""Read a string in double quotes (with escapes) or backticks (as it stands).

    >>> unquote('"a\\tb"'), unquote(r"`\d+`")
    ('a\tb', '\\d+')
    """
    body = text[1:-1]
    if text[0] == "`" or "\\" not in body:
        return body
    return _ESCAPE.sub(_unescape, body)


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code[0] in "xuU" and len(code) > 1:
        number = int(code[1:], 16)
        if number <= _MAX_CODE_POINT and number not in SURROGATES:
            return chr(number)
    raise LiteralError(
        f"`\\{code}` is not an escape",
        r"write `\\` for a backslash, or put the string in backticks, where nothing is an escape",
        found.start() + 1,
        len(found[0]),
    )


def quote(text: str) -> str:
    r"""Write a string so that `unquote` reads it back: backticks where they save escapes.

    >>> quote("plain"), quote('say "x"'), quote("tab\t`")
    ('"plain"', '`say "x"`', '"tab\\t`"')
    """
    if ("\\" in text or '"' in text) and "`" not in text and text.isprintable():
        return f"`{text}`"
    return f'"{escape(text)}"'


def escape(text: str) -> str:
    """Write a text with escapes, for between double quotes."""
    return "".join(_WRITTEN.get(char) or (char if char.isprintable() else _code(ord(char))) for char in text)


def _code(number: int) -> str:
    if number < 0x100:  # noqa: PLR2004 - two hexadecimal digits
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004 - four digits


def is_duration(text: str) -> bool:
    """Tell whether `text` reads as a duration.

    >>> is_duration("1h30m"), is_duration("1d"), is_duration("5")
    (True, False, False)
    """
    return _DURATION.fullmatch(text) is not None


def nanoseconds(text: str) -> int:
    """Return the nanoseconds of a duration, exactly.

    >>> nanoseconds("1h30m"), nanoseconds("1.5s"), nanoseconds("10µs")
    (5400000000000, 1500000000, 10000)
    """
    return sum(_part(number, NS[unit]) for number, unit in _PART.findall(text))


def _part(number: str, unit: int) -> int:
    whole, _, digits = number.partition(".")
    found, rest = divmod(int(whole + digits) * unit, int("1" + "0" * len(digits)))
    if rest:
        raise LiteralError("a duration is a whole number of nanoseconds")
    return found


def write_duration(ns: int) -> str:
    """Write a duration in the fewest parts that lose nothing.

    >>> [write_duration(n) for n in (0, 250_000_000, 5_400_000_000_000, -1_500_000_000)]
    ['0s', '250ms', '1h30m', '-1.5s']
    """
    if ns < 0:
        return "-" + write_duration(-ns)
    hours, ns = divmod(ns, NS["h"])
    minutes, ns = divmod(ns, NS["m"])
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    for unit in ("s", "ms", "us"):
        if ns >= NS[unit]:
            whole, rest = divmod(ns, NS[unit])
            digits = f".{rest:0{len(str(NS[unit])) - 1}}".rstrip("0").rstrip(".") if rest else ""
            return f"{text}{whole}{digits}{unit}"
    return text + f"{ns}ns" if ns else text or "0s"


def fits(number: int) -> bool:
    """Tell whether a number is a 64-bit integer."""
    return MIN_INT <= number <= MAX_INT
