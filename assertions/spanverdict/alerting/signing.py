"""Signatures by which a receiver knows that a message is ours: Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64


class InvalidSecret(ValueError):  # noqa: N818 - says what is wrong
    """The text is not a secret for signing. The message never holds the text."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A key shared with a receiver; does not show itself."""

    key: bytes = field(repr=False)


def parse_secret(text: str) -> Secret:
    """Read `whsec_` and 24 to 64 bytes in base64.

    >>> parse_secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")
    Secret()

    Raises:
        InvalidSecret: it is something else.
    """
    encoded = text.strip()
    if not encoded.startswith(PREFIX):
        raise InvalidSecret(f"a secret must begin with {PREFIX}")
    encoded = encoded.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidSecret(f"what follows {PREFIX} must be base64") from error
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise InvalidSecret(f"a secret must hold {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, this one holds {len(key)}")
    return Secret(key)


def signed_headers(message_id: str, unix_seconds: int, body: bytes, secrets: Sequence[Secret]) -> dict[str, str]:
    """Return the headers of one attempt: the id stays over all attempts, the time is that of this one.

    Every secret signs, so a receiver may change over from one to the next at its leisure. Without
    secrets there is no signature.
    """
    headers = {"webhook-id": message_id, "webhook-timestamp": str(unix_seconds)}
    if secrets:
        headers["webhook-signature"] = " ".join(sign(message_id, unix_seconds, body, secret) for secret in secrets)
    return headers


def sign(message_id: str, unix_seconds: int, body: bytes, secret: Secret) -> str:
    """Return `v1,` and the HMAC-SHA256 of id, time and body in base64."""
    content = b"%s.%d.%s" % (message_id.encode(), unix_seconds, body)
    return "v1," + base64.b64encode(hmac.digest(secret.key, content, hashlib.sha256)).decode("ascii")
