"""What gives a secret or a personal value away inside a text, whatever the attribute is called.

Each detector has two patterns. The exact one says what is replaced in a value. The loose one, without word
boundaries and lengths, is looked for in whole payloads, where a value's neighbours are bytes of another kind: it
finds at least all that the exact one does.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import re2

from spanverdict.masking.cardnumbers import RUN, card_numbers
from spanverdict.masking.secrets import (
    BEARER,
    LOOSE,
    LOOSE_BEARER,
    LOOSE_PASSWORD,
    LOOSE_TOKEN,
    PASSWORD,
    SECRET,
    TOKEN,
    words,
)

_ALWAYS: Final = ("^", "$", r"\b", r"\B", r"\A", r"\z")
"""Parts of a pattern that mean something else in a payload than in a value."""


def compiled(pattern: str, *, case_sensitive: bool = True) -> Any:
    """Return a linear-time matcher of texts and of UTF-8 bytes.

    Raises:
        ValueError: it is not a pattern of RE2's syntax, or too large a one.
    """
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = case_sensitive
    options.max_mem = 8 << 20
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from None


Pick: TypeAlias = Callable[[bytes, int, int], Iterable[tuple[int, int]]]
"""Says which parts of a text to replace, between the start and the end of what a pattern found."""


def all_of_it(_text: bytes, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Pick whatever was found."""
    return ((start, end),)


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one kind of value."""

    name: str
    exact: str
    loose: str | None
    """None where payloads cannot be searched for it, so that every value has to be."""
    pick: Pick = all_of_it
    """Decides about what the pattern found."""
    _matcher: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matcher", compiled(self.exact))

    def replaced(self, text: bytes) -> bytes:
        """Return a UTF-8 text with every find replaced by the detector's name; of a pattern with groups, the last one.

        >>> DETECTORS[0].replaced(b"sent Bearer abcdef0123")
        b'sent Bearer [bearer]'
        """
        if self._matcher.search(text) is None:
            return text
        pieces, done = [], 0
        for match in self._matcher.finditer(text):
            for start, end in self.pick(text, *_found(match)):
                pieces += [text[done:start], f"[{self.name}]".encode()]
                done = end
        return b"".join([*pieces, text[done:]])


def _found(match: Any) -> tuple[int, int]:
    """Return where the last group stands that is there; all of a match without groups."""
    spans: list[tuple[int, int]] = [match.span(group) for group in range(match.re.groups, -1, -1)]
    return next(span for span in spans if span[0] >= 0)


def own(name: str, pattern: str) -> Detector:
    """Return a detector of a user's pattern; raises `ValueError` when it is none."""
    loose = None if any(part in pattern for part in _ALWAYS) else pattern
    return Detector(name, pattern, loose)


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address.

    >>> is_address("10.0.0.1"), is_address("1.2.3.400"), is_address("fe80::1"), is_address("12:30:45")
    (True, False, True, False)
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _addresses(text: bytes, start: int, end: int) -> Iterable[tuple[int, int]]:
    return ((start, end),) if is_address(text[start:end].decode(errors="replace")) else ()


def _not_masked(text: bytes, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Pick what is something, and not what a detector has left in its place."""
    return ((start, end),) if text[start:end].strip(b"[] ") not in _LEFT else ()


def _credentials(text: bytes, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Pick what is no word of a language, as after `basic`; a user and a password in base64 always."""
    found = text[start:end]
    is_word = _WORD.fullmatch(found) is not None and text[:start].rstrip(b" \t").lower().endswith(b"basic")
    return () if is_word and not _is_user_and_password(found) else ((start, end),)


def _is_user_and_password(encoded: bytes) -> bool:
    try:
        said = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), b"-_" if set(encoded) & set(b"-_") else None)
    except ValueError:
        return False
    return b":" in said and said.isascii() and said.decode().isprintable()


_WORD: Final = compiled("[A-Za-z]?[a-z]+|[A-Z]+|[A-Za-z]?[a-z]+(?:-[a-z]+)+|[0-9]+")
_LEFT: Final = frozenset(
    {
        b"",
        b"redacted",
        *(name.encode() for name in ("bearer", "token", "password", "secret", "email", "card", "phone", "ip")),
    }
)
_AT: Final = r"(?:@|%40|\\u0040)"
_PHONE: Final = r"(?:\+|%2B)[0-9](?:[ ().-]{0,2}[0-9]){7,14}"

DETECTORS: Final = (
    Detector("bearer", BEARER, LOOSE_BEARER, _credentials),
    Detector("token", TOKEN, LOOSE_TOKEN),
    Detector("password", PASSWORD, LOOSE_PASSWORD, _not_masked),
    Detector("secret", SECRET, LOOSE, _not_masked),
    Detector(
        "email",
        rf"[\pL\pN._%+-]+{_AT}[\pL\pN-]+(?:\.[\pL\pN-]+)*\.\pL{{2,}}",
        rf"[\pL\pN._%+-]{_AT}[\pL\pN-]+\.[\pL\pN]",
    ),
    Detector("card", RUN, RUN.replace("{12,}", "{12}"), card_numbers),
    Detector(
        "phone",
        words(_PHONE, r"\([0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4}\b", r"\b[0-9]{3}[-.][0-9]{3}[-.][0-9]{4}\b"),
        words(_PHONE, r"\([0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4}", r"[0-9]{3}[-.][0-9]{3}[-.][0-9]{4}"),
    ),
    Detector(
        "ip",
        r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:(?:\.[0-9]{1,3}){3})?",
        r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2}[0-9A-Fa-f]{0,4}",
        _addresses,
    ),
)
"""All that have a name in settings, in the order in which they look at a value."""

SECRETS: Final = ("bearer", "token", "password", "secret")
"""Those that look wherever nobody says otherwise."""
