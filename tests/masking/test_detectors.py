"""What detectors find, what they leave, and that a payload that is not suspicious holds none of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.masking.detectors import DETECTORS, is_card_number, own
from spanverdict.masking.rules import MaskingRules

BY_NAME = {detector.name: detector for detector in DETECTORS}

FOUND = [
    ("bearer", "Authorization: Bearer abcdef123456", "Authorization: Bearer [bearer]"),
    ("bearer", "proxy basic dXNlcjpwYXNz", "proxy basic [bearer]"),
    ("token", "use ghp_" + "a1" * 18 + " now", "use [token] now"),
    ("token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl", "[token]"),
    ("token", "AKIAIOSFODNN7EXAMPLE", "[token]"),
    ("token", "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----", "[token]"),
    ("password", "postgresql://scorer:s3cr3t@db/features", "postgresql://scorer:[password]@db/features"),
    ("secret", '{"password": "hunter2", "user": 1}', '{"password": "[secret]", "user": 1}'),
    ("secret", "https://a.example/?access_token=abc&x=1", "https://a.example/?access_token=[secret]&x=1"),
    ("secret", "API_KEY=abcdef next", "API_KEY=[secret] next"),
    ("email", "from anne.o'neil@mail.example.org, sent", "from anne.o'[email], sent"),
    ("card", "card 4111 1111 1111 1111 used", "card [card] used"),
    ("phone", "call +49 170 1234567 or (555) 123-4567", "call [phone] or [phone]"),
    ("ip", "from 10.0.0.1, fe80::1 and ::ffff:10.1.2.3", "from [ip], [ip] and [ip]"),
]
LEFT = [
    ("bearer", "the bearer of it"),
    ("token", "sk-short"),
    ("password", "http://host:8080/path@x"),
    ("secret", "the secret is out"),
    ("email", "user @ host"),
    ("card", "order 4111 1111 1111 1112"),
    ("card", "1234567890123456"),
    ("phone", "2026-11-22 and 12345"),
    ("ip", "at 12:30:45, version 1.2.3, 999.1.1.1"),
]


@pytest.mark.parametrize(("name", "text", "masked"), FOUND, ids=range(len(FOUND)))
def test_what_a_detector_finds_is_replaced_by_its_name(name: str, text: str, masked: str) -> None:
    assert BY_NAME[name].replaced(text.encode()).decode() == masked


@pytest.mark.parametrize(("name", "text"), LEFT, ids=range(len(LEFT)))
def test_what_only_looks_alike_is_left(name: str, text: str) -> None:
    assert BY_NAME[name].replaced(text.encode()).decode() == text


@pytest.mark.parametrize(("name", "text", "masked"), FOUND, ids=range(len(FOUND)))
def test_masking_what_is_masked_changes_nothing(name: str, text: str, masked: str) -> None:
    assert BY_NAME[name].replaced(masked.encode()).decode() == masked


@given(st.sampled_from(FOUND), st.binary(max_size=6), st.binary(max_size=6), st.sampled_from(["", "x", "7", " ", "é"]))
def test_what_is_found_in_a_value_makes_every_payload_around_it_suspicious(
    found: tuple[str, str, str], before: bytes, after: bytes, edge: str
) -> None:
    name, text, _ = found
    value = f"{edge} {text} {edge}".encode()
    if BY_NAME[name].replaced(value) != value:
        rules = MaskingRules(values=tuple(BY_NAME))
        assert rules.suspicion.search(before + value + after) is not None
    loose = own("loose", BY_NAME[name].loose or "")
    assert loose.replaced(before + text.encode() + after) != before + text.encode() + after


def test_a_group_says_what_is_replaced() -> None:
    assert own("ticket", r"ticket=(TKT-[0-9]+)").replaced(b"a ticket=TKT-12 b") == b"a ticket=[ticket] b"


@pytest.mark.parametrize("pattern", ["^x", "x$", r"\bx"])
def test_patterns_that_know_where_a_value_begins_cannot_be_looked_for_in_payloads(pattern: str) -> None:
    assert own("mine", pattern).loose is None


def test_a_check_digit_tells_card_numbers_from_other_numbers() -> None:
    numbers = [f"41111111111111{n:02}" for n in range(100)]
    assert sum(map(is_card_number, numbers)) == 10
