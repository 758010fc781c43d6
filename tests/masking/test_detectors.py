"""What detectors find, what they leave, and that a payload that is not suspicious holds none of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.masking.cardnumbers import is_card_number
from spanverdict.masking.detectors import DETECTORS, own
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
    ("secret", '{"password": "two words", "n": 1}', '{"password": "[secret]", "n": 1}'),
    ("secret", r'{"password": "a\"b,c;d&e", "n": 1}', '{"password": "[secret]", "n": 1}'),
    ("secret", r'{"body": "{\"password\": \"x\", \"n\": 1}"}', r'{"body": "{\"password\": \"[secret]\", \"n\": 1}"}'),
    ("secret", r'"{\\\"api_key\\\":\\\"x\\\"}"', r'"{\\\"api_key\\\":\\\"[secret]"}"'),
    ("secret", "{'password': 'two words', 'n': 1}", "{'password': '[secret]', 'n': 1}"),
    ("secret", "{'Authorization': b'Token x'}", "{'Authorization': b'[secret]'}"),
    ("secret", '{"X-Api-Key": ["k1", "k2"], "n": 1}', '{"X-Api-Key": [[secret]], "n": 1}'),
    ("secret", '{"credentials": {"user": "a", "key": "b"}, "n": 1}', '{"credentials": {[secret]}, "n": 1}'),
    ("secret", '{"userPassword": "x", "dbApiKey": "y"}', '{"userPassword": "[secret]", "dbApiKey": "[secret]"}'),
    ("secret", "DB_PASSWORD=x PGPASSWORD=y Pwd=z;", "DB_PASSWORD=[secret] PGPASSWORD=[secret] Pwd=[secret];"),
    ("secret", "aws_secret_access_key = a/b+c", "aws_secret_access_key = [secret]"),
    ("secret", "Authorization: ApiKey abc", "Authorization: [secret]"),
    ("secret", 'Authorization: Digest username="a", response="b"', "Authorization: [secret]"),
    ("secret", "Cookie: theme=dark; sid=x\nAccept: y", "Cookie: [secret]\nAccept: y"),
    ("secret", '"Set-Cookie: sid=x; Path=/", 1', '"Set-Cookie: [secret]", 1'),
    ("secret", "passphrase: three little words", "passphrase: [secret]"),
    ("secret", "psql --password x --api-key 'y z' -h db", "psql --password [secret] --api-key '[secret]' -h db"),
    ("secret", "<user>a</user><password>x</password>", "<user>a</user><password>[secret]</password>"),
    ("bearer", "Basic dTpw, basic YTpi", "Basic [bearer], basic [bearer]"),
    ("bearer", "auth=Basic%20dXNlcjpwYXNz", "auth=Basic%20[bearer]"),
    ("secret", "curl -s -u admin:123456 https://a.example", "curl -s -u admin:[secret] https://a.example"),
    ("secret", "curl -su 'admin:x y' https://a.example", "curl -su 'admin:[secret] y' https://a.example"),
    ("secret", 'curl https://a.example --user "admin:x"', 'curl https://a.example --user "admin:[secret]"'),
    ("secret", "curl --proxy-user=u:p a.example", "curl --proxy-user=u:[secret] a.example"),
    ("secret", "http --user u:p@ss --verbose", "http --user u:[secret] --verbose"),
    ("secret", "ALTER USER a IDENTIFIED BY 'x'", "ALTER USER a IDENTIFIED BY '[secret]'"),
    ("secret", "/reset?token=x&n=1", "/reset?token=[secret]&n=1"),
    ("secret", "sv=1&sig=a%3D&se=2", "sv=1&sig=[secret]&se=2"),
    ("secret", "?X-Amz-Signature=x&AWSAccessKeyId=y", "?X-Amz-Signature=[secret]&AWSAccessKeyId=[secret]"),
    ("secret", "to=https%3A%2F%2Fx%3Faccess_token%3Dabc", "to=https%3A%2F%2Fx%3Faccess_token%3D[secret]"),
    ("bearer", "authorization=Bearer%20abcdef123456", "authorization=Bearer%20[bearer]"),
    ("token", "SG.abcdefghijklmnopq.abcdefghijklmnopq", "[token]"),
    ("token", "at https://hooks.slack.com/services/T00/B00/abcdefghijkl", "at https://[token]"),
    (
        "token",
        "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES-128-CBC\nMIIB\n-----END RSA PRIVATE KEY-----.",
        "[token].",
    ),
    ("token", "-----BEGIN PGP PRIVATE KEY BLOCK-----\nMIIB", "[token]"),
    ("password", "postgres://u:p@ss@db/x?a=b@c", "postgres://u:[password]@db/x?a=b@c"),
    ("password", "postgres://u:a/b@db/x", "postgres://u:[password]@db/x"),
    ("password", "redis://:x@cache:6379", "redis://:[password]@cache:6379"),
    ("email", "?mail=anne%40example.org&x=1", "?mail=[email]&x=1"),
    ("email", r'{"mail":"anne\u0040example.org"}', '{"mail":"[email]"}'),
    ("email", "to jürgen@exämple.de", "to [email]"),
    ("card", "5500 0000 0000 0004 123", "[card] 123"),
    ("card", "4012888888881881 12/28", "[card] 12/28"),
    ("card", "pan_5105105105105100_x", "pan_[card]_x"),
    ("card", "3566%200020%202036%200505, 3566+0020+2036+0505", "[card], [card]"),
    ("card", "30569309025904 30569309025904", "[card] [card]"),
    ("phone", "tel=%2B491701234567", "tel=[phone]"),
    ("email", "from anne.o'neil@mail.example.org, sent", "from anne.o'[email], sent"),
    ("card", "card 4111 1111 1111 1111 used", "card [card] used"),
    ("phone", "call +49 170 1234567 or (555) 123-4567", "call [phone] or [phone]"),
    ("ip", "from 10.0.0.1, fe80::1 and ::ffff:10.1.2.3", "from [ip], [ip] and [ip]"),
]
LEFT = [
    ("bearer", "the bearer of it"),
    ("bearer", "basic authentication, Basic knowledge, basic fact, basic 12345678, a basic end-to-end test"),
    ("secret", "docker run --user 1000:1000 -u 1:2 image"),
    ("secret", "git push -u origin main, date -u 12:30, per-user: 5, menu item:abc"),
    ("secret", "curl -u admin https://a.example:8080/x"),
    ("token", "sk-short"),
    ("password", "http://host:8080/path@x"),
    ("secret", "the secret is out"),
    ("secret", "tokens=12, max_tokens: 5, secretary: anne, author=b, invalid_token: expired"),
    ("secret", "time-to-first-token 0.31, per-token cost"),
    ("secret", 'password reset, "password": ""'),
    ("password", "mongodb://db:27017/x?user=a@b"),
    ("card", "0.4111111111111111, 41111111111111111111"),
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
