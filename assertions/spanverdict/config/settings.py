"""What can be set for `serve`, and how a file and the environment say it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spanverdict.config.bytesizes import parse_bytes
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.diagnostics.durations import DurationError, parse_duration
from spanverdict.diagnostics.render import render_all
from spanverdict.diagnostics.yamldoc import Mapping as YamlMapping
from spanverdict.diagnostics.yamldoc import Node, Scalar, Sequence, compose, did_you_mean

PREFIX: Final = "SPANVERDICT_"
LEAST_AGE_NS: Final = 600 * 10**9
LEAST_BYTES: Final = 16 << 20


class ConfigError(Exception):
    """The settings cannot be used; the message says where and why, on one line or as diagnostics."""


class WebhookSettings(BaseModel):
    """One receiver of alerts. Secrets stand in files or in the environment, never here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str | None = None
    url_file: Path | None = None
    secret_env: str | None = None
    secret_file: Path | None = None
    allow_private: bool = False
    group_by: tuple[str, ...] | None = None
    send_resolved: bool = True

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give it `url` or `url_file`, one of them")
        if self.secret_env is not None and self.secret_file is not None:
            raise ValueError("give it `secret_env` or `secret_file`, not both")
        return self


class MaskingSettings(BaseModel):
    """What is taken out of spans before anything of them is kept. Names of attributes are globs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: bool = True
    """Mask what is plainly secret, by name or by shape."""
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """Kinds of values: `email`, `card`, `phone`, `ip`."""
    patterns: dict[str, str] = Field(default={})
    """Regular expressions of one's own, by the name that replaces what they find."""
    hash_key_env: str | None = None
    hash_key_file: Path | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.hash_key_env is not None and self.hash_key_file is not None:
            raise ValueError("give it `hash_key_env` or `hash_key_file`, not both")
        return self


class RetentionSettings(BaseModel):
    """What is deleted from the store because it is too old or too much; nothing by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    age: str | None = None
    """As in 7d; 10m at least, as spans may still join a run for that long."""
    bytes: str | None = None
    """How much of the store's file may be in use, as in 10GiB; 16MiB at least."""

    @field_validator("age")
    @classmethod
    def _is_an_age(cls, text: str | None) -> str | None:
        if text is not None and parse_age(text) < LEAST_AGE_NS:
            raise ValueError("it has to be 10m at least, as spans may still join a run for that long")
        return text

    @field_validator("bytes")
    @classmethod
    def _is_a_size(cls, text: str | None) -> str | None:
        if text is not None and parse_bytes(text) < LEAST_BYTES:
            raise ValueError("it has to be 16MiB at least")
        return text

    @property
    def age_ns(self) -> int | None:
        """The age in nanoseconds."""
        return parse_age(self.age) if self.age is not None else None

    @property
    def used_bytes(self) -> int | None:
        """The number of bytes."""
        return parse_bytes(self.bytes) if self.bytes is not None else None


def parse_age(text: str) -> int:
    """Read a duration, in ns; raises `ValueError`."""
    try:
        return parse_duration(text)
    except DurationError as error:
        raise ValueError(f"{error.message}. {error.hint}".rstrip(". ")) from None


