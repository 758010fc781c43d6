"""Signatures: what another implementation of Standard Webhooks accepts, and what it must not."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from spanverdict.alerting.signing import InvalidSecret, Secret, parse_secret, sign, signed_headers


def text_of(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@given(st.binary(min_size=24, max_size=64), st.text(alphabet="abc_0", min_size=1), st.text(max_size=300))
def test_another_implementation_accepts_our_signature(key: bytes, message_id: str, body: str) -> None:
    secret = parse_secret(text_of(key))
    raw = body.encode("utf-8", "replace")
    headers = signed_headers(message_id, int(time.time()), raw, [secret])
    Webhook(text_of(key)).verify(raw, headers, json_parse=False)


def test_each_of_several_secrets_verifies_alone() -> None:
    old, new, other = (bytes([i]) * 32 for i in range(3))
    headers = signed_headers("msg_1", int(time.time()), b"{}", [Secret(new), Secret(old)])
    assert headers["webhook-signature"].count("v1,") == 2
    for key in (old, new):
        Webhook(text_of(key)).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(text_of(other)).verify(b"{}", headers)


def test_a_changed_body_id_or_time_is_noticed() -> None:
    key, now = b"k" * 32, int(time.time())
    headers = signed_headers("msg_1", now, b'{"a":1}', [Secret(key)])
    for body, change in (
        (b'{"a":2}', {}),
        (b'{"a":1}', {"webhook-id": "msg_2"}),
        (b'{"a":1}', {"webhook-timestamp": str(now - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(text_of(key)).verify(body, {**headers, **change})


def test_an_old_message_cannot_be_played_again() -> None:
    headers = signed_headers("msg_1", int(time.time()) - 301, b"{}", [Secret(b"k" * 32)])
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(text_of(b"k" * 32)).verify(b"{}", headers)


def test_a_signature_is_the_same_wherever_it_is_made() -> None:
    """Computed with `openssl dgst -sha256 -hmac` over `msg_1.1700000000.{}`."""
    assert sign("msg_1", 1_700_000_000, b"{}", Secret(b"0123456789abcdef01234567")) == (
        "v1,DjijpYnPcWcWSiPdvC93sCoKwGNWcH97A32JApk39OU="
    )


def test_without_secrets_a_message_goes_unsigned() -> None:
    assert signed_headers("msg_1", 7, b"{}", []) == {"webhook-id": "msg_1", "webhook-timestamp": "7"}


def test_padding_and_space_around_a_secret_do_not_matter() -> None:
    key = b"x" * 25
    assert parse_secret(text_of(key)).key == key
    assert parse_secret(f"  {text_of(key).rstrip('=')}\n").key == key


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("canarycanarycanarycanary", "must begin with whsec_"),
        ("whsec_", "this one holds 0"),
        ("whsec_canary!canary!canary", "must be base64"),
        ("whsec_canaryé", "must be base64"),
        (text_of(b"c" * 23), "24 to 64 bytes, this one holds 23"),
        (text_of(b"c" * 65), "24 to 64 bytes, this one holds 65"),
    ],
)
def test_what_is_no_secret_is_refused_without_showing_it(text: str, reason: str) -> None:
    with pytest.raises(InvalidSecret, match=reason) as caught:
        parse_secret(text)
    assert "canary" not in str(caught.value)
    assert text.removeprefix("whsec_") == "" or text.removeprefix("whsec_") not in str(caught.value)


def test_a_secret_does_not_show_itself() -> None:
    assert "canary" not in repr(Secret(b"canary" * 5)) + str(Secret(b"canary" * 5))
