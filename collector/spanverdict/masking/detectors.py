"""What gives a secret or a personal value away inside a text, whatever the attribute is called.

Each detector has two patterns. The exact one says what is replaced in a value. The loose one, without word
boundaries and lengths, is looked for in whole payloads, where a value's neighbours are bytes of another kind: it
finds at least all that the exact one does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import re2

_CARD_DIGITS: Final = range(13, 20)
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
        raise ValueError(str(error)) from None


def anything(_text: str) -> bool:
    """Tell that whatever matched is meant."""
    return True


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one kind of value."""

    name: str
    exact: str
    loose: str | None
    """None where payloads cannot be searched for it, so that every value has to be."""
    holds: Callable[[str], bool] = anything
    """Decides about what the pattern found."""
    _matcher: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matcher", compiled(self.exact))

    def replaced(self, text: bytes) -> bytes:
        """Return a UTF-8 text with every find replaced by the detector's name; of a pattern with a group, that group.

        >>> DETECTORS[0].replaced(b"sent Bearer abcdef0123")
        b'sent Bearer [bearer]'
        """
        if self._matcher.search(text) is None:
            return text
        pieces, done = [], 0
        for match in self._matcher.finditer(text):
            start, end = match.span(match.re.groups)
            if start >= 0 and self.holds(text[start:end].decode(errors="replace")):
                pieces += [text[done:start], f"[{self.name}]".encode()]
                done = end
        return b"".join([*pieces, text[done:]])


def own(name: str, pattern: str) -> Detector:
    """Return a detector of a user's pattern; raises `ValueError` when it is none."""
    loose = None if any(part in pattern for part in _ALWAYS) else pattern
    return Detector(name, pattern, loose)


def is_card_number(digits: str) -> bool:
    """Tell whether the check digit is right, by the algorithm of Luhn (ISO/IEC 7812-1).

    >>> is_card_number("4111 1111 1111 1111"), is_card_number("4111 1111 1111 1112")
    (True, False)
    """
    numbers = [int(digit) for digit in digits if digit.isascii() and digit.isdigit()]
    doubled = [sum(divmod(2 * number, 10)) for number in numbers[-2::-2]]
    return len(numbers) in _CARD_DIGITS and (sum(doubled) + sum(numbers[-1::-2])) % 10 == 0


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


def _words(*words: str) -> str:
    return "|".join(words)


SECRET_WORDS: Final = _words(
    "authorization", r"cookies?", r"passw(?:or)?ds?", r"passphrases?", r"secrets?", r"client[-_]?secret",
    r"(?:x[-_])?api[-_]?keys?", r"(?:access|refresh|auth|id|session|bearer|csrf)[-_]?tokens?", r"private[-_]?keys?",
    r"access[-_]?keys?", r"secret[-_]?access[-_]?key", r"credentials?", r"connection[-_]?string",
)  # fmt: skip
"""Words in the name of an attribute, or of a setting in a text, that say its value is secret."""

_TOKEN_SHAPES: Final = (
    r"gh[pousr]_[A-Za-z0-9]{36,}",
    r"github_pat_[A-Za-z0-9_]{36,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    r"(?:sk|rk|pk)[-_](?:live|test|proj|ant|or)?[-_]?[A-Za-z0-9_-]{20,}",
    r"whsec_[A-Za-z0-9+/=]{24,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{40,}",
)
_JWT: Final = r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
_KEY_BLOCK: Final = r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
_PHONE: Final = r"\+[0-9](?:[ ().-]{0,2}[0-9]){7,14}"

DETECTORS: Final = (
    Detector(
        "bearer", r"(?i)\b(?:bearer|basic|negotiate)\s+([A-Za-z0-9+/_.~=-]{8,})", r"(?i)(?:bearer|basic|negotiate)\s"
    ),
    Detector(
        "token",
        _words(*(rf"\b{shape}" for shape in _TOKEN_SHAPES), rf"\b{_JWT}", _KEY_BLOCK),
        _words(*(shape.replace("{36,}", "{20}") for shape in _TOKEN_SHAPES), r"eyJ[A-Za-z0-9_-]{8}", "-----BEGIN "),
    ),
    Detector("password", r"://[^/\s:@]{0,64}:([^/\s@]{1,256})@", r"://[^/\s:@]{0,64}:[^/\s@]{1,256}@"),
    Detector(
        "secret",
        rf"(?i)\b(?:{SECRET_WORDS})[\"']?\s{{0,4}}[=:]\s{{0,4}}[\"']?([^\s\"'&,;}}\[\]][^\s\"'&,;}}\]]*)",
        rf"(?i)(?:{SECRET_WORDS})[\"']?\s{{0,4}}[=:]",
    ),
    Detector(
        "email",
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
        r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+\.[A-Za-z0-9]",
    ),
    Detector("card", r"\b[0-9](?:[ -]?[0-9]){12,18}\b", r"[0-9](?:[ -]?[0-9]){12}", is_card_number),
    Detector(
        "phone",
        _words(_PHONE, r"\([0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4}\b", r"\b[0-9]{3}[-.][0-9]{3}[-.][0-9]{4}\b"),
        _words(_PHONE, r"\([0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4}", r"[0-9]{3}[-.][0-9]{3}[-.][0-9]{4}"),
    ),
    Detector(
        "ip",
        r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:(?:\.[0-9]{1,3}){3})?",
        r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2}[0-9A-Fa-f]{0,4}",
        is_address,
    ),
)
"""All that have a name in settings, in the order in which they look at a value."""

SECRETS: Final = ("bearer", "token", "password", "secret")
"""Those that look wherever nobody says otherwise."""
