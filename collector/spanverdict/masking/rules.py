"""Which attributes are masked, and how: the rules, checked and ready for use."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Final

from spanverdict.masking.detectors import DETECTORS, SECRETS, Detector, compiled, own
from spanverdict.masking.secrets import (
    ACROSS,
    ENDING,
    SECRET_NAME,
    SUSPICIOUS,
    SUSPICIOUS_ARGUMENT,
    SUSPICIOUS_ENDING,
    VOCABULARY,
)

KEPT: Final = ("test.suite.run.id", "test.run.id", "cicd.pipeline.run.id", "service.name", "messaging.message.id")
"""Attributes without which spans of a run do not find together: they are left as they are."""
_DIGITS: Final = 32


class BadMasking(ValueError):  # noqa: N818 - reads best where it is raised
    """Rules that cannot be followed; the message says which and why."""


class Action(Enum):
    """What becomes of an attribute."""

    KEEP = "keep"
    """Nothing, whatever it holds."""
    DROP = "drop"
    HASH = "hash"
    REDACT = "redact"
    SECRET = "secret"  # noqa: S105 - the word
    """Redacted, as its name says that it is secret; true and false are not."""
    SECRET_TEXT = "secret text"  # noqa: S105 - the words
    """The same where its name ends in a word that also counts and kinds have: numbers are not secret, and no
    word of `WAYS`."""
    LOOK = "look"
    """Its texts are searched for what detectors find."""


@dataclass(frozen=True)
class MaskingRules:
    """What to mask, by globs of attribute names (`user.*`, upper and lower case alike) and by what values look like.

    The first list that has a name decides: keep, drop, hash, redact.
    """

    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """Names of detectors, beside those of secrets."""
    patterns: tuple[tuple[str, str], ...] = ()
    """(name, RE2 pattern) of detectors of one's own."""
    secrets: bool = True
    """Mask what is plainly secret, by name or by shape."""
    hash_key: bytes = field(default=b"", repr=False)

    def check(self) -> None:
        """Raise `BadMasking` for rules that cannot be followed."""
        known = [detector.name for detector in DETECTORS]
        for name in self.values:
            if name not in known:
                raise BadMasking(f"there is no detector {name}; there are {', '.join(known)}")
        for name, pattern in self.patterns:
            try:
                own(name, pattern)
            except ValueError as error:
                raise BadMasking(f"the pattern {name} is no regular expression: {error}") from None
        if self.hash and len(self.hash_key) < 16:  # noqa: PLR2004 - 128 bits
            raise BadMasking("hashing needs a key of at least 16 bytes, or hashes could be looked up")

    @property
    def idle(self) -> bool:
        """Tell whether nothing is ever masked."""
        return not (self.secrets or self.drop or self.hash or self.redact or self.values or self.patterns)

    @cached_property
    def detectors(self) -> tuple[Detector, ...]:
        """Those that search texts."""
        wanted = {*(SECRETS if self.secrets else ()), *self.values}
        chosen = (detector for detector in DETECTORS if detector.name in wanted)
        return (*chosen, *(own(name, pattern) for name, pattern in self.patterns))

    @cached_property
    def _keys(self) -> tuple[tuple[Action, Any], ...]:
        lists = (
            (Action.KEEP, (*KEPT, *self.keep)),
            (Action.DROP, self.drop),
            (Action.HASH, self.hash),
            (Action.REDACT, self.redact),
        )
        matchers = [
            (action, compiled("|".join(map(_of_glob, globs)), case_sensitive=False)) for action, globs in lists if globs
        ]
        if self.secrets:
            matchers.append((Action.SECRET, compiled(SECRET_NAME, case_sensitive=False)))
            matchers.append((Action.LOOK, compiled(VOCABULARY, case_sensitive=False)))
            matchers.append((Action.SECRET_TEXT, compiled(ENDING, case_sensitive=False)))
        return tuple(matchers)

    def action(self, key: str) -> Action:
        """Return what becomes of an attribute by its name."""
        return next((action for action, matcher in self._keys if matcher.fullmatch(key)), Action.LOOK)

    @cached_property
    def suspicion(self) -> Any | None:
        """Return a matcher of payloads: one without a match holds nothing to mask. None when all may."""
        return compiled(self.suspicious_pattern) if self.suspicious_pattern else None

    @cached_property
    def suspicious_pattern(self) -> str:
        """Return the pattern of that matcher, "" for none."""
        loose = [detector.loose for detector in self.detectors]
        globs = [_of_glob(glob) for glob in (*self.drop, *self.hash, *self.redact)]
        if None in loose or any(not glob.replace(".*", "") for glob in globs):
            return ""
        keys = [f"(?i:{part.removesuffix('.*').removeprefix('.*')})" for part in globs]
        secret = [SUSPICIOUS, SUSPICIOUS_ENDING, SUSPICIOUS_ARGUMENT] if self.secrets else []
        return "|".join([*keys, *secret, *(part for part in loose if part)])

    @cached_property
    def hint(self) -> Any | None:
        """Return a matcher of payloads that finds more than `suspicion`.

        One without a match holds nothing to mask in whatever order its parts were written. None when all may.
        """
        if not self.secrets:
            return self.suspicion
        return compiled(f"{self.suspicious_pattern}|{ACROSS}") if self.suspicious_pattern else None

    def hashed(self, value: bytes) -> str:
        """Return a keyed hash: equal values have equal hashes, and nobody without the key can try values out."""
        return f"hmac-sha256:{hmac.new(self.hash_key, value, hashlib.sha256).hexdigest()[:_DIGITS]}"


def _of_glob(glob: str) -> str:
    r"""Return the pattern of a glob, in which only `*` is special.

    >>> _of_glob("http.*.cookie")
    'http\\..*\\.cookie'
    """
    import re2  # noqa: PLC0415 - for its quoting alone

    return ".*".join(re2.escape(part) for part in glob.split("*"))
