"""From settings to how much is kept of the attributes of spans."""

from __future__ import annotations

from pathlib import Path

from spanverdict.config.bytesizes import parse_bytes
from spanverdict.config.settings import Settings
from spanverdict.config.sources import read_settings
from spanverdict.otlp.limiting import AttributeLimits


def read_limits(settings: Settings) -> AttributeLimits:
    """Return the limits that settings describe."""
    return AttributeLimits(settings.max_attributes, parse_bytes(settings.max_attribute_value))


def limits_of(path: Path | None) -> AttributeLimits:
    """Return the limits of a settings file, or the default ones without one. Raises `ConfigError`."""
    return read_limits(read_settings(path, {}, {}))
