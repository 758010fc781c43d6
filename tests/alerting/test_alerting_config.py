"""Receivers as configured: what is refused, and that secrets stay where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanverdict.alerting.config import (
    AlertingConfigError,
    ReceiverSettings,
    receiver,
    receivers,
    secrets_from_environment,
    secrets_from_file,
    text_from_environment,
    text_from_file,
)

SECRET = "whsec_" + "Y2FuYXJ5" * 4


@pytest.mark.parametrize(
    "url", ["https://a.example/hook", "http://127.0.0.1:9/x?y=z", "https://[2001:db8::1]:8443/", "HTTPS://ü.example"]
)
def test_a_good_receiver_is_given_back(url: str) -> None:
    assert receiver(ReceiverSettings("ops", url)).url == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with https:// or http://"),
        ("ftp://a.example/canary", "must begin with https:// or http://"),
        ("file:///etc/canary", "must begin with https:// or http://"),
        ("gopher://canary.example", "must begin with https:// or http://"),
        ("//canary.example/hook", "must begin with https:// or http://"),
        ("https://", "malformed"),
        ("https:///canary", "malformed"),
        ("https://a.example:99999/canary", "malformed"),
        ("https://a.example:port/canary", "malformed"),
        ("https://[canary/", "malformed"),
        ("https://a.example/ca nary", "malformed"),
        ("https://a.example/canary\r\nX: y", "malformed"),
        ("https://user:canary@a.example/", "must not hold a user name or password"),
    ],
)
def test_a_bad_url_is_refused_without_showing_it(url: str, reason: str) -> None:
    with pytest.raises(AlertingConfigError, match=reason) as caught:
        receiver(ReceiverSettings("ops", url))
    assert "'ops'" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{"name": ""}, {"name": "a\nb"}, {"timeout_seconds": 0.0}, {"retry_after_seconds": (1.0, -1.0)}]
)
def test_other_nonsense_is_refused(bad) -> None:
    with pytest.raises(AlertingConfigError):
        receiver(ReceiverSettings(**{"name": "ops", "url": "https://a.example", **bad}))


def test_names_of_receivers_are_unique() -> None:
    one, two = (ReceiverSettings("ops", f"https://{h}.example") for h in "ab")
    with pytest.raises(AlertingConfigError, match="two webhook receivers are named 'ops'"):
        receivers([one, two])
    assert receivers([one]) == (one,)


def test_a_receiver_does_not_show_its_secrets() -> None:
    settings = ReceiverSettings("ops", "https://a.example/canary", secrets_from_environment("S", {"S": SECRET}))
    assert "canary" not in repr(settings)
    assert "Y2Fu" not in repr(settings)


def test_the_default_schedule_makes_nine_attempts_over_most_of_a_day() -> None:
    settings = ReceiverSettings("ops", "https://a.example")
    assert settings.max_attempts == 9
    assert 17 * 3600 < sum(settings.retry_after_seconds) < 24 * 3600


def test_secrets_come_from_the_environment(tmp_path: Path) -> None:
    assert [s.key for s in secrets_from_environment("S", {"S": f" {SECRET} {SECRET}"})] == [b"canary" * 4] * 2
    assert text_from_environment("U", {"U": " https://a.example\n"}) == "https://a.example"
    for environ in ({}, {"S": " "}):
        with pytest.raises(AlertingConfigError, match="the environment variable S is not set or empty"):
            secrets_from_environment("S", environ)
    with pytest.raises(AlertingConfigError, match="variable S: a secret must begin with whsec_") as caught:
        secrets_from_environment("S", {"S": "canary"})
    assert "canary" not in str(caught.value)


def test_secrets_come_from_files(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n{SECRET}\n")
    assert [s.key for s in secrets_from_file(path)] == [b"canary" * 4] * 2
    path.write_text("https://a.example\n")
    assert text_from_file(path) == "https://a.example"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b" \n", "is empty"), (b"\xff\xfe", "does not hold text"), (b"canary", "must begin with whsec_")],
)
def test_a_bad_secret_file_is_named_and_not_shown(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(AlertingConfigError, match=reason) as caught:
        secrets_from_file(path)
    assert str(path) in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlertingConfigError, match=r"cannot read the secret file .*/none: No such file or directory"):
        secrets_from_file(tmp_path / "none")
    with pytest.raises(AlertingConfigError, match="Is a directory"):
        secrets_from_file(tmp_path)
