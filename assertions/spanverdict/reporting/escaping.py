r"""Text that came with the spans, made safe to show: nothing in it can colour, move, hide or command.

Span data is written by whoever can reach the receiver, and reports end in terminals, CI logs and
browsers. So every text is shown with its control characters spelled out (`\x1b`), and with the
markers by which a CI log obeys a line (`::error`, `##vso[`) broken.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: colours, cursor moves, carriage returns
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of what follows
    "\u2028\u2029\ufeff\ufff9-\ufffb\ufffe\uffff"  # line ends that are not \n, and characters no text has
    "\ud800-\udfff]"  # lone surrogates cannot be written at all
)
_LOG_COMMAND = re.compile(
    r"(?:(?<=\s)|^):(?=:)"  # `::error::` at a line's start: GitHub
    r"|(?<=#)#(?=\w*\[)"  # `##[`, `##vso[`, `##teamcity[`: Azure and TeamCity, GitHub's older form
    r"|(?<=\[)\[(?=ATTACHMENT)"  # `[[ATTACHMENT|file]]` in a test's output: Jenkins and GitLab
)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0 has room for all others
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_SIGNS = str.maketrans({"…": "...", "—": "-", "–": "-", "×": "x", "·": "-"})  # noqa: RUF001 - these are meant


def shown(text: str, limit: int = 200) -> str:
    r"""Return the text as one harmless line of at most about `limit` characters.

    >>> shown("\x1b[31mred\r\n")
    '\\x1b[31mred\\x0d\\x0a'
    >>> shown("::add-mask::x"), shown("a ##vso[task]")
    ('\\x3a:add-mask::x', 'a #\\x23vso[task]')
    """
    return _LOG_COMMAND.sub(_spelled, _CONTROL.sub(_spelled, clipped(text, limit)))


def clipped(text: str, limit: int) -> str:
    """Return the text, or its beginning and how much of it was left out.

    >>> clipped("abcdefgh", 4)
    'abcd… (4 more)'
    """
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more)"


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code >> 8 else f"\\x{code:02x}"


def xml_text(text: str, limit: int) -> str:
    r"""Return the text without what XML 1.0 cannot carry, at most `limit` bytes in UTF-8.

    >>> xml_text("a\x00b\ud800c", 10)
    'abc'
    """
    kept = _NOT_XML.sub("", text)
    encoded = kept.encode()
    if len(encoded) <= limit:
        return kept
    note = "\n… (cut here)"
    return encoded[: max(limit - len(note.encode()), 0)].decode(errors="ignore") + note


def strict_json(value: Any, *, indent: int | None = None) -> str:
    r"""Write JSON that every reader accepts: sorted keys, ASCII, no NaN, no lone surrogates, no log commands.

    >>> strict_json({"b": "##[x", "a": "\ud800"})
    '{"a": "\\ufffd", "b": "#\\u0023[x"}'
    """
    text = json.dumps(json_safe(value), sort_keys=True, ensure_ascii=True, allow_nan=False, indent=indent)
    return text.replace("##", "#\\u0023")  # `#` stands only inside strings, where the escape means the same


def json_safe(value: Any) -> Any:
    r"""Return the value without what JSON readers choke on: lone surrogates become U+FFFD, NaN and infinities None.

    >>> json_safe({"a": ("\ud800", float("nan"))})
    {'a': ['�', None]}
    """
    match value:
        case str():
            return _SURROGATE.sub("\ufffd", value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {json_safe(key): json_safe(item) for key, item in sorted(value.items())}
        case list() | tuple():
            return [json_safe(item) for item in value]
    return value


def fit_encoding(text: str, encoding: str | None) -> str:
    r"""Return the text in characters that a stream of this encoding can take.

    >>> fit_encoding("4bf9… — é", "ascii")
    '4bf9... - \\xe9'
    """
    name = (encoding or "utf-8").lower().replace("_", "-")
    if name in {"utf-8", "utf8"}:
        return text
    return text.translate(_PLAIN_SIGNS).encode(name, "backslashreplace").decode(name)
