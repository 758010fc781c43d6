"""From masking settings to rules, the key read from where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spanverdict.config.settings import ConfigError, MaskingSettings
from spanverdict.config.sources import PREFIX, read_settings
from spanverdict.masking.rules import BadMasking, MaskingRules


def read_masking(settings: MaskingSettings, environ: Mapping[str, str]) -> MaskingRules:
    """Return the rules that settings describe.

    Raises:
        ConfigError: there is no such kind of value, a pattern is none, or the key is missing; never shows the key.
    """
    rules = MaskingRules(
        keep=settings.keep,
        drop=settings.drop,
        hash=settings.hash,
        redact=settings.redact,
        values=settings.values,
        patterns=tuple(settings.patterns.items()),
        secrets=settings.secrets,
        hash_key=_key(settings, environ),
    )
    try:
        rules.check()
    except BadMasking as mistake:
        raise ConfigError(f"masking: {mistake}") from None
    return rules


def masking_of(path: Path | None, environ: Mapping[str, str]) -> MaskingRules:
    """Return the rules of a settings file and the environment; by default those for what is plainly secret.

    Raises:
        ConfigError: they cannot be used.
    """
    own = {name: text for name, text in environ.items() if name.startswith(f"{PREFIX}MASKING_")}
    return read_masking(read_settings(path, own, {}).masking, environ)


def _key(settings: MaskingSettings, environ: Mapping[str, str]) -> bytes:
    if settings.hash_key_env is not None:
        return environ.get(settings.hash_key_env, "").encode()
    if settings.hash_key_file is None:
        return b""
    try:
        return settings.hash_key_file.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"masking: cannot read the key in {settings.hash_key_file}: {error.strerror}") from None
