"""Who receives alerts: the settings of a receiver, and secrets from the environment or files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from spanverdict.alerting.guard import AddressRefused, check_host
from spanverdict.alerting.signing import InvalidSecret, Secret, parse_secret

RETRY_AFTER_SECONDS = (5.0, 30.0, 120.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0)
"""Waits between attempts; when the list ends the message is given up."""
DEFAULT_GROUP_BY = ("flow", "environment", "branch")
_MAX_SECRET_FILE_BYTES = 64 * 1024


class AlertingConfigError(ValueError):
    """A receiver cannot work as configured; one line that names the receiver or the source, never a secret."""


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Where and how to send alerts. Make one with `receiver`, which checks it."""

    name: str
    url: str = field(repr=False)
    """May itself be a secret, as those of chat services are."""
    secrets: tuple[Secret, ...] = ()
    """All of them sign; none sends unsigned."""
    timeout_seconds: float = 15.0
    """For a whole attempt, from looking up the name to the end of the answer."""
    allow_private: bool = False
    """Whether the address may be loopback or in a private network."""
    hosts: tuple[str, ...] = ()
    """The only hosts that it may be sent to; empty: any."""
    group_by: tuple[str, ...] = DEFAULT_GROUP_BY
    """Labels; alerts that agree in them share a message. None puts all alerts of a run into one."""
    send_resolved: bool = True
    retry_after_seconds: tuple[float, ...] = RETRY_AFTER_SECONDS

    @property
    def max_attempts(self) -> int:
        """The first attempt and one after each wait."""
        return len(self.retry_after_seconds) + 1


def receiver(settings: ReceiverSettings) -> ReceiverSettings:
    """Check the settings of a receiver and return them.

    Raises:
        AlertingConfigError: they cannot work.
    """
    if not settings.name or not settings.name.isprintable():
        raise AlertingConfigError("a webhook receiver needs a name, in printable characters")
    problem = _problem_of_url(settings.url) or _problem_of_host(settings)
    if problem:
        raise AlertingConfigError(f"webhook receiver {settings.name!r}: {problem}")
    if settings.timeout_seconds <= 0 or any(wait < 0 for wait in settings.retry_after_seconds):
        raise AlertingConfigError(f"webhook receiver {settings.name!r}: times must be above 0")
    return settings


def receivers(settings: Sequence[ReceiverSettings]) -> tuple[ReceiverSettings, ...]:
    """Check several receivers, which must differ in name.

    Raises:
        AlertingConfigError: one cannot work, or two have the same name.
    """
    names = [one.name for one in settings]
    for name in names:
        if names.count(name) > 1:
            raise AlertingConfigError(f"two webhook receivers are named {name!r}")
    return tuple(map(receiver, settings))


def text_from_environment(variable: str, environ: Mapping[str, str]) -> str:
    """Read a secret text, such as a URL, from a variable.

    Raises:
        AlertingConfigError: the variable is not set or empty.
    """
    text = environ.get(variable, "").strip()
    if not text:
        raise AlertingConfigError(f"the environment variable {variable} is not set or empty")
    return text


def text_from_file(path: Path) -> str:
    """Read a secret text, such as a URL, from a file; space around it does not count.

    Raises:
        AlertingConfigError: the file cannot be read or holds no text.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SECRET_FILE_BYTES).decode("utf-8").strip()
    except OSError as error:
        raise AlertingConfigError(f"cannot read the secret file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise AlertingConfigError(f"the secret file {path} does not hold text") from None
    if not text:
        raise AlertingConfigError(f"the secret file {path} is empty")
    return text


def secrets_from_environment(variable: str, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """Read signing secrets from a variable, several separated by space; the first is the newest.

    Raises:
        AlertingConfigError: there is none, or one is malformed.
    """
    return _parse(text_from_environment(variable, environ), f"the environment variable {variable}")


def secrets_from_file(path: Path) -> tuple[Secret, ...]:
    """Read signing secrets from a file, several separated by space or lines.

    Raises:
        AlertingConfigError: there is none, or one is malformed.
    """
    return _parse(text_from_file(path), f"the secret file {path}")


def _parse(text: str, source: str) -> tuple[Secret, ...]:
    try:
        return tuple(map(parse_secret, text.split()))
    except InvalidSecret as error:
        raise AlertingConfigError(f"{source}: {error}") from None


def _problem_of_host(settings: ReceiverSettings) -> str:
    """What is known of it before anything is sent; whoever connects looks again."""
    try:
        check_host(urlsplit(settings.url).hostname or "", settings.hosts)
    except AddressRefused as refused:
        return str(refused)
    return ""


def _problem_of_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "its URL is malformed"
    if parts.scheme not in ("http", "https"):
        return "its URL must begin with https:// or http://"
    if not parts.hostname or any(c.isspace() or not c.isprintable() for c in url):
        return "its URL is malformed"
    if parts.username is not None or parts.password is not None:
        return "its URL must not hold a user name or password"
    return ""
