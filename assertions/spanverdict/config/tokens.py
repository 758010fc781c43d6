"""Bearer tokens, read from the files where they are kept."""

from __future__ import annotations

from pathlib import Path

from spanverdict.config.settings import ConfigError


def read_tokens(path: Path | None) -> tuple[str, ...]:
    """Return the tokens of a file, one a line; none without a file.

    Raises:
        ConfigError: it cannot be read, or there is none in it; never shows one.
    """
    if path is None:
        return ()
    try:
        tokens = tuple(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise ConfigError(f"cannot read the token file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read the token file {path}: it is not UTF-8") from None
    if not tokens:
        raise ConfigError(f"the token file {path} is empty")
    return tokens