class Settings(BaseModel):
    """Everything `serve` can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    max_message: str = "64MiB"
    """The longest request, before and after decompression."""
    in_flight: str = "256MiB"
    """Received and not yet acknowledged, over all connections; more is refused, to be sent again."""
    window: str = "1GiB"
    """Memory of the spans at hand; above it those of judged runs and of no run are let go before their time."""
    client_rate_limit: str | None = None
    """What one client (a token, else an address) may send a second, as in 20MiB, inflated; not limited by default."""
    log_format: Literal["text", "json"] = "text"
    external_url: str = ""
    webhooks: tuple[WebhookSettings, ...] = Field(default=())
    webhook_hosts: tuple[str, ...] = ()
    """The only hosts that webhooks may go to: names, or `*.` and a name for all below it; empty: any public one."""
    masking: MaskingSettings = Field(default=MaskingSettings())
    retention: RetentionSettings = Field(default=RetentionSettings())

    @field_validator("client_rate_limit", "max_message", "in_flight", "window")
    @classmethod
    def _is_a_size(cls, text: str | None) -> str | None:
        if text is not None and parse_bytes(text) == 0:
            raise ValueError("it has to be more than nothing")
        return text

    @property
    def client_bytes_per_s(self) -> int | None:
        """The rate limit in bytes."""
        return parse_bytes(self.client_rate_limit) if self.client_rate_limit is not None else None


_PARTS: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {"webhooks": WebhookSettings, "masking": MaskingSettings, "retention": RetentionSettings}
)
_LISTS: Final[Mapping[str, str]] = MappingProxyType({"rules": os.pathsep, "webhook_hosts": " "})
"""Settings that hold several texts, and what stands between them in the environment."""
_SCALARS: Final = tuple(name for name in Settings.model_fields if name not in {*_LISTS, *_PARTS})


def read_settings(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Put settings together: file, then environment (`SPANVERDICT_HTTP` …), then flags.

    Raises:
        ConfigError: a file or a value cannot be used.
    """
    in_file, node = _of_file(path) if path is not None else ({}, None)
    given = _of_environment(environ)
    told = {name: (f"--{name.replace('_', '-')}", value) for name, value in flags.items() if value is not None}
    nearer = {**given, **told}
    try:
        return Settings.model_validate({**in_file, **{name: value for name, (_, value) in nearer.items()}})
    except ValidationError as error:
        places = {name: place for name, (place, _) in nearer.items()}
        raise ConfigError("\n".join(_explain(error, places, path, node))) from None


_Given: TypeAlias = dict[str, tuple[str, object]]
"""By setting: how a user calls the place that it comes from, and the value."""


def _of_environment(environ: Mapping[str, str]) -> _Given:
    variables = {name: PREFIX + name.upper() for name in (*_SCALARS, *_LISTS)}
    given: _Given = {
        name: (variable, environ[variable] or None)
        for name, variable in variables.items()
        if variable in environ and (name not in _LISTS or environ[variable])
    }
    for name in given.keys() & _LISTS.keys():
        given[name] = (variables[name], tuple(filter(None, environ[variables[name]].split(_LISTS[name]))))
    return given


def _of_file(path: Path) -> tuple[dict[str, Any], Node | None]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the configuration {path}: {reason}") from None
    if path.suffix == ".toml":
        return _of_toml(path, text), None
    problems = Problems()
    node = compose(text, str(path), problems)
    if problems.fatal or node is None:
        raise ConfigError(render_all(problems.sorted()))
    values = _plain(node)
    if not isinstance(values, dict):
        raise ConfigError(f"{node.position}: a configuration has to be a mapping")
    return values, node


def _of_toml(path: Path, text: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    tool = table.get("tool", {})
    ours = tool.get("spanverdict", {}) if isinstance(tool, dict) else None
    if not isinstance(ours, dict):
        raise ConfigError(f"{path}: [tool.spanverdict] has to be a table")
    return ours


def _plain(node: Node) -> object:
    if isinstance(node, YamlMapping):
        return {name.text: _plain(value) for name, value in node.entries}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return node.value if isinstance(node, Scalar) else None


def _explain(error: ValidationError, places: Mapping[str, str], path: Path | None, node: Node | None) -> Iterator[str]:
    """Turn what pydantic found into one line each, at the place that the value comes from."""
    for found in error.errors():
        keys = tuple(found["loc"])
        name = ".".join(map(str, keys))
        if keys and keys[0] in places:
            yield f"{places[str(keys[0])]}: {_lowered(found['msg'])}"
            continue
        place = _place(node, keys) or (str(path) if path is not None else "configuration")
        if found["type"] == "extra_forbidden":
            known = (Settings if len(keys) == 1 else _PARTS[str(keys[0])]).model_fields
            hint = did_you_mean(str(keys[-1]), known)
            yield f"{place}: there is no setting {name}{f'; {hint}' if hint else ''}"
        else:
            yield f"{place}: {name}: {_lowered(found['msg'])}"


def _lowered(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _place(node: Node | None, keys: tuple[int | str, ...]) -> Position | None:
    """Return where in the file a value, or the nearest thing around it, stands."""
    place = node.position if node is not None else None
    for key in keys:
        if isinstance(node, YamlMapping):
            name = node.key(str(key))
            place = name.position if name is not None else place
            node = node.get(str(key))
        elif isinstance(node, Sequence) and isinstance(key, int) and key < len(node.items):
            node = node.items[key]
            place = node.position
        else:
            break
    return place
