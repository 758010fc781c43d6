"""What can be set for `serve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from spanverdict.config.bytesizes import parse_bytes
from spanverdict.config.fitting import Checked
from spanverdict.diagnostics.durations import DurationError, parse_duration

LEAST_AGE_NS: Final = 600 * 10**9
LEAST_BYTES: Final = 16 << 20
LEAST_VALUE: Final = 1 << 10
_NOTHING_ELSE: Final = MappingProxyType({"extra": "forbid"})


class ConfigError(Exception):
    """The settings cannot be used; the message says where and why, on one line or as diagnostics."""


def parse_age(text: str) -> int:
    """Read a duration, in ns; raises `ValueError`."""
    try:
        return parse_duration(text)
    except DurationError as error:
        raise ValueError(f"{error.message}. {error.hint}".rstrip(". ")) from None


def _check_age(text: str) -> None:
    if parse_age(text) < LEAST_AGE_NS:
        raise ValueError("it has to be 10m at least, as spans may still join a run for that long")


def _check_store_size(text: str) -> None:
    if parse_bytes(text) < LEAST_BYTES:
        raise ValueError("it has to be 16MiB at least")


def _check_size(text: str) -> None:
    if parse_bytes(text) == 0:
        raise ValueError("it has to be more than nothing")


def _check_count(number: int) -> None:
    if number < 1:
        raise ValueError("it has to be 1 at least")


def _check_value_size(text: str) -> None:
    if parse_bytes(text) < LEAST_VALUE:
        raise ValueError("it has to be 1KiB at least")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """One receiver of alerts. Secrets stand in files or in the environment, never here."""

    __pydantic_config__: ClassVar = _NOTHING_ELSE

    name: str
    url: str | None = None
    url_file: Path | None = None
    secret_env: str | None = None
    secret_file: Path | None = None
    allow_private: bool = False
    group_by: tuple[str, ...] | None = None
    send_resolved: bool = True

    def __post_init__(self) -> None:
        """Refuse two addresses, none, or two secrets."""
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give it `url` or `url_file`, one of them")
        if self.secret_env is not None and self.secret_file is not None:
            raise ValueError("give it `secret_env` or `secret_file`, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingSettings:
    """What is taken out of spans before anything of them is kept. Names of attributes are globs."""

    __pydantic_config__: ClassVar = _NOTHING_ELSE

    secrets: bool = True
    """Mask what is plainly secret, by name or by shape."""
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """Kinds of values: `email`, `card`, `phone`, `ip`."""
    patterns: dict[str, str] = field(default_factory=dict)
    """Regular expressions of one's own, by the name that replaces what they find."""
    hash_key_env: str | None = None
    hash_key_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse two keys."""
        if self.hash_key_env is not None and self.hash_key_file is not None:
            raise ValueError("give it `hash_key_env` or `hash_key_file`, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """What is deleted from the store because it is too old or too much; nothing by default."""

    __pydantic_config__: ClassVar = _NOTHING_ELSE

    age: Annotated[str, Checked(_check_age)] | None = None
    """As in 7d; 10m at least, as spans may still join a run for that long."""
    bytes: Annotated[str, Checked(_check_store_size)] | None = None
    """How much of the store's file may be in use, as in 10GiB; 16MiB at least."""

    @property
    def age_ns(self) -> int | None:
        """The age in nanoseconds."""
        return parse_age(self.age) if self.age is not None else None

    @property
    def used_bytes(self) -> int | None:
        """The number of bytes."""
        return parse_bytes(self.bytes) if self.bytes is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything `serve` can be told."""

    __pydantic_config__: ClassVar = _NOTHING_ELSE

    otlp_grpc: str | None = "127.0.0.1:4317"
    otlp_http: str | None = "127.0.0.1:4318"
    http: str = "127.0.0.1:8080"
    store: Path = Path("spanverdict.sqlite")
    rules: tuple[str, ...] = ()
    baseline: str | None = None
    """What runs are compared with: previous, branch:NAME, a run or a file."""
    allow_public: bool = False
    token_file: Path | None = None
    """Bearer tokens that clients who send spans have to show, one a line; several allow rotation."""
    api_token_file: Path | None = None
    """The same of clients of the API."""
    tls_certificate: Path | None = None
    """All listeners speak TLS with this certificate."""
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Who sends spans has to present a certificate that one of these authorities signed."""
    api_client_ca: Path | None = None
    """The same of clients of the API."""
    max_message: Annotated[str, Checked(_check_size)] = "64MiB"
    """The longest request, before and after decompression."""
    in_flight: Annotated[str, Checked(_check_size)] = "256MiB"
    """Received and not yet acknowledged, over all connections; more is refused, to be sent again."""
    window: Annotated[str, Checked(_check_size)] = "1GiB"
    """Memory of the spans at hand; above it those of judged runs and of no run are let go before their time."""
    max_attributes: Annotated[int, Checked(_check_count)] = 128
    """Attributes that are kept of a span, and of each event, link, resource and scope: the first ones."""
    max_attribute_value: Annotated[str, Checked(_check_value_size)] = "64KiB"
    """How long the value of an attribute may be; the beginning of a longer text is kept."""
    client_rate_limit: Annotated[str, Checked(_check_size)] | None = None
    """What one client (a token, else an address) may send a second, as in 20MiB, inflated; not limited by default."""
    log_format: Literal["text", "json"] = "text"
    external_url: str = ""
    webhooks: tuple[WebhookSettings, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    """The only hosts that webhooks may go to: names, or `*.` and a name for all below it; empty: any public one."""
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)

    @property
    def client_bytes_per_s(self) -> int | None:
        """The rate limit in bytes."""
        return parse_bytes(self.client_rate_limit) if self.client_rate_limit is not None else None


PARTS: Final[Mapping[str, type]] = MappingProxyType(
    {"webhooks": WebhookSettings, "masking": MaskingSettings, "retention": RetentionSettings}
)
"""Settings that have settings of their own."""
