"""Bearer tokens: who may send."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from spanverdict.receiver.errors import Unauthenticated

_SCHEME = "bearer"


class BearerTokens:
    """The tokens that admit a request; none at all admits every request. Only their digests are kept. Thread-safe."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = _digests(tokens)

    def replace(self, tokens: Sequence[str]) -> None:
        """Admit these from now on, and no others."""
        self._digests = _digests(tokens)

    def client(self, authorization: bytes | None, address: str) -> str:
        """Name who sends: by the token where one is asked for, so that it counts alike from any address."""
        if not self._digests:
            return address
        return _digest((authorization or b"").strip().partition(b" ")[2].strip()).hex()

    def admits(self, authorization: bytes | None) -> bool:
        """Tell what `check` thinks of a header's value."""
        try:
            self.check(authorization)
        except Unauthenticated:
            return False
        return True

    def check(self, authorization: bytes | None) -> None:
        """Judge the value of an Authorization header, in a time that does not depend on how close a token is.

        Raises:
            Unauthenticated: it holds none of the tokens.

        >>> tokens = BearerTokens(["old", "new"])
        >>> tokens.check(b"Bearer new")
        >>> tokens.check(b"Basic new")
        Traceback (most recent call last):
        spanverdict.receiver.errors.Unauthenticated: a valid bearer token is required
        """
        digests = self._digests
        if not digests:
            return
        scheme, _, token = (authorization or b"").strip().partition(b" ")
        presented = _digest(token.strip())
        matches = [hmac.compare_digest(presented, digest) for digest in digests]
        if not any(matches) or scheme.lower() != _SCHEME.encode():
            raise Unauthenticated


def _digests(tokens: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(_digest(token.strip().encode()) for token in tokens)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
