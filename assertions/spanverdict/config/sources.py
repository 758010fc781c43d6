"""Where settings come from: a flag beats the environment, which beats the file, which beats the default."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spanverdict.config.fitting import Unfit, fitting
from spanverdict.config.settings import PARTS, ConfigError, Settings

if TYPE_CHECKING:
    from spanverdict.diagnostics.yamlnodes import Node

PREFIX: Final = "SPANVERDICT_"
_LISTS: Final[Mapping[str, str]] = {"rules": os.pathsep}
"""What stands between the texts of a list in the environment where that is no space."""
IN_FILES: Final = frozenset({("webhooks",), ("masking", "patterns")})
"""What only a file can say."""

_Path: TypeAlias = tuple[str, ...]
"""A setting: its name, or the name of its part and its own."""
_Given: TypeAlias = dict[_Path, tuple[str, object]]
"""By setting: how a user calls the place that it comes from, and the value."""


def read_settings(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Put settings together: file, then environment (`SPANVERDICT_HTTP` …), then flags.

    Raises:
        ConfigError: a file or a value cannot be used.
    """
    values, node = _of_file(path) if path is not None else ({}, None)
    told: _Given = {
        (name,): (f"--{name.replace('_', '-')}", value) for name, value in flags.items() if value is not None
    }
    nearer: _Given = {**_of_environment(environ), **told}
    for name, (_, value) in nearer.items():
        _put(values, name, value)
    try:
        return fitting(Settings, values)
    except Unfit:
        from spanverdict.config.validation import Places, validated  # noqa: PLC0415 - see `fitting`

    named = {name: place for name, (place, _) in nearer.items()}
    try:
        return validated(values, Places(named, str(path) if path is not None else "configuration", node))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def variables() -> Mapping[_Path, str]:
    """The environment variable of every setting that has one."""
    return {name: variable_of(name) for name in _names() if name not in IN_FILES}


def variable_of(name: tuple[str, ...]) -> str:
    """Return the environment variable of a setting: its name, or the name of its part and its own.

    >>> variable_of(("retention", "age"))
    'SPANVERDICT_RETENTION_AGE'
    """
    return PREFIX + "_".join(name).upper()


def _names() -> Iterator[_Path]:
    for one in fields(Settings):
        if one.name in PARTS and (one.name,) not in IN_FILES:
            yield from ((one.name, inner.name) for inner in fields(PARTS[one.name]))
        else:
            yield (one.name,)


def _put(values: dict[str, Any], name: _Path, value: object) -> None:
    """Say a setting, over what was said of it and beside what was said of its part."""
    first, *rest = name
    if not rest:
        values[first] = value
        return
    part = values.get(first, {})
    if isinstance(part, dict):  # else the file is wrong, which is said later
        values[first] = {**part, rest[0]: value}


def _of_environment(environ: Mapping[str, str]) -> _Given:
    given: _Given = {}
    for name, variable in variables().items():
        if variable not in environ:
            continue
        text = environ[variable]
        if not _is_list(name):
            given[name] = (variable, text or None)
        elif text:
            given[name] = (variable, tuple(filter(None, text.split(_LISTS.get(name[-1], " ")))))
    return given


def _is_list(name: _Path) -> bool:
    owner = Settings if len(name) == 1 else PARTS[name[0]]
    return next(one.default for one in fields(owner) if one.name == name[-1]) == ()


def _of_file(path: Path) -> tuple[dict[str, Any], Node | None]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the configuration {path}: {reason}") from None
    if path.suffix == ".toml":
        return _of_toml(path, text), None
    from spanverdict.config.yamlfile import read_yaml  # noqa: PLC0415 - most servers have no file

    return read_yaml(path, text)


def _of_toml(path: Path, text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - as above

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    tool = table.get("tool", {})
    ours = tool.get("spanverdict", {}) if isinstance(tool, dict) else None
    if not isinstance(ours, dict):
        raise ConfigError(f"{path}: [tool.spanverdict] has to be a table")
    return dict(ours)
