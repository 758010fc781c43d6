"""What can be set for `serve`, and how a file and the environment say it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.diagnostics.render import render_all
from spanverdict.diagnostics.yamldoc import Mapping as YamlMapping
from spanverdict.diagnostics.yamldoc import Node, Scalar, Sequence, compose, did_you_mean

PREFIX: Final = "SPANVERDICT_"


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


class Settings(BaseModel):
    """Everything `serve` can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    otlp_grpc: str | None = "127.0.0.1:4317"
    otlp_http: str | None = "127.0.0.1:4318"
    http: str = "127.0.0.1:8080"
    store: Path = Path("spanverdict.sqlite")
    rules: tuple[str, ...] = ()
    allow_public: bool = False
    token_file: Path | None = None
    """Bearer tokens that clients have to send, one a line; several allow rotation."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    external_url: str = ""
    webhooks: tuple[WebhookSettings, ...] = Field(default=())


_SCALARS: Final = tuple(name for name in Settings.model_fields if name not in {"rules", "webhooks"})


def read_settings(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Put settings together: file, then environment (`SPANVERDICT_HTTP` …), then flags.

    Raises:
        ConfigError: a file or a value cannot be used.
    """
    values, node = _of_file(path) if path is not None else ({}, None)
    for name in _SCALARS:
        text = environ.get(PREFIX + name.upper())
        if text is not None:
            values[name] = text or None
    if environ.get(f"{PREFIX}RULES"):
        values["rules"] = tuple(environ[f"{PREFIX}RULES"].split())
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, node)) from None


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
    return dict(table.get("tool", {}).get("spanverdict", {}))


def _plain(node: Node) -> object:
    if isinstance(node, YamlMapping):
        return {name.text: _plain(value) for name, value in node.entries}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return node.value if isinstance(node, Scalar) else None


def _explain(error: ValidationError, path: Path | None, node: Node | None) -> str:
    """Turn what pydantic found into one line each, at the place in the file where there is one."""
    lines = []
    for found in error.errors():
        keys = tuple(found["loc"])
        place = _place(node, keys) or (str(path) if path is not None else "configuration")
        name = ".".join(map(str, keys))
        if found["type"] == "extra_forbidden":
            hint = did_you_mean(str(keys[-1]), Settings.model_fields)
            lines.append(f"{place}: there is no setting {name}{f'; {hint}' if hint else ''}")
        else:
            message = str(found["msg"]).removeprefix("Value error, ")
            lines.append(f"{place}: {name}: {message[:1].lower()}{message[1:]}")
    return "\n".join(lines)


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
