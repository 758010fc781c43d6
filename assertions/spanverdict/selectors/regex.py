"""Regular expressions in time linear in the text: RE2, fully anchored."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether a whole text matches `pattern`."""
    fullmatch = re2.compile(pattern, _options()).fullmatch
    return lambda text: fullmatch(text) is not None


def problem(pattern: str) -> str:
    """Say why a pattern does not compile, "" if it does."""
    try:
        matcher(pattern)
    except re2.error as error:
        reason = error.args[0]
        return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return ""
